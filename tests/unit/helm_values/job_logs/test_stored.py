"""Logs in a bucket: continued after a kill at any moment, limited, complete."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.unit.helm_values.job_logs.conftest import Objects, load

stored = load("stored")
PREFIX = "churn/train/train-node-0-0-abcde/node/"


def log_of(store: Objects, limit: int = 1 << 30) -> Any:
    """A log as a new collector opens it."""
    log = stored.Log(stored.Bucket(client=store), PREFIX, limit)
    log.load()
    return log


def line(second: int, text: str = "x", nano: int = 0) -> bytes:
    return f"2026-11-29T17:{second // 60 % 60:02}:{second % 60:02}.{nano:09}Z {text}\n".encode()


def stream(log: Any, data: bytes, *, size: int = 1000) -> None:
    """Feed a stream in pieces, and write after each."""
    news = log.news()
    for start in range(0, len(data), size):
        log.append(news.feed(data[start : start + size]))
        log.write()
    log.append(news.end())
    log.write()


# Lines with one timestamp, and a second with several lines: the API server gives whole seconds again.
LINES = [line(i // 7, f"line {i}", i % 7 // 2) for i in range(400)]


@pytest.mark.parametrize("killed", [0, 1, 57, 1000, 6543, 12000])
@pytest.mark.parametrize("size", [7, 100, 4096])
def test_killed_collector_continues_without_loss_or_repetition(
    store: Objects, killed: int, size: int
) -> None:
    data = b"".join(LINES)
    first = log_of(store)
    news = first.news()
    for start in range(0, killed, size):
        first.append(news.feed(data[start : start + size]))
        first.write()
    again = log_of(store)
    begin = next((i for i, each in enumerate(LINES) if each[:19].decode() >= again.since[:19]), 0)
    stream(again, b"".join(LINES[begin:]), size=size)
    assert store.text == data


def test_time_to_continue_from_is_one_that_the_api_server_reads(store: Objects) -> None:
    log = log_of(store)
    assert log.since == ""
    stream(log, line(5, nano=123456789))
    assert log_of(store).since == "2026-11-29T17:00:05Z"
    stream(log, b"2026-11-29T19:00:06.000000000+02:00 x\n")
    assert log_of(store).since == "2026-11-29T19:00:06+02:00"


def test_log_of_many_parts_is_continued_in_its_last_part(store: Objects) -> None:
    long = [line(i, "x" * 1000) for i in range(600)]
    stream(log_of(store), b"".join(long[:500]))
    assert len(store.objects) > 1
    stream(log_of(store), b"".join(long[490:]))
    assert store.text == b"".join(long)
    offsets = [offset for offset, _ in stored.parts(stored.Bucket(client=store), PREFIX)]
    sizes = [size for _, size in stored.parts(stored.Bucket(client=store), PREFIX)]
    assert offsets == [sum(sizes[:i]) for i in range(len(sizes))]


def test_log_over_its_limit_keeps_beginning_and_end(store: Objects) -> None:
    log = log_of(store, limit=8 * stored.PART)
    lines = [line(i % 3600, f"{i} " + "x" * 1000) for i in range(5000)]
    for each in lines:
        log.append(each)
        if log.full:
            log.write()
    log.write()
    kept = store.text
    assert len(kept) <= 9 * stored.PART + 2000
    assert kept.startswith(b"".join(lines[: stored.HEAD * 200]))
    assert kept.endswith(b"".join(lines[-500:]))
    found = stored.parts(stored.Bucket(client=store), PREFIX)
    gaps = [b[0] - a[0] - a[1] for a, b in itertools.pairwise(found)]
    assert [gap > 0 for gap in gaps].count(True) == 1
    assert sum(gaps) + len(kept) == sum(map(len, lines)), "offsets are those in the whole log"


def test_very_long_line_is_stored_in_pieces(store: Objects) -> None:
    data = line(1, "before") + line(2, "y" * 3 * stored.PART) + line(3, "after")
    stream(log_of(store), data, size=65536)
    assert store.text == data
    stream(log_of(store), line(3, "after") + line(4, "more"))
    assert store.text == data + line(4, "more")


def test_last_line_without_its_end_is_stored(store: Objects) -> None:
    stream(log_of(store), line(1) + line(2, "no end").rstrip(b"\n"))
    assert store.text == line(1) + line(2, "no end")


def test_finished_log_is_not_read_again(store: Objects) -> None:
    log = log_of(store)
    stream(log, line(1))
    assert not log_of(store).done
    log.finish({"exitCode": 1})
    assert log_of(store).done
    assert store.objects[PREFIX + "done.json"] == b'{"exitCode": 1}'


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", "a-", "é", "a" * 254, "a\n"])
def test_names_cannot_lead_out_of_a_project(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        stored.require_names("churn", name)


def test_names_of_kubernetes_are_names() -> None:
    stored.require_names("churn", "train", "train-node-0-0-abcde", "a", "A_b.c", "a" * 253)
