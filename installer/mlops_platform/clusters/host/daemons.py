"""The programs of the node: their command lines, and which of them need the API server first."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.base.labels import GPU
from mlops_platform.clusters.host.layout import API_PORT, FIREWALL_SOCKET, INSIDE, INSIDE_PROGRAMS, Node

# The name that `go build` gives to go.etcd.io/etcd/server/v3 depends on the call: the last element of
# the path, or the one before a version suffix.
ETCD_NAMES = ("etcd", "server", "v3")
_PKI = INSIDE / "pki"
_ETCD = "http://127.0.0.1:2379"
_ETCD_PEER = "http://127.0.0.1:2380"


@dataclass(frozen=True)
class Daemon:
    """One long-running program. `needs_api`: started once the API server is ready.

    `socket`: PID 1 listens there and passes the descriptor on (`--listen`), so that callers wait, and get
    no error, while the program restarts.
    """

    name: str
    argv: tuple[str, ...]
    needs_api: bool = False
    socket: Path | None = None


def daemons(node: Node) -> tuple[Daemon, ...]:
    """Return the programs in the order of starting. PID 1 stops kubelet and etcd, the kernel the others."""
    return (
        _etcd(node),
        _apiserver(node),
        Daemon("containerd", ("containerd", "--config", str(INSIDE / "config" / "containerd.toml"))),
        _firewall(node),
        _kubelet(node),
        _controller_manager(node),
        _scheduler(),
        _proxy(),
        _volumes(node),
        *([_gpus(node)] if node.simulated_gpus else []),
    )


def etcd_binary(folder: Path) -> Path | None:
    """Return the etcd server in a folder of built programs."""
    return next((folder / name for name in ETCD_NAMES if (folder / name).is_file()), None)


def _kubernetes(name: str) -> str:
    return str(INSIDE_PROGRAMS / "kubernetes" / name)


def _flags(**values: object) -> tuple[str, ...]:
    return tuple(f"--{key.replace('_', '-')}={value}" for key, value in values.items())


def _etcd(node: Node) -> Daemon:
    flags = _flags(
        name=node.name,
        data_dir="/var/lib/etcd",
        listen_client_urls=_ETCD,
        advertise_client_urls=_ETCD,
        listen_peer_urls=_ETCD_PEER,
        initial_advertise_peer_urls=_ETCD_PEER,
        initial_cluster=f"{node.name}={_ETCD_PEER}",
        auto_compaction_retention="5m",
        log_level="warn",
    )
    return Daemon("etcd", (str(INSIDE_PROGRAMS / "etcd" / node.etcd.name), *flags))


def _apiserver(node: Node) -> Daemon:
    flags = _flags(
        etcd_servers=_ETCD,
        service_cluster_ip_range=node.services,
        bind_address=node.address,
        advertise_address=node.address,
        secure_port=API_PORT,
        tls_cert_file=_PKI / "apiserver.crt",
        tls_private_key_file=_PKI / "apiserver.key",
        client_ca_file=_PKI / "ca.crt",
        authentication_config=INSIDE / "config" / "authentication.json",
        authorization_mode="Node,RBAC",
        enable_admission_plugins="NodeRestriction,ExtendedResourceToleration",
        allow_privileged="true",
        service_account_key_file=_PKI / "service-account.pub",
        service_account_signing_key_file=_PKI / "service-account.key",
        service_account_issuer="https://kubernetes.default.svc.cluster.local",
        # A pod may ask for a token of any length, and other programs give credentials until it ends.
        service_account_max_token_expiration="1h",  # noqa: S106
        encryption_provider_config=_PKI / "encryption.json",
        kubelet_client_certificate=_PKI / "apiserver-kubelet.crt",
        kubelet_client_key=_PKI / "apiserver-kubelet.key",
        kubelet_certificate_authority=_PKI / "ca.crt",
        kubelet_preferred_address_types="InternalIP",
        requestheader_client_ca_file=_PKI / "front-proxy-ca.crt",
        requestheader_allowed_names="front-proxy-client",
        requestheader_extra_headers_prefix="X-Remote-Extra-",
        requestheader_group_headers="X-Remote-Group",
        requestheader_username_headers="X-Remote-User",
        proxy_client_cert_file=_PKI / "front-proxy.crt",
        proxy_client_key_file=_PKI / "front-proxy.key",
        # A list from the watch cache waits up to 0.1 s until the cache is fresh (2026-11-24), and every
        # pod start waits for the list of its policies: without a cache, etcd answers in 3 ms.
        watch_cache_sizes="networkpolicies.networking.k8s.io#0",
        profiling="false",
    )
    return Daemon("apiserver", (_kubernetes("kube-apiserver"), *flags))


def _kubelet(node: Node) -> Daemon:
    flags = _flags(
        config=INSIDE / "config" / "kubelet.json",
        kubeconfig=_PKI / "kubelet.conf",
        hostname_override=node.name,
        node_ip=node.address,
    )
    return Daemon("kubelet", (_kubernetes("kubelet"), *flags), needs_api=True)


def _controller_manager(node: Node) -> Daemon:
    kubeconfig = _PKI / "controller-manager.conf"
    flags = _flags(
        kubeconfig=kubeconfig,
        authentication_kubeconfig=kubeconfig,
        authorization_kubeconfig=kubeconfig,
        service_account_private_key_file=_PKI / "service-account.key",
        root_ca_file=_PKI / "ca.crt",
        cluster_cidr=node.pods,
        service_cluster_ip_range=node.services,
        use_service_account_credentials="true",
        # Every controller first gets its own account: with the default of 20 calls a second that took 4 s
        # (2026-11-24), and until then no controller could create a pod.
        kube_api_qps=500,
        kube_api_burst=1000,
        leader_elect="false",
        bind_address="127.0.0.1",
        # The default is in /usr/libexec, a folder that would be created on the host.
        flex_volume_plugin_dir="/var/lib/kubelet/volume-plugins",
        profiling="false",
    )
    return Daemon("controller-manager", (_kubernetes("kube-controller-manager"), *flags), needs_api=True)


def _scheduler() -> Daemon:
    kubeconfig = _PKI / "scheduler.conf"
    flags = _flags(
        kubeconfig=kubeconfig,
        authentication_kubeconfig=kubeconfig,
        authorization_kubeconfig=kubeconfig,
        leader_elect="false",
        bind_address="127.0.0.1",
        profiling="false",
    )
    return Daemon("scheduler", (_kubernetes("kube-scheduler"), *flags), needs_api=True)


def _proxy() -> Daemon:
    argv = (_kubernetes("kube-proxy"), *_flags(config=INSIDE / "config" / "proxy.json"))
    return Daemon("proxy", argv, needs_api=True)


def _volumes(node: Node) -> Daemon:
    return Daemon("volumes", _own("volumes", node), needs_api=True)


def _gpus(node: Node) -> Daemon:
    """The device plugin of simulated GPUs. It ends when the kubelet starts again: then it registers again."""
    flags = _flags(resource=GPU, count=node.simulated_gpus)
    return Daemon("gpus", (str(INSIDE_PROGRAMS / "gpus" / "gpus"), *flags), needs_api=True)


def _firewall(node: Node) -> Daemon:
    return Daemon("firewall", _own("firewall.agent", node), needs_api=True, socket=FIREWALL_SOCKET)


def interpreter() -> str:
    """The path of the running Python, under its versioned name.

    `python` and `python3.11` of one virtual environment are one: another name would restart the node.
    """
    versioned = Path(sys.executable).with_name(f"python{sys.version_info.major}.{sys.version_info.minor}")
    return str(versioned) if versioned.exists() else sys.executable


def _own(module: str, node: Node) -> tuple[str, ...]:
    file = INSIDE / node.file.name
    return interpreter(), "-m", f"mlops_platform.clusters.host.{module}", "--config", str(file)
