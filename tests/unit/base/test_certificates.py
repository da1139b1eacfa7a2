"""Tests of the environment's authority: names, purposes and times of its certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from mlops_platform.base.certificates import authority, certificate
from mlops_platform.steps.certificates import RENEW, due

NOW = datetime.now(UTC)
DOMAIN = "mlops.localhost"


def verified(made: dict[str, str], name: str, when: datetime, root: str) -> None:
    """Verify a certificate as a browser does. Raises VerificationError."""
    store = Store([x509.load_pem_x509_certificate(root.encode())])
    verifier = PolicyBuilder().store(store).time(when).build_server_verifier(x509.DNSName(name))
    verifier.verify(x509.load_pem_x509_certificate(made["tls.crt"].encode()), [])


def test_certificate_is_valid_for_names_directly_below_domain() -> None:
    root = authority("local", NOW)
    made = certificate(root, DOMAIN, NOW)
    for name in (DOMAIN, f"mlflow.{DOMAIN}", f"login.{DOMAIN}"):
        verified(made, name, NOW, root["ca.crt"])


@pytest.mark.parametrize("name", ["example.com", f"a.b.{DOMAIN}", "localhost"])
def test_certificate_is_not_valid_for_other_names(name: str) -> None:
    root = authority("local", NOW)
    with pytest.raises(VerificationError):
        verified(certificate(root, DOMAIN, NOW), name, NOW, root["ca.crt"])


def test_authority_of_another_environment_is_not_trusted() -> None:
    with pytest.raises(VerificationError):
        verified(
            certificate(authority("local", NOW), DOMAIN, NOW), DOMAIN, NOW, authority("local", NOW)["ca.crt"]
        )


def test_expired_certificate_is_not_trusted_and_is_renewed_before() -> None:
    root = authority("local", NOW)
    made = certificate(root, DOMAIN, NOW)
    ends = datetime.fromisoformat(made["ends"])
    with pytest.raises(VerificationError):
        verified(made, DOMAIN, ends + timedelta(days=1), root["ca.crt"])
    assert not due(made, DOMAIN)
    old = certificate(root, DOMAIN, now=NOW - (ends - NOW) + RENEW - timedelta(days=1))
    assert "renew" in due(old, DOMAIN)
    assert due(made, "mlops.example.com") and due({}, DOMAIN)


def test_certificate_signs_nothing_and_authority_signs_servers_only() -> None:
    root = authority("local", NOW)
    leaf = x509.load_pem_x509_certificate(certificate(root, DOMAIN, NOW)["tls.crt"].encode())
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    signer = x509.load_pem_x509_certificate(root["ca.crt"].encode())
    assert signer.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert not names.get_values_for_type(x509.IPAddress)
