"""The API server as a pod reaches it: with the token of its account, without a kubeconfig.

https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3

from mlops_platform.adapters.kube.client import Kube
from mlops_platform.adapters.kube.tls import SharedTls
from mlops_platform.base.errors import PreflightError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CONNECTIONS = 4


class PodConnection:
    """Connections are kept. The token is read for each request: the kubelet replaces it."""

    def __init__(self, account: Path) -> None:
        self._token = account / "token"
        self._pool = urllib3.HTTPSConnectionPool(
            os.environ["KUBERNETES_SERVICE_HOST"],
            int(os.environ["KUBERNETES_SERVICE_PORT"]),
            ssl_context=SharedTls.of_client(account / "ca.crt"),
            maxsize=_CONNECTIONS,
        )

    def __str__(self) -> str:
        return f"https://{self._pool.host}:{self._pool.port}"

    def request(
        self, method: str, path: str, body: object, headers: Mapping[str, str], timeout: tuple[float, Any]
    ) -> urllib3.BaseHTTPResponse:
        return self._pool.urlopen(
            method,
            path,
            body=None if body is None else json.dumps(body).encode(),
            headers={**headers, "Authorization": f"Bearer {self._token.read_text().strip()}"},
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(*timeout),
            preload_content=False,
        )


class PodKube(Kube):
    """The client of a pod, with the rights of its account. Raises PreflightError if the pod has no token."""

    def __init__(self) -> None:
        try:
            connection = PodConnection(ACCOUNT)
        except (OSError, KeyError, ValueError) as error:
            raise PreflightError(
                "this pod cannot ask the API server",
                why=f"{type(error).__name__}: {error}",
                hint=f"mount a token of its account at {ACCOUNT}, as notebooks have it",
            ) from error
        super().__init__(ACCOUNT, connection=connection)

    def kubectl(self, *arguments: str) -> str:
        """A kubectl command for a machine that has a kubeconfig of the project."""
        return shlex.join(["kubectl", *arguments])
