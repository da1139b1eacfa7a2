"""Smoke results stored in the cluster: one ConfigMap with a key per component."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.base.labels import OWNED, PLATFORM_NAMESPACE
from mlops_platform.engine.result import Result

NAME, NAMESPACE = "mlops-platform-smoke", PLATFORM_NAMESPACE
_MISSING, _CONFLICT = 404, 409


@dataclass(frozen=True)
class Record:
    """A stored smoke result. `digest` identifies what was tested, `when` is ISO 8601, `refused` counts the
    negative tests among `passed`."""

    digest: str
    when: str
    passed: int
    failed: int
    refused: int


def read(kube: Kube) -> Mapping[str, Record]:
    """Read the last smoke result of each component."""
    found = kube.get("v1", "ConfigMap", NAME, NAMESPACE)
    data: Mapping[str, str] = (found or {}).get("data") or {}
    return {component: Record(**json.loads(text)) for component, text in data.items()}


def passed(kube: Kube, component: str, digest: str) -> bool:
    """Return whether the last smoke result is of this digest, without a failure."""
    record = read(kube).get(component)
    return record is not None and record.digest == digest and not record.failed


def write(kube: Kube, component: str, digest: str, results: Sequence[Result]) -> None:
    """Store a result by merge patch: other components are tested at the same time."""
    ok = [result for result in results if result.ok]
    record = Record(
        digest=digest,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        passed=len(ok),
        failed=len(results) - len(ok),
        refused=sum(result.negative for result in ok),
    )
    data = {component: json.dumps(asdict(record))}
    try:
        _patch(kube, data)
    except KubeError as error:
        if error.status != _MISSING:
            raise
        _make(kube)
        _patch(kube, data)


def forget(kube: Kube, name: str) -> None:
    """Remove the result of a component that no longer exists."""
    try:
        _patch(kube, {name: None})
    except KubeError as error:
        if error.status != _MISSING:
            raise


def _patch(kube: Kube, data: Mapping[str, str | None]) -> None:
    kube.patch("v1", "ConfigMap", NAME, NAMESPACE, body={"data": dict(data)})


def _make(kube: Kube) -> None:
    meta = {"name": NAME, "namespace": NAMESPACE, "labels": OWNED}
    try:
        kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    except KubeError as error:
        if error.status != _CONFLICT:  # another component's smoke test was quicker
            raise
