"""Addresses of the API server, as pods see it."""

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
