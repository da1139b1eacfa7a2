"""The network policies that a strict cluster needs before its first pod: DNS and the EBS driver.

terraform/aws runs it between the cluster and its nodes:  python -m mlops_platform.clusters.aws.first_policies
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import PlatformError
from mlops_platform.clusters.aws import credentials
from mlops_platform.clusters.aws.session import Session

_NAMESPACE = "kube-system"
_ANSWER_SECONDS = 300
_NOT_YET = (401, 403)
_HINT = "without allowed_cidrs: connect your network with the VPC, then run the same command again"


def policies() -> Sequence[Mapping[str, Any]]:
    """The policies: in strict mode a pod without a policy has no traffic at all.

    https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy-configure.html
    """
    everything = {"egress": [{}], "policyTypes": ["Ingress", "Egress"]}
    asked = [{"ports": [{"protocol": p, "port": 53} for p in ("UDP", "TCP")]}]
    return (
        _policy("dns", {"k8s-app": "kube-dns"}, {**everything, "ingress": asked}),
        _policy("disks", {"app.kubernetes.io/name": "aws-ebs-csi-driver"}, everything),
    )


def _policy(name: str, selects: Mapping[str, str], rules: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"mlops-platform-{name}", "namespace": _NAMESPACE},
        "spec": {"podSelector": {"matchLabels": dict(selects)}, **rules},
    }


def apply(kube: Kube) -> None:
    """Apply the policies, and wait for a new API server: its DNS name and its access entries come late.

    Raises WaitTimedOut with the last answer.
    """

    def applied() -> bool | Pending:
        try:
            kube.apply(*policies())
        except KubeError as error:
            if not error.transient and error.status not in _NOT_YET:
                raise
            return Pending(f"{error.what}: {error.why}")
        return True

    wait_until("the API server", applied, seconds=_ANSWER_SECONDS, hint=_HINT)


def main() -> None:
    """Apply them; CLUSTER, REGION, ENDPOINT and CA (base64 of PEM) are environment variables."""
    cluster, region, endpoint, authority = (os.environ[n] for n in ("CLUSTER", "REGION", "ENDPOINT", "CA"))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "kubeconfig"
        file.write_text(json.dumps(credentials.kubeconfig(cluster, region, endpoint, authority)))
        try:
            apply(Kube(file, credentials.Tokens(Session(region), cluster).token))
        except PlatformError as error:  # Terraform shows what it prints
            sys.exit("\n".join(filter(None, (error.what, error.why, error.hint))))


if __name__ == "__main__":
    main()
