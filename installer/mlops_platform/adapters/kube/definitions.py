"""The wait for the kind of a new CustomResourceDefinition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlops_platform.adapters.kube.errors import KubeError
from mlops_platform.adapters.kube.resources import Resources, root
from mlops_platform.adapters.wait import Pending, wait_until

_SECONDS = 60


def wait_served(
    definition: Mapping[str, Any], resources: Resources, ask: Callable[[str], None], command: str
) -> None:
    """Wait until objects of the kind can be listed, some moments after its definition is Established.

    Discovery names it first; then its storage starts. `ask` sends a GET. Raises WaitTimedOut, KubeError.
    """
    name, spec = definition["metadata"]["name"], definition["spec"]
    version = next(v["name"] for v in spec["versions"] if v.get("served", True))
    path = f"{root(spec['group'] + '/' + version)}/{spec['names']['plural']}?limit=1"

    def listed() -> bool | Pending:
        if not resources.find(f"{spec['group']}/{version}", spec["names"]["kind"]):
            return Pending(f"{name} is not served yet")
        try:
            ask(path)
        except KubeError as error:
            if error.status == 404:
                return Pending(f"{name}: {error.why}")
            if not error.status:
                raise
            # Else it is served: a conversion webhook may fail until its release is repaired.
        return True

    wait_until(f"kind {spec['names']['kind']}", listed, seconds=_SECONDS, command=command)
