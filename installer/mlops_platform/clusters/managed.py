"""Managed services: what a cloud has in place of components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mlops_platform.adapters.s3 import Bucket


class Managed(Protocol):
    """A service of the cloud in place of a component that provides a capability."""

    @property
    def endpoints(self) -> Sequence[tuple[str, int]]:
        """CIDRs and ports at which pods reach it."""


class ManagedService(Managed, Protocol):
    """A managed service that authenticates pods by their service account (EKS Pod Identity)."""

    @property
    def jobs(self) -> bool:
        """True: Jobs and probes of a component have access too, not only its own pods."""

    def values(self, namespace: str) -> Mapping[str, str]:
        """The values of a component's Secret, as for an account at a component; no password."""

    def grant(self, namespace: str, accounts: Sequence[str]) -> None:
        """Give pods with these service accounts access to their namespace's part. Idempotent."""


class ManagedData(Managed, Protocol):
    """The data of projects in the object store of the cloud, each in a part of its own."""

    def uri(self, project: str) -> str:
        """The place of a project's data, such as s3://bucket/prefix."""

    def environment(self, project: str) -> Mapping[str, str]:
        """The variables with which AWS SDKs in pods of the project find it; no secret."""

    def grant(self, project: str, accounts: Mapping[str, bool]) -> None:
        """Give pods with these service accounts access; true: they write too. Idempotent."""

    def remove(self, project: str, *, keep_data: bool) -> int:
        """End all access of the project's pods, delete its objects, and return their number. Idempotent."""

    def bucket(self, project: str) -> Bucket:
        """A project's data, with the login of the user."""


class ManagedServer(Managed, Protocol):
    """A managed server in which the component's own script creates accounts."""

    @property
    def address(self) -> tuple[str, int]:
        """Its host name and port."""

    def admin(self) -> Mapping[str, str]:
        """`user` and `password` of the account that may create others."""
