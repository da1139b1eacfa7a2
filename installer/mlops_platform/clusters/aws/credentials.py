"""Login to an EKS cluster: a short-lived token made from a signed request, and a kubeconfig.

The token is a presigned STS GetCallerIdentity URL that names the cluster; EKS sends it to STS, which
returns the caller. https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster

    python -m mlops_platform.clusters.aws.credentials CLUSTER REGION     the exec plugin of a kubeconfig
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mlops_platform.clusters.aws.session import Session, asking

_PREFIX = "k8s-aws-v1."
_HEADER = "x-k8s-aws-id"
# STS accepts the URL for a minute, EKS the token for 15 minutes.
_SIGNED_SECONDS, _VALID_SECONDS, _FRESH_SECONDS = 60, 14 * 60, 10 * 60


class Tokens:
    """Tokens for one cluster, renewed after ten minutes; thread-safe."""

    def __init__(self, session: Session, cluster: str) -> None:
        self._session = session
        self._cluster = cluster
        self._lock = threading.Lock()
        self._token = ""
        self._made = 0.0

    def token(self) -> str:
        """Sign a token locally, without a request. Raises PreflightError without credentials."""
        with self._lock:
            if not self._token or time.monotonic() - self._made > _FRESH_SECONDS:
                self._token, self._made = _signed(self._session, self._cluster), time.monotonic()
            return self._token


def _signed(session: Session, cluster: str) -> str:
    from botocore.signers import RequestSigner  # imported at use: start-up time

    sts = session.client("sts")
    signer: RequestSigner = sts._request_signer
    request: dict[str, Any] = {
        "method": "GET",
        "url": f"{sts.meta.endpoint_url.rstrip('/')}/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {_HEADER: cluster},
        "context": {},
    }
    with asking("eks get-token"):
        url = signer.generate_presigned_url(
            request, operation_name="", expires_in=_SIGNED_SECONDS, region_name=session.region
        )
    return _PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def kubeconfig(cluster: str, region: str, endpoint: str, authority: str) -> Mapping[str, Any]:
    """A kubeconfig without a secret: its user needs credentials for AWS. `authority` is base64 of PEM."""
    run = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-m", "mlops_platform.clusters.aws.credentials", cluster, region],
        "interactiveMode": "Never",
        "provideClusterInfo": False,
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"server": endpoint, "certificate-authority-data": authority}}
        ],
        "users": [{"name": cluster, "user": {"exec": run}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
        "current-context": cluster,
    }


def exec_credential(token: str) -> str:
    """See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats."""
    until = (datetime.now(UTC) + timedelta(seconds=_VALID_SECONDS)).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {"token": token, "expirationTimestamp": until}
    return json.dumps(
        {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    )


if __name__ == "__main__":
    name, place = sys.argv[1:]
    sys.stdout.write(exec_credential(Tokens(Session(place), name).token()))
