"""What a caller of Katib's database may do."""

from __future__ import annotations

from typing import Protocol

import messages
from calls import Object

_SERVICE = f"/{messages.PACKAGE}.DBManager"
REPORT, READ, DELETE = (f"{_SERVICE}/{name}ObservationLog" for name in ("Report", "Get", "Delete"))
TRIALS, PODS = "/apis/kubeflow.org/v1beta1/trials", "/api/v1/pods"
CONTROLLER = {"katib.kubeflow.org/component": "controller"}
_REPORT = messages.of("ReportObservationLogRequest")


class Cluster(Protocol):
    """The API server."""

    def items(self, path: str, **query: str) -> list[Object]: ...


class UnknownCaller(Exception):
    """No pod has the address of the caller, or not yet: the kubelet reports it after the program started."""


def refusal(cluster: Cluster, own: str, method: str, message: bytes, address: str) -> str:
    """'' if the pod with this address may make the call, else the reason. `own` is the namespace of Katib.

    Raises UnknownCaller.
    """
    caller = pod_at(cluster, address)
    if caller is None:
        raise UnknownCaller(f"no running pod has the address {address}")
    meta = caller["metadata"]
    namespace: str = meta["namespace"]
    if namespace == own and CONTROLLER.items() <= (meta.get("labels") or {}).items():
        return ""
    if method != REPORT:
        return "only reports are accepted from pods"
    name = _REPORT.FromString(message).trial_name
    if owner_of(cluster, name) != namespace:
        return f"{namespace} has no Trial {name}"
    return ""


def pod_at(cluster: Cluster, address: str) -> Object | None:
    """The running pod with this address; None for several: those on the network of their node."""
    found = cluster.items(PODS, fieldSelector=f"status.podIP={address},status.phase=Running")
    return found[0] if len(found) == 1 and not found[0]["spec"].get("hostNetwork") else None


def owner_of(cluster: Cluster, trial: str) -> str:
    """The namespace of the Trial with this name, the oldest of several; '' if there is none.

    db-manager knows a Trial by its name only: without this, a Trial in another project with the same name
    would write into the log of the first.
    """
    if not trial:
        return ""
    found = cluster.items(TRIALS, fieldSelector=f"metadata.name={trial}")
    oldest = min(found, key=lambda each: each["metadata"]["creationTimestamp"], default=None)
    return oldest["metadata"]["namespace"] if oldest else ""


def address_of(peer: str) -> str:
    """The address in gRPC's text of a peer: `ipv4:10.0.0.1:4711`, `ipv6:%5B::1%5D:4711`."""
    kind, _, rest = peer.partition(":")
    address = rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
    return address if kind in ("ipv4", "ipv6") else ""
