"""The policies of the firewall's tests and benchmark, all of one namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def policy(space: str, name: str, spec: Mapping[str, object]) -> dict[str, Any]:
    meta = {"name": name, "namespace": space}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": meta,
        "spec": dict(spec),
    }


GUARDED = "guarded"
DENY = policy(GUARDED, "default-deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
TO_WEB = {"podSelector": {"matchLabels": {"app": "web"}}}
OPEN_INGRESS = policy(GUARDED, "in", {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]})
OPEN_EGRESS = policy(GUARDED, "out", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]})
TO_WEB_ONLY = (
    policy(
        GUARDED,
        "to-web",
        {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": [TO_WEB], "ports": [{"port": 8080}]}],
        },
    ),
    policy(GUARDED, "web", {**TO_WEB, "ingress": [{"from": [{"podSelector": {}}]}]}),
)
