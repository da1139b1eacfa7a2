"""Requested and installed releases, without a cluster."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.helm.release import (
    ANSWERED_LABEL,
    DIGEST_LABEL,
    Release,
    changed_lines,
    decode,
    digest_of,
    read_installed,
)
from mlops_platform.adapters.helm.sources import ChartSource, InTreeChart, KustomizeTree, RepositoryChart


def record(name: str, version: int, status: str = "deployed", **labels: str) -> dict[str, Any]:
    own = {
        "owner": "helm",
        "name": name,
        "version": str(version),
        "status": status,
        "createdAt": "1767225600",
    }
    return {"metadata": {"namespace": "n", "labels": {**own, **labels}}}


def test_latest_revision_is_the_highest_number() -> None:
    found = read_installed([record("a", 9, "superseded"), record("a", 10), record("a", 2, "superseded")])
    assert found["n", "a"].revision == 10
    assert found["n", "a"].status == "deployed"
    assert found["n", "a"].updated.isoformat() == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(("label", "digest"), [("abc.2", "abc"), ("abc.1", ""), ("abc", ""), ("", "")])
def test_digest_is_valid_for_its_own_revision_only(label: str, digest: str) -> None:
    """Helm copies labels to the next revision, also one of another Helm."""
    assert read_installed([record("a", 2, **{DIGEST_LABEL: label})])["n", "a"].digest == digest


@pytest.mark.parametrize(("label", "answered"), [("2", True), ("1", False), ("", False)])
def test_webhooks_have_answered_for_the_noted_revision_only(label: str, answered: bool) -> None:
    """Helm copies labels to the next revision, whose webhooks are waited for again."""
    assert read_installed([record("a", 2, **{ANSWERED_LABEL: label})])["n", "a"].answered is answered


def test_record_of_helm_is_decoded() -> None:
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps({"config": {"a": 1}}).encode())))
    assert decode({"data": {"release": packed.decode()}}) == {"config": {"a": 1}}


def release(values: dict[str, Any], **more: Any) -> Release:
    return Release("a", "n", RepositoryChart("https://r", "c", "1", "sha256:1"), values, **more)


def digest(wanted: Release) -> str:
    return digest_of(wanted, wanted.source.identity())


def test_digest_depends_on_contents_not_on_order() -> None:
    base = digest(release({"a": 1, "b": {"c": 2, "d": 3}}))
    assert base == digest(release({"b": {"d": 3, "c": 2}, "a": 1}))
    assert base != digest(release({"a": 1, "b": {"c": 2, "d": 4}}))
    assert base != digest(release({"a": "1", "b": {"c": 2, "d": 3}}))
    assert base != digest(release({"a": 1, "b": {"c": 2, "d": 3}}, labels={"x": "y"}))
    # How long one is ready to wait changes nothing of what is there.
    assert base == digest(release({"a": 1, "b": {"c": 2, "d": 3}}, timeout_seconds=1))


def test_digest_depends_on_every_part_of_a_pinned_source() -> None:
    sources: list[ChartSource] = [
        RepositoryChart("https://r", "c", "1", "sha256:1"),
        RepositoryChart("https://s", "c", "1", "sha256:1"),
        RepositoryChart("https://r", "d", "1", "sha256:1"),
        RepositoryChart("https://r", "c", "2", "sha256:1"),
        RepositoryChart("https://r", "c", "1", "sha256:2"),
        KustomizeTree("https://r", "c", "1", "sha256:1"),
        KustomizeTree("https://r", "c", "2", "sha256:1"),
    ]
    digests = {digest(Release("a", "n", source, {})) for source in sources}
    assert len(digests) == len(sources)


def test_digest_depends_on_the_files_of_a_chart_not_on_its_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "templates").mkdir(parents=True)
        (tmp_path / name / "Chart.yaml").write_text("name: c\n")
        (tmp_path / name / "templates" / "a.yaml").write_text("a")
    first = InTreeChart(tmp_path / "one").identity()
    assert first == InTreeChart(tmp_path / "two").identity()
    (tmp_path / "two" / "templates" / "a.yaml").rename(tmp_path / "two" / "templates" / "b.yaml")
    assert first != InTreeChart(tmp_path / "two").identity()


def test_changed_lines_have_the_key_of_the_value() -> None:
    before = {"image": "a:1", "resources": {"cpu": "1", "memory": "1Gi"}, "list": [1, 2], "gone": True}
    after = {"image": "a:2", "resources": {"cpu": "1", "memory": "2Gi"}, "list": [1, 3, {}], "new": None}
    assert changed_lines(before, after) == [
        "gone: true → (unset)",
        "image: a:1 → a:2",
        "list[1]: 2 → 3",
        "list[2]: (unset) → {}",
        "new: (unset) → null",
        "resources.memory: 1Gi → 2Gi",
    ]
    assert changed_lines(before, before) == []


def test_long_values_are_shortened_after_the_comparison() -> None:
    before, after = {"a": "x" * 100 + "1"}, {"a": "x" * 100 + "2"}
    (line,) = changed_lines(before, after)
    assert len(line) < 140
