"""Releases as requested and as installed: digest, labels on Helm's records, differences."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlops_platform.adapters.helm.sources import ChartSource
from mlops_platform.base.digest import short_digest

# Labels on Helm's release Secrets; the digest's value ends with the number of its revision.
DIGEST_LABEL, CHART_LABEL = "mlops-platform/digest", "mlops-platform/chart"
ANSWERED_LABEL = "mlops-platform/answered"  # the revision whose webhooks have answered
PENDING = frozenset({"pending-install", "pending-upgrade", "pending-rollback"})
_FORMAT = 1  # increased when the same source and values give other objects
_LONGEST_VALUE = 60


@dataclass(frozen=True)
class Certificate:
    """The certificate of a release's webhooks: its authority in PEM, and the Secrets that pods mount.

    `digest` is that of the certificate: a new one restarts the pods.
    """

    authority: str
    secrets: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class Release:
    """A requested release. `values` contain no secrets: Helm stores them in the cluster unencrypted.

    `owner` are labels of its CustomResourceDefinitions, by which `down` finds them.
    """

    name: str
    namespace: str
    source: ChartSource
    values: Mapping[str, Any]
    timeout_seconds: float = 600
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: Mapping[str, str] = field(default_factory=dict)
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Installed:
    """The latest revision in Helm's record. `digest` is '' if another Helm made that revision.

    `answered`: its webhooks have answered once (see `Helm.note_answered`).
    """

    status: str
    digest: str
    revision: int
    chart: str
    updated: datetime
    answered: bool = False


def digest_of(release: Release, source: Sequence[str]) -> str:
    """Digest of the release's inputs in 16 hex digits; `source` is the identity of its source."""
    parts: list[Any] = [_FORMAT, list(source), dict(release.values), dict(release.labels)]
    if release.certificate:
        parts.append([release.certificate.authority, release.certificate.digest])
    return short_digest(parts)


def read_installed(records: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Installed]:
    """The latest revision of each release, from the metadata of Helm's Secrets."""
    latest: dict[tuple[str, str], Installed] = {}
    for record in records:
        meta = record["metadata"]
        labels = meta["labels"]
        key, found = (meta["namespace"], labels["name"]), _installed(labels)
        if key not in latest or found.revision > latest[key].revision:
            latest[key] = found
    return latest


def _installed(labels: Mapping[str, str]) -> Installed:
    """Parse one record: a revision of another Helm inherits our labels, but with another revision number."""
    revision = labels["version"]
    digest, _, of_revision = labels.get(DIGEST_LABEL, "").partition(".")
    seconds = int(labels.get("modifiedAt") or labels.get("createdAt") or 0)
    return Installed(
        status=labels["status"],
        digest=digest if of_revision == revision else "",
        revision=int(revision),
        chart=labels.get(CHART_LABEL, ""),
        updated=datetime.fromtimestamp(seconds, UTC),
        answered=labels.get(ANSWERED_LABEL) == revision,
    )


def decode(record: Mapping[str, Any]) -> dict[str, Any]:
    """Decode Helm's release object from its Secret: base64 in base64, gzip, JSON."""
    text = gzip.decompress(base64.b64decode(base64.b64decode(record["data"]["release"])))
    release: dict[str, Any] = json.loads(text)
    return release


def changed_lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Lines such as 'image.tag: 1 → 2' for every value that differs, sorted by key."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    return [
        f"{key}: {_short(old.get(key, '(unset)'))} → {_short(new.get(key, '(unset)'))}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _short(text: str) -> str:
    """The value shortened to one line of the screen."""
    line = text.replace("\n", "⏎")
    return line if len(line) <= _LONGEST_VALUE else f"{line[: _LONGEST_VALUE - 1]}…"


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{key}[{index}]")
    elif key:
        yield key, value if isinstance(value, str) else json.dumps(value)
