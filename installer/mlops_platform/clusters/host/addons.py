"""Add-ons of every host cluster: DNS, a default StorageClass, and RBAC for the node's programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlops_platform.clusters.host.layout import API_SERVER_USER, FIREWALL_USER, VOLUMES_USER, Node
from mlops_platform.clusters.host.volumes import PROVISIONER

STORAGE_CLASS = "standard"
_NAMESPACE = "kube-system"
_RBAC = "rbac.authorization.k8s.io"
_KEYS_ROLE, _ANYONE = "system:service-account-issuer-discovery", "system:unauthenticated"
_DNS = "coredns"
# Also the port in the pod: network policies see the pod's port, and the usual ones allow 53.
# The pod's sysctl lets CoreDNS listen there without a capability.
_DNS_PORT = 53
_LOW_PORTS = {"name": "net.ipv4.ip_unprivileged_port_start", "value": str(_DNS_PORT)}
_LABELS = {"k8s-app": "kube-dns"}  # network policies select the cluster's DNS by this label
_READ = ["get", "list", "watch"]

# Two blocks: `template` beside `kubernetes` would run before it and answer NXDOMAIN for every Service.
# Nothing outside can be reached, so other names than the cluster's do not exist; without `template` the
# answer would be SERVFAIL, which clients retry. The cache keeps no answer about the cluster: a Service
# whose name was looked up too early would stay unknown for 30 s.
_COREFILE = """\
cluster.local:{port} in-addr.arpa:{port} ip6.arpa:{port} {{
    errors
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        pods insecure
    }}
    cache 30 {{
        disable success cluster.local
        disable denial cluster.local
    }}
}}
.:{port} {{
    errors
    health
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""

Manifest = dict[str, Any]


def manifests(node: Node, coredns: str) -> Sequence[Mapping[str, Any]]:
    """Return the add-ons in the order to apply them. `coredns`: the image reference of CoreDNS."""
    return (
        # For logs, exec and port-forward the API server calls kubelet, which checks these rights.
        _binding(API_SERVER_USER, "system:kubelet-api-admin", _user(API_SERVER_USER)),
        *_rights(VOLUMES_USER, _VOLUME_RULES, _user(VOLUMES_USER)),
        *firewall_rights(),
        # Public keys only; the API server accepts requests without credentials at no other path (config.py).
        _binding(_KEYS_ROLE, _KEYS_ROLE, {"apiGroup": _RBAC, "kind": "Group", "name": _ANYONE}),
        _storage_class(),
        _object("v1", "ServiceAccount", _DNS, _NAMESPACE),
        *_rights(
            "system:coredns", _DNS_RULES, {"kind": "ServiceAccount", "name": _DNS, "namespace": _NAMESPACE}
        ),
        _object("v1", "ConfigMap", _DNS, _NAMESPACE, data={"Corefile": _COREFILE.format(port=_DNS_PORT)}),
        _service(node),
        _deployment(coredns),
    )


def firewall_rights() -> Sequence[Mapping[str, Any]]:
    """Return the firewall's RBAC, which `node start` creates first: without it no pod starts."""
    return _rights(FIREWALL_USER, _FIREWALL_RULES, _user(FIREWALL_USER))


def _rule(group: str, resources: list[str], verbs: list[str]) -> Manifest:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


_VOLUME_RULES = (
    _rule("", ["persistentvolumeclaims"], _READ),
    _rule("", ["persistentvolumes"], [*_READ, "create", "delete"]),
    _rule("storage.k8s.io", ["storageclasses"], _READ),
)
_FIREWALL_RULES = (
    _rule("", ["pods", "namespaces"], _READ),
    _rule("networking.k8s.io", ["networkpolicies"], _READ),
)
_DNS_RULES = (
    _rule("", ["services", "pods", "namespaces"], _READ),
    _rule("discovery.k8s.io", ["endpointslices"], _READ),
)


def _object(version: str, kind: str, name: str, namespace: str = "", **rest: Any) -> Manifest:
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **place}, **rest}


def _user(name: str) -> Manifest:
    return {"apiGroup": _RBAC, "kind": "User", "name": name}


def _binding(name: str, role: str, subject: Manifest) -> Manifest:
    reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role}
    return _object(f"{_RBAC}/v1", "ClusterRoleBinding", name, roleRef=reference, subjects=[subject])


def _rights(name: str, rules: Sequence[Manifest], subject: Manifest) -> tuple[Manifest, Manifest]:
    """Return a ClusterRole and the binding of its subject."""
    return _object(f"{_RBAC}/v1", "ClusterRole", name, rules=list(rules)), _binding(name, name, subject)


def _storage_class() -> Manifest:
    made = _object(
        "storage.k8s.io/v1",
        "StorageClass",
        STORAGE_CLASS,
        provisioner=PROVISIONER,
        reclaimPolicy="Delete",
        volumeBindingMode="WaitForFirstConsumer",
    )
    made["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    return made


def _service(node: Node) -> Manifest:
    ports = [
        {"name": f"dns-{protocol.lower()}", "port": 53, "protocol": protocol, "targetPort": _DNS_PORT}
        for protocol in ("UDP", "TCP")
    ]
    made = _object("v1", "Service", "kube-dns", _NAMESPACE)
    made["metadata"]["labels"] = _LABELS
    made["spec"] = {"clusterIP": str(node.dns_service), "selector": _LABELS, "ports": ports}
    return made


def _deployment(image: str) -> Manifest:
    made = _object("apps/v1", "Deployment", _DNS, _NAMESPACE)
    made["metadata"]["labels"] = _LABELS
    made["spec"] = {
        "replicas": 1,
        "selector": {"matchLabels": _LABELS},
        "template": {"metadata": {"labels": _LABELS}, "spec": _pod(image)},
    }
    return made


def _pod(image: str) -> Manifest:
    return {
        "serviceAccountName": _DNS,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            "sysctls": [_LOW_PORTS],
        },
        "containers": [
            {
                "name": _DNS,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "args": ["-conf", "/etc/coredns/Corefile"],
                "ports": [
                    {"name": f"dns-{p.lower()}", "containerPort": _DNS_PORT, "protocol": p}
                    for p in ("UDP", "TCP")
                ],
                "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "192Mi"}},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 2},
                "livenessProbe": {
                    "httpGet": {"path": "/health", "port": 8080},
                    "initialDelaySeconds": 10,
                    "timeoutSeconds": 5,
                    "failureThreshold": 5,
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": _DNS}}],
    }
