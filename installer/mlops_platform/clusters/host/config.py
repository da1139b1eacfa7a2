"""Owns the configuration files of the node's programs; all paths in them are the node's own."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlops_platform.base.files import write_private
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
    """Name below config/ -> content. Pure: its digest says whether a running node must be restarted."""
    return {
        "containerd.toml": _containerd(node),
        "kubelet.json": _json(_kubelet(node)),
        "proxy.json": _json(_proxy(node)),
        "cni/10-mlops.conflist": _json(_network(node)),
        # Nothing outside is reachable from the node, so the machine's own resolver is of no use to pods.
        "resolv.conf": "",
        "hosts": f"127.0.0.1 localhost\n{node.address} {node.name}\n",
        "hostname": f"{node.name}\n",
    }


def write(node: Node) -> None:
    for name, content in render(node).items():
        write_private(node.config / name, content, mode=0o644)


def _json(document: object) -> str:
    return json.dumps(document, indent=2) + "\n"


def _containerd(node: Node) -> str:
    """Version 2 of the format is read by every containerd since 1.3, also by 2.x."""
    return f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
# The "opt" plugin would make /opt/containerd, the others look for file systems that are not there.
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
# Without CAP_SYS_RESOURCE a process cannot be made harder to kill than its parent.
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
        # The default lies in /usr/libexec and would be made on the host.
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        # A heartbeat every 10 s even when nothing changed: a stale one is how a dead kubelet is seen.
        "nodeStatusUpdateFrequency": "10s",
        "nodeStatusReportFrequency": "10s",
        "nodeStatusMaxImages": -1,
        # Images cannot be pulled again here, and containerd 1.6 does not pin the pause image: never collect.
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
        # On the node's tmpfs: addresses of pods that a kill took away are free again.
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
            # Last: what it answers is whether the pod may start at all.
            {"type": PLUGIN, "socket": str(FIREWALL_SOCKET)},
        ],
    }
