"""MLflow's client in a pod: requests have the pod's token for MLflow. Set MLFLOW_TRACKING_AUTH=platform.

MLflow finds it by its entry point. Its own provider `kubernetes` needs a package of 76 MB. The server takes
the pod's namespace as the workspace; mlflow.set_workspace and MLFLOW_WORKSPACE choose another one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# The first that is there. The second has the audience of MLflow only where a volume puts it there.
_TOKENS = ("/var/run/secrets/tokens/mlflow", "/var/run/secrets/kubernetes.io/serviceaccount/token")


class PodToken:
    """A provider of `mlflow.request_auth_provider`, and the authentication of `requests` that it provides."""

    def get_name(self) -> str:
        return "platform"

    def get_auth(self) -> PodToken:
        return self

    def __call__(self, request: Any) -> Any:
        """Set the token of now: the kubelet renews it."""
        request.headers["Authorization"] = f"Bearer {token()}"
        return request


def token() -> str:
    """The pod's token for MLflow. Raises FileNotFoundError if no volume has one."""
    chosen = os.environ.get("PLATFORM_MLFLOW_TOKEN")
    paths = [Path(path) for path in ((chosen,) if chosen else _TOKENS)]
    found = next((path for path in paths if path.is_file()), None)
    if not found:
        names = " or ".join(map(str, paths))
        raise FileNotFoundError(f"no token for MLflow: {names} is not there (docs/mlflow.md)")
    return found.read_text().strip()
