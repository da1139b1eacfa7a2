"""A real API server for tests: etcd and kube-apiserver on loopback, a temporary PKI, no kubelet."""

from __future__ import annotations

import base64
import ipaddress
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mlops_platform.adapters.buildonce import tethered
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.process import spawn, tail
from mlops_platform.adapters.programs import Program, Programs
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.clusters.host.daemons import etcd_binary

from tests import ROOT

_PROGRAMS = ROOT / "installer/mlops_platform/clusters/host/programs"


@dataclass
class ApiServer:
    """A running server; its objects survive `stop` and `start`."""

    folder: Path
    programs: Path
    port: int
    etcd: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def start(self) -> None:
        pki = self.folder / "pki"
        flags = {
            "etcd-servers": self.etcd,
            "bind-address": "127.0.0.1",
            "secure-port": self.port,
            "tls-cert-file": pki / "server.crt",
            "tls-private-key-file": pki / "server.key",
            "client-ca-file": pki / "ca.crt",
            "authorization-mode": "RBAC",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": pki / "accounts.pub",
            "service-account-signing-key-file": pki / "accounts.key",
            "service-cluster-ip-range": "10.96.0.0/24",
            "endpoint-reconciler-type": "none",
            # No controller creates service accounts here, and admission would reject every pod.
            "disable-admission-plugins": "ServiceAccount",
        }
        argv = [str(self.programs / "kube-apiserver"), *(f"--{k}={v}" for k, v in flags.items())]
        log = self.folder / "apiserver.log"
        self.process = spawn(tethered(argv), stdout=log)
        kube = Kube(self.kubeconfig)

        def ready() -> bool | Pending:
            assert self.process and self.process.poll() is None, tail(log.read_text())
            try:
                return kube.get("v1", "Namespace", "default") is not None or Pending("no namespace yet")
            except KubeError as error:
                return Pending(error.why)

        wait_until("API server", ready, seconds=60)

    def stop(self) -> None:
        if self.process:
            _end(self.process)
            self.process = None


@contextmanager
def running(folder: Path) -> Iterator[ApiServer]:
    """Run both programs, and build them first if they are missing."""
    etcd_folder, kubernetes = (_built(name) for name in ("etcd", "kubernetes"))
    binary = etcd_binary(etcd_folder)
    assert binary
    client, peer, port = (free_port() for _ in range(3))
    url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    flags = {
        "data-dir": folder / "etcd",
        "listen-client-urls": url,
        "advertise-client-urls": url,
        "listen-peer-urls": peer_url,
        "initial-advertise-peer-urls": peer_url,
        "initial-cluster": f"default={peer_url}",
        "unsafe-no-fsync": "true",
        "log-level": "error",
    }
    _write_pki(folder, port)
    argv = [str(binary), *(f"--{k}={v}" for k, v in flags.items())]
    etcd = spawn(tethered(argv), stdout=folder / "etcd.log")
    server = ApiServer(folder, kubernetes, port, url)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        _end(etcd)


def built(program: Program) -> Path:
    """Path of a program in the shared cache."""
    return Programs(Paths.default().cache).build(program, Silent(), Cancel())


def _built(name: str) -> Path:
    return built(Program(name, _PROGRAMS / name))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_pki(folder: Path, port: int) -> None:
    """Write certificates of an authority, a server and an administrator for a day, and a kubeconfig."""
    pki = folder / "pki"
    pki.mkdir()
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("test authority", authority_key, "test authority", authority_key)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server_key, admin_key, accounts = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    server = _certificate("server", server_key, "test authority", authority_key, extension=address)
    admin = _certificate("admin", admin_key, "test authority", authority_key, group="system:masters")
    (pki / "ca.crt").write_bytes(authority)
    (pki / "server.crt").write_bytes(server)
    (pki / "server.key").write_bytes(_pem(server_key))
    (pki / "accounts.key").write_bytes(_pem(accounts))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    (pki / "accounts.pub").write_bytes(accounts.public_key().public_bytes(serialization.Encoding.PEM, public))
    inline = {
        "certificate-authority": authority,
        "client-certificate": admin,
        "client-key": _pem(admin_key),
    }
    data = {f"{key}-data": base64.b64encode(value).decode() for key, value in inline.items()}
    cluster = {"server": f"https://127.0.0.1:{port}", **{k: v for k, v in data.items() if "authority" in k}}
    user = {k: v for k, v in data.items() if "client" in k}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "admin", "user": user}],
    }
    (folder / "kubeconfig").touch(mode=0o600)
    (folder / "kubeconfig").write_text(json.dumps(config))


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    group: str = "",
    extension: x509.ExtensionType | None = None,
) -> bytes:
    now = datetime.now(UTC)
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    subject += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        subject_name=x509.Name(subject),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(minutes=5),
        not_valid_after=now + timedelta(days=1),
    )
    is_authority = name == issuer
    builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    if extension:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
