"""The step that makes a certificate of an own authority, and renews it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.run.secrets import SecretSource
from mlops_platform.steps.base import ComponentStep

RENEW = timedelta(days=30)


@dataclass(frozen=True)
class Wanted:
    """A certificate for a domain and the names below it, in Secrets `names`; `authority` is one more Secret.

    `title` names the authority. The Secrets with the certificate do not have the authority's key.
    """

    secrets: SecretSource
    namespace: str
    authority: str
    names: tuple[str, ...]
    domain: str
    title: str

    def stored(self) -> list[dict[str, str]]:
        """The contents of each Secret; empty if it is missing."""
        return [dict(self.secrets.read(self.namespace, name)) for name in self.names]

    def due(self) -> str:
        """'' or the reason to make a certificate."""
        first, *others = self.stored()
        missing = "make a certificate" if any(each != first for each in others) else ""
        return due(first, self.domain) or missing

    def days_left(self) -> int | None:
        """Days until the certificate ends, negative after that; None without one."""
        stored = self.secrets.read(self.namespace, self.names[0])
        return (datetime.fromisoformat(stored["ends"]) - datetime.now(UTC)).days if stored else None

    def make(self) -> None:
        """Sign a new certificate; an authority that would end before it is replaced too."""
        from mlops_platform.base import certificates  # loads cryptography

        signer = dict(self.secrets.read(self.namespace, self.authority))
        if not signer or not certificates.outlives_certificates(signer):
            signer = certificates.authority(self.title)
            self.secrets.write(self.namespace, self.authority, signer)
        made = certificates.certificate(signer, self.domain)
        for name in self.names:
            self.secrets.write(self.namespace, name, made)


@dataclass(frozen=True)
class MakeOwnCertificate(ComponentStep, ABC):
    """A certificate of an own authority, renewed 30 days before it ends."""

    @property
    @abstractmethod
    def wanted(self) -> Wanted: ...

    def observe(self) -> Difference | None:
        wrong = self.wanted.due()
        return Difference(wrong) if wrong else None

    def run(self, progress: Progress) -> None:
        self.context.clients.kube_for_write()
        self.wanted.make()


def due(stored: Mapping[str, str], domain: str) -> str:
    """'' or the reason to make a certificate; parses no certificate, so that a no-op `up` stays fast."""
    if not stored.get("tls.crt"):
        return "make a certificate"
    if stored.get("domain") != domain:
        return f"make a certificate for {domain}"
    left = datetime.fromisoformat(stored["ends"]) - datetime.now(UTC)
    if left < timedelta(0):
        return "renew the certificate: it has ended"
    return f"renew the certificate: it ends in {left.days} days" if left < RENEW else ""
