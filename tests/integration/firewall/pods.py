"""Endpoints of the case files: pods of three namespaces, an unknown address, two hosts outside, the node."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from mlops_platform.clusters.host.firewall.model import Pod, Policy
from mlops_platform.clusters.host.firewall.render import Snapshot

NODE = "10.77.0.2"
RANGE = IPv4Network("10.77.128.0/17")
_WEB_PORTS = [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}]
# The same name for another number: the receiving pod decides what a named port means.
_DB_PORTS = [{"name": "http", "containerPort": 9091}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]


def _pod(namespace: str, name: str, labels: dict[str, str], ports: list[dict[str, Any]]) -> Pod:
    meta = {"uid": name, "namespace": namespace, "name": name, "labels": labels}
    pod = Pod.of({"metadata": meta, "spec": {"containers": [{"ports": ports}]}})
    assert pod
    return pod


PODS = {
    "10.77.128.2": _pod("app", "web", {"app": "web", "tier": "front"}, _WEB_PORTS),
    "10.77.128.3": _pod("app", "client", {"app": "client"}, []),
    "10.77.128.4": _pod("app", "other", {"app": "other", "tier": "back"}, []),
    "10.77.128.5": _pod("data", "db", {"app": "db"}, _DB_PORTS),
    "10.77.128.6": _pod("strange", "impostor", {"app": "client"}, []),
}
NAMESPACES = {
    "app": {"kubernetes.io/metadata.name": "app", "team": "one"},
    "data": {"kubernetes.io/metadata.name": "data", "team": "two"},
    "strange": {"kubernetes.io/metadata.name": "strange"},
}
ADDRESSES = {pod.name: address for address, pod in PODS.items()} | {
    "unknown": "10.77.128.9",
    "outside": "192.0.2.9",
    "outside-two": "192.0.2.200",
}


def snapshot_with(policies: tuple[Policy, ...]) -> Snapshot:
    addresses = {pod.uid: IPv4Address(address) for address, pod in PODS.items()}
    return Snapshot(tuple(PODS.values()), addresses, NAMESPACES, policies)
