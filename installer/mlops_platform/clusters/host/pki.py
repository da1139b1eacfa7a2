"""The node's keys and certificates, renewed in time, only in the state folder."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mlops_platform.base.certificates import key_pem, usage
from mlops_platform.base.files import write_private
from mlops_platform.clusters.host import renewal
from mlops_platform.clusters.host.layout import API_SERVER_USER, FIREWALL_USER, INSIDE, VOLUMES_USER, Node

AUTHORITY_YEARS = 10
CERTIFICATE_DAYS = 365
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Identity:
    """One certificate: its subject, and the names and addresses it is valid for."""

    file: str
    common_name: str
    groups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()
    authority: str = "ca"


def identities(node: Node) -> tuple[Identity, ...]:
    """The identities of all TLS clients and servers of the node."""
    service = "kubernetes.default.svc"
    own = (node.address, node.api_service, IPv4Address("127.0.0.1"))
    names = ("kubernetes", "kubernetes.default", service, f"{service}.cluster.local", "localhost")
    return (
        Identity("apiserver", "kube-apiserver", names=names, addresses=own),
        Identity("apiserver-kubelet", API_SERVER_USER),
        Identity("front-proxy", "front-proxy-client", authority="front-proxy-ca"),
        Identity("admin", "admin", groups=("system:masters",)),
        Identity("controller-manager", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        Identity("proxy", "system:kube-proxy"),
        Identity("volumes", VOLUMES_USER),
        Identity("firewall", FIREWALL_USER),
        Identity(
            "kubelet",
            f"system:node:{node.name}",
            groups=("system:nodes",),
            names=(node.name,),
            addresses=(node.address,),
        ),
    )


def ensure(node: Node, kubeconfig: Path, *, now: datetime | None = None) -> datetime:
    """Create missing certificates, renew those that expire within renewal.RENEW; return the first expiry.

    A certificate with another subject or issuer is replaced.
    """
    moment = now or datetime.now(UTC)
    node.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    authorities = {name: _authority(node.pki, name, moment) for name in ("ca", "front-proxy-ca")}
    ends = []
    for identity in identities(node):
        certificate, key = authorities[identity.authority]
        ends.append(_certificate(node.pki, identity, certificate, key, moment))
    _service_account_key(node.pki)
    _encryption(node.pki)
    for user in ("controller-manager", "scheduler", "proxy", "kubelet"):
        write_private(node.pki / f"{user}.conf", _inside_kubeconfig(node, user))
    write_private(kubeconfig, _admin_kubeconfig(node))
    first = min(ends)
    renewal.record(node, first)
    return first


def _authority(folder: Path, name: str, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    files = folder / f"{name}.crt", folder / f"{name}.key"
    if all(file.exists() for file in files):
        key = serialization.load_pem_private_key(files[1].read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return x509.load_pem_x509_certificate(files[0].read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"mlops-platform {name}")])
    builder = (
        _builder(subject, subject, key, now, timedelta(days=365 * AUTHORITY_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    _write_pair(folder, name, certificate, key)
    return certificate, key


def _certificate(
    folder: Path,
    identity: Identity,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> datetime:
    file = folder / f"{identity.file}.crt"
    if file.exists() and file.with_suffix(".key").exists():
        old = x509.load_pem_x509_certificate(file.read_bytes())
        if _still_good(old, identity, authority, now) and _belongs(file.with_suffix(".key"), old):
            return old.not_valid_after_utc
    key = ec.generate_private_key(ec.SECP256R1())
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = _builder(_subject(identity), authority.subject, key, now, timedelta(days=CERTIFICATE_DAYS))
    if identity.names:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        builder = builder.add_extension(_alternatives(identity), critical=False)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
    )
    certificate = builder.sign(authority_key, hashes.SHA256())
    _write_pair(folder, identity.file, certificate, key)
    return certificate.not_valid_after_utc


def _still_good(
    certificate: x509.Certificate, identity: Identity, authority: x509.Certificate, now: datetime
) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    if certificate.subject != _subject(identity):
        return False
    if identity.names:
        seen = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if seen != _alternatives(identity):
            return False
    return now < certificate.not_valid_after_utc - renewal.RENEW


def _belongs(key: Path, certificate: x509.Certificate) -> bool:
    """True: key and certificate match; a kill during a renewal leaves a new key with the old certificate."""
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    return private.public_key() == certificate.public_key()


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    validity: timedelta,
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _CLOCK_SKEW,
        not_valid_after=now + validity,
    )


def _subject(identity: Identity) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in identity.groups]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name)])


def _alternatives(identity: Identity) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in identity.names]
    return x509.SubjectAlternativeName([*names, *(x509.IPAddress(a) for a in identity.addresses)])


def _write_pair(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    # The key first: a certificate without its key would look complete after a kill in between.
    write_private(folder / f"{name}.key", key_pem(key))
    write_private(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _service_account_key(folder: Path) -> None:
    """Create the key that signs ServiceAccount tokens; a new one would invalidate them."""
    private, public = folder / "service-account.key", folder / "service-account.pub"
    if not private.exists():
        write_private(private, key_pem(ec.generate_private_key(ec.SECP256R1())))
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    encoded = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_private(public, encoded)


def _encryption(folder: Path) -> None:
    """Create the key with which Secrets are encrypted in etcd."""
    file = folder / "encryption.json"
    if file.exists():
        return
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    provider = {"secretbox": {"keys": [{"name": "first", "secret": key}]}}
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [provider]}],
    }
    write_private(file, json.dumps(document))


def _inside_kubeconfig(node: Node, user: str) -> str:
    """A kubeconfig for programs of the node, with paths, so that a renewal changes one file."""
    pki = INSIDE / "pki"
    return _kubeconfig(
        node,
        user,
        {"certificate-authority": str(pki / "ca.crt")},
        {"client-certificate": str(pki / f"{user}.crt"), "client-key": str(pki / f"{user}.key")},
    )


def _admin_kubeconfig(node: Node) -> str:
    """A kubeconfig for users on the host, with its data, so that it can be copied."""

    def data(name: str) -> str:
        return base64.b64encode((node.pki / name).read_bytes()).decode()

    return _kubeconfig(
        node,
        "admin",
        {"certificate-authority-data": data("ca.crt")},
        {"client-certificate-data": data("admin.crt"), "client-key-data": data("admin.key")},
    )


def _kubeconfig(node: Node, user: str, authority: dict[str, str], credentials: dict[str, str]) -> str:
    cluster = f"mlops-{node.environment}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": node.endpoint, **authority}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
        "current-context": cluster,
    }
    return json.dumps(document, indent=2) + "\n"
