"""Webhook certificates in a real cluster: made once, renewed before they end, known to `status`."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from mlops_platform.adapters.kube import Kube
from mlops_platform.base import certificates
from mlops_platform.base.progress import Silent
from mlops_platform.report.status import _ending
from mlops_platform.run.context import Context
from mlops_platform.run.secrets import KubernetesSecrets
from mlops_platform.steps.release.values import release_of
from mlops_platform.steps.release.webhook_certificate import MakeWebhookCertificate

from tests.integration.release.components import operator

pytestmark = pytest.mark.integration

NAMES = ["hook-cert", "metrics-cert"]
NOW = datetime.now(UTC)


@pytest.fixture
def step(kube: Kube, namespace: str) -> MakeWebhookCertificate:
    secrets = KubernetesSecrets(kube)
    context = SimpleNamespace(
        clients=SimpleNamespace(kube=kube, kube_for_write=lambda: kube),
        cluster_secrets=secrets,
        secrets=secrets,
        environment=SimpleNamespace(name="test"),
    )
    certificate = {"service": "hooks", "secrets": NAMES}
    resolved = operator(namespace, webhooks=[9443], webhookCertificate=certificate)
    return MakeWebhookCertificate(cast(Context, context), resolved)


def stored(step: MakeWebhookCertificate, name: str) -> dict[str, str]:
    return dict(step.context.cluster_secrets.read(step.resolved.namespace, name))


def summary(step: MakeWebhookCertificate) -> str:
    difference = step.observe()
    return difference.summary if difference else ""


def age_to(step: MakeWebhookCertificate, left: timedelta) -> None:
    """Replace the certificate by one of the same authority that ends after `left`."""
    authority = stored(step, "operator-webhook-authority")
    full = datetime.fromisoformat(certificates.certificate(authority, "x", NOW)["ends"]) - NOW
    made = certificates.certificate(authority, f"{step.resolved.namespace}.svc", NOW - full + left)
    for name in NAMES:
        step.context.cluster_secrets.write(step.resolved.namespace, name, made)


def test_certificate_is_made_once_for_every_service_and_without_the_key_of_its_authority(
    step: MakeWebhookCertificate,
) -> None:
    assert summary(step) == "make a certificate"
    step.run(Silent())
    assert summary(step) == ""
    first, second = (stored(step, name) for name in NAMES)
    assert first == second
    assert "ca.key" not in first
    store = Store([x509.load_pem_x509_certificate(first["ca.crt"].encode())])
    for service in ("hooks", "metrics"):
        name = x509.DNSName(f"{service}.{step.resolved.namespace}.svc")
        verifier = PolicyBuilder().store(store).build_server_verifier(name)
        verifier.verify(x509.load_pem_x509_certificate(first["tls.crt"].encode()), [])


@pytest.mark.parametrize("name", NAMES)
def test_deleted_secret_is_made_again(step: MakeWebhookCertificate, name: str) -> None:
    step.run(Silent())
    step.context.cluster_secrets.delete(step.resolved.namespace, name)
    assert summary(step) == "make a certificate"
    step.run(Silent())
    assert summary(step) == ""


def test_certificate_near_its_end_is_renewed_by_the_same_authority_and_restarts_pods(
    step: MakeWebhookCertificate,
) -> None:
    step.run(Silent())
    age_to(step, timedelta(days=31))
    assert (summary(step), _ending(step.context, step.resolved)) == ("", "")
    age_to(step, timedelta(days=29, hours=1))
    assert summary(step) == "renew the certificate: it ends in 29 days"
    assert _ending(step.context, step.resolved) == "its certificate ends in 29 days; run up"
    before, old = stored(step, NAMES[0]), release_of(step.context, step.resolved).certificate
    step.run(Silent())
    assert (summary(step), _ending(step.context, step.resolved)) == ("", "")
    after, new = stored(step, NAMES[0]), release_of(step.context, step.resolved).certificate
    assert after["ca.crt"] == before["ca.crt"]
    assert ssl.PEM_cert_to_DER_cert(after["tls.crt"]) != ssl.PEM_cert_to_DER_cert(before["tls.crt"])
    assert old and new
    assert new.authority == old.authority
    assert new.digest != old.digest, "a new digest restarts the pods that mount it"


def test_ended_certificate_is_renewed_and_named(step: MakeWebhookCertificate) -> None:
    step.run(Silent())
    age_to(step, timedelta(days=-2))
    assert summary(step) == "renew the certificate: it has ended"
    assert _ending(step.context, step.resolved) == "its certificate has ended; run up"


def test_authority_that_would_end_before_a_certificate_is_replaced(step: MakeWebhookCertificate) -> None:
    space = step.resolved.namespace
    old = certificates.authority("test operator", NOW - timedelta(days=3650 - 365))
    step.context.cluster_secrets.write(space, "operator-webhook-authority", old)
    step.run(Silent())
    renewed = stored(step, "operator-webhook-authority")
    assert renewed["ca.crt"] != old["ca.crt"]
    assert stored(step, NAMES[0])["ca.crt"] == renewed["ca.crt"]
    assert release_of(step.context, step.resolved).certificate
