"""The configuration files of the node's programs; their paths are those inside the node."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlops_platform.base.files import write_private
from mlops_platform.clusters.base import TrustedIssuer
from mlops_platform.clusters.host import sign_in
from mlops_platform.clusters.host.layout import (
    CONTAINERD_SOCKET,
    FIREWALL_SOCKET,
    INSIDE,
    INSIDE_PLUGINS,
    Node,
)

PLUGIN = "mlops-firewall"
CNI_FOLDER = INSIDE / "config" / "cni"


def render(node: Node) -> Mapping[str, str]:
    """Map names below config/ to contents. Their digest decides on a restart."""
    return {
        "authentication.json": _json(_authentication()),
        "containerd.toml": _containerd(node),
        "kubelet.json": _json(_kubelet(node)),
        "proxy.json": _json(_proxy(node)),
        "cni/10-mlops.conflist": _json(_network(node)),
        # The node has no route outside, so the machine's resolver is useless to pods.
        "resolv.conf": "",
        "hosts": f"127.0.0.1 localhost\n{node.address} {node.name}\n",
        "hostname": f"{node.name}\n",
    }


def write(node: Node) -> None:
    """Write the files, with the issuer that was set while the node was running.

    An equal file stays: some are mounted in a running node, which would not see a new one.
    """
    for name, content in {**render(node), **with_issuer(node, sign_in.read(node))}.items():
        file = node.config / name
        if not file.exists() or file.read_text() != content:
            write_private(file, content, mode=0o644)


def with_issuer(node: Node, issuer: TrustedIssuer | None) -> Mapping[str, str]:
    """The files that name an OIDC issuer."""
    return {
        "authentication.json": _json(sign_in.authentication(_authentication(), issuer)),
        "hosts": sign_in.hosts(render(node)["hosts"], issuer),
    }


def _json(document: object) -> str:
    return json.dumps(document, indent=2) + "\n"


def _containerd(node: Node) -> str:
    """containerd's file in version 2 of the format, which every containerd since 1.3 reads, also 2.x."""
    return f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
# The "opt" plugin would create /opt/containerd; the others need file systems that do not exist here.
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.nri.v1.nri",
]
[grpc]
address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{node.pause_image}"
# Without CAP_SYS_RESOURCE the OOM score of a process cannot be below that of its parent.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{INSIDE_PLUGINS}"
conf_dir = "{CNI_FOLDER}"
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def _authentication() -> dict[str, Any]:
    """Who may call the API server without a client certificate or a service account's token.

    Without credentials only the public keys of these tokens can be read: programs such as an object store
    that exchange them for their own credentials send none (MinIO, internal/config/identity/openid).
    """
    paths = ("/.well-known/openid-configuration", "/openid/v1/jwks")
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": True, "conditions": [{"path": path} for path in paths]},
    }


def _kubelet(node: Node) -> dict[str, object]:
    pki = INSIDE / "pki"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "failSwapOn": False,
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "readOnlyPort": 0,
        "clusterDNS": [str(node.dns_service)],
        "clusterDomain": "cluster.local",
        "resolvConf": str(INSIDE / "config" / "resolv.conf"),
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        # The default is in /usr/libexec, a folder that would be created on the host.
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        # A heartbeat every 10 s even without changes: a stale one shows a dead kubelet.
        "nodeStatusUpdateFrequency": "10s",
        "nodeStatusReportFrequency": "10s",
        "nodeStatusMaxImages": -1,
        # No garbage collection: images cannot be pulled, and containerd 1.6 does not pin the pause image.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 3,
        "serializeImagePulls": False,
    }


def _proxy(node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": str(node.pods),
        "hostnameOverride": node.name,
        "bindAddress": str(node.address),
        "healthzBindAddress": f"{node.address}:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "clientConnection": {"kubeconfig": str(INSIDE / "pki" / "proxy.conf")},
        # nf_conntrack_max can only be set in the machine's own network namespace.
        "conntrack": {"maxPerCore": 0},
    }


def _network(node: Node) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        # On the node's tmpfs: after a kill, the addresses of its pods are free.
        "dataDir": "/run/cni-addresses",
        "ranges": [[{"subnet": str(node.pods)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "0.4.0",
        "name": "mlops",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}},
            # Last: its answer decides if the pod may start.
            {"type": PLUGIN, "socket": str(FIREWALL_SOCKET)},
        ],
    }
