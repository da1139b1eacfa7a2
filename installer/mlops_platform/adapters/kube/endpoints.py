"""Addresses of the API server and of nodes, as pods see them."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.adapters.kube.client import Kube


@dataclass(frozen=True, order=True)
class Address:
    """An IPv4 address and a TCP port."""

    ip: str
    port: int


def api_addresses(kube: Kube) -> tuple[Address, ...]:
    """The endpoints of the API server, and its Service for network plugins that filter before the Service's
    address is translated. Empty if it has no endpoints."""
    labels = "kubernetes.io/service-name=kubernetes"
    slices = kube.list("discovery.k8s.io/v1", "EndpointSlice", "default", labels=labels)
    found = {
        Address(ip, port["port"])
        for each in slices
        if each["addressType"] == "IPv4"
        for endpoint in each["endpoints"] or []
        for ip in endpoint["addresses"]
        for port in each["ports"] or []
    }
    service = kube.get("v1", "Service", "kubernetes", "default")
    if found and service:
        found |= {Address(service["spec"]["clusterIP"], port["port"]) for port in service["spec"]["ports"]}
    return tuple(sorted(found))


def node_addresses(kube: Kube) -> tuple[str, ...]:
    """The internal IPv4 addresses of all nodes."""
    return tuple(
        sorted(
            address["address"]
            for node in kube.list("v1", "Node")
            for address in node["status"].get("addresses") or []
            if address["type"] == "InternalIP" and ":" not in address["address"]
        )
    )
