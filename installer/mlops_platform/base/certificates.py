"""Certificates of servers, each signed by an authority of ours: of an environment, or of one component."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_DAYS = 3650
_CERTIFICATE_DAYS = 397  # browsers refuse longer ones: https://cabforum.org/working-groups/server/
_CLOCK_SKEW = timedelta(minutes=5)


def authority(title: str, now: datetime | None = None) -> dict[str, str]:
    """Make an authority: ca.crt and ca.key in PEM. It signs certificates of servers only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"mlops-platform {title}")])
    moment = now or datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(),
            moment - _CLOCK_SKEW, moment + timedelta(days=_AUTHORITY_DAYS),
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    return {"ca.crt": _pem(certificate), "ca.key": key_pem(key)}


def certificate(held: Mapping[str, str], domain: str, now: datetime | None = None) -> dict[str, str]:
    """Make a server's tls.crt, tls.key and ca.crt, for the domain and every name directly below it."""
    signer = serialization.load_pem_private_key(held["ca.key"].encode(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(held["ca.crt"].encode())
    key = ec.generate_private_key(ec.SECP256R1())
    moment = now or datetime.now(UTC)
    ends = moment + timedelta(days=_CERTIFICATE_DAYS)
    # A common name has 64 characters at most; clients ignore it if there are alternative names.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[-64:])])
    names = x509.SubjectAlternativeName([x509.DNSName(f"*.{domain}"), x509.DNSName(domain)])
    made = (
        x509.CertificateBuilder(
            issuer.subject, name, key.public_key(), x509.random_serial_number(),
            moment - _CLOCK_SKEW, ends,
        )
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )  # fmt: skip
    return {
        "tls.crt": _pem(made),
        "tls.key": key_pem(key),
        "ca.crt": held["ca.crt"],
        "domain": domain,
        "ends": ends.isoformat(timespec="seconds"),
    }


def outlives_certificates(held: Mapping[str, str], now: datetime | None = None) -> bool:
    """Return whether an authority is valid for as long as a certificate that it signs now."""
    ends = x509.load_pem_x509_certificate(held["ca.crt"].encode()).not_valid_after_utc
    return ends > (now or datetime.now(UTC)) + timedelta(days=_CERTIFICATE_DAYS)


def usage(*, signs: bool) -> x509.KeyUsage:
    """Return the key usage of an authority (`signs`) or of a server or client."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a key as unencrypted PEM."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()
