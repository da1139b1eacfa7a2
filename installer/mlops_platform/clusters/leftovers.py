"""What an inventory finds: leftovers, what `down --retain` keeps, environments of other machines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Leftover:
    """An object that an inventory found.

    `keep` says why it stays on purpose: it is no leak. `ours`: it certainly belongs to the environment; only
    then a sweep deletes it. `blocks`: Terraform's destroy would wait for it in vain. `protected`: the cloud
    refuses to delete it.
    """

    kind: str
    id: str
    detail: str = ""
    keep: str = ""
    ours: bool = True
    blocks: bool = False
    protected: bool = False


@dataclass(frozen=True)
class Retain:
    """The meaning of a word of `down --retain`: kinds of an inventory, and their Terraform types."""

    kinds: tuple[str, ...]
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class RemoteEnvironment:
    """An environment found by its tags, on any machine. `made` and `expires` are RFC 3339 or ''.

    `file` is its environment file as recorded; '' when there is no record, so that its owner is unknown.
    `hourly` is its lowest cost in dollars, None when unknown.
    """

    name: str
    account: str
    region: str
    objects: int
    owner: str = ""
    made: str = ""
    expires: str = ""
    file: str = ""
    hourly: float | None = None
