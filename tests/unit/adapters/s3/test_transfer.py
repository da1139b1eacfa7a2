"""Transfers against an S3 server on loopback: in parts, interrupted, continued, compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.s3 import Bucket, exchanging
from mlops_platform.adapters.s3.transfer import MIB, Moved, etag, get, part_size, put
from mlops_platform.base.errors import StepError
from moto.server import ThreadedMotoServer

PARTS = 3


class Stopped(Exception):
    """Stands for Ctrl-C in the middle of a transfer."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["", "projects/churn/data/"])
def bucket(url: str, request: pytest.FixtureRequest) -> Bucket:
    name = f"b{abs(hash(request.node.name))}"
    made = Bucket(name, lambda: exchanging(url, "us-east-1", lambda: "token"), request.param)
    made.client.create_bucket(Bucket=name)
    return made


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of three parts; each part differs from the others."""
    path = tmp_path / "large"
    path.write_bytes(b"".join(bytes([n]) * part_size(0) for n in range(PARTS - 1)) + b"end")
    return path


def calls(bucket: Bucket, operation: str) -> list[Any]:
    """A list that gets the parameters of each call of an operation from now on."""
    found: list[Any] = []
    bucket.client.meta.events.register(
        f"provide-client-params.s3.{operation}", lambda params, **_: found.append(dict(params))
    )
    return found


def stop_after(count: int) -> Moved:
    def moved(done: int) -> None:
        if done >= count:
            raise Stopped

    return moved


@pytest.mark.parametrize("size", [0, 1, 5 * MIB])
def test_file_is_the_same_after_upload_and_download(bucket: Bucket, tmp_path: Path, size: int) -> None:
    path, back = tmp_path / "file", tmp_path / "folder" / "back"
    path.write_bytes(b"x" * size)
    assert put(bucket, path, "a/file") == "sent"
    found = bucket.find("a/file")
    assert found and found.size == size and found.etag == etag(path)
    assert get(bucket, found, back) == "sent"
    assert back.read_bytes() == path.read_bytes()
    assert [each.name for each in back.parent.iterdir()] == ["back"]


def test_large_file_is_sent_in_parts_and_an_equal_one_is_not_sent(bucket: Bucket, large: Path) -> None:
    sent = calls(bucket, "UploadPart")
    assert put(bucket, large, "large") == "sent"
    assert [each["PartNumber"] for each in sent] == [1, 2, 3]
    assert put(bucket, large, "large") == "equal"
    assert len(sent) == PARTS


def test_interrupted_upload_sends_only_missing_parts(bucket: Bucket, large: Path) -> None:
    with pytest.raises(Stopped):
        put(bucket, large, "large", stop_after(part_size(0)))
    sent = calls(bucket, "UploadPart")
    assert put(bucket, large, "large") == "sent"
    assert [each["PartNumber"] for each in sent] == [2, 3]
    found = bucket.find("large")
    assert found and found.etag == etag(large)


def test_part_that_changed_since_an_interruption_is_sent_again(bucket: Bucket, large: Path) -> None:
    with pytest.raises(Stopped):
        put(bucket, large, "large", stop_after(2 * part_size(0)))
    with large.open("r+b") as file:
        file.write(b"changed")
    sent = calls(bucket, "UploadPart")
    put(bucket, large, "large")
    assert [each["PartNumber"] for each in sent] == [1, 3]
    found = bucket.find("large")
    assert found and found.etag == etag(large)


def test_upload_of_another_key_is_not_continued(bucket: Bucket, large: Path) -> None:
    with pytest.raises(Stopped):
        put(bucket, large, "large-2", stop_after(part_size(0)))
    sent = calls(bucket, "UploadPart")
    put(bucket, large, "large")
    assert len(sent) == PARTS


def test_file_that_changes_during_its_upload_is_an_error(bucket: Bucket, large: Path) -> None:
    def grow(_: int) -> None:
        with large.open("ab") as file:
            file.write(b"more")

    with pytest.raises(StepError, match="was changed during its upload"):
        put(bucket, large, "large", grow)
    assert bucket.find("large") is None


def test_interrupted_download_is_continued(bucket: Bucket, large: Path, tmp_path: Path) -> None:
    put(bucket, large, "large")
    found, back = bucket.find("large"), tmp_path / "back"
    assert found
    with pytest.raises(Stopped):
        get(bucket, found, back, stop_after(5 * MIB))
    assert not back.exists()
    asked = calls(bucket, "GetObject")
    assert get(bucket, found, back) == "sent"
    assert [each["Range"] for each in asked] == [f"bytes={5 * MIB}-"]
    assert back.read_bytes() == large.read_bytes()
    assert get(bucket, found, back) == "equal"


def test_damaged_download_is_an_error_and_is_not_kept(bucket: Bucket, large: Path, tmp_path: Path) -> None:
    put(bucket, large, "large")
    found, back = bucket.find("large"), tmp_path / "back"
    assert found
    with pytest.raises(Stopped):
        get(bucket, found, back, stop_after(5 * MIB))
    partial = tmp_path / f".back.{found.etag}.part"
    partial.write_bytes(b"?" * partial.stat().st_size)
    with pytest.raises(StepError, match="not equal to the object"):
        get(bucket, found, back)
    assert not back.exists() and not partial.exists()
    assert get(bucket, found, back) == "sent"


def test_objects_are_listed_by_prefix(bucket: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    for key in ("a/1", "a/2", "b/1"):
        put(bucket, path, key)
    assert [each.key for each in bucket.list("a/")] == ["a/1", "a/2"]


def test_server_that_does_not_answer_is_a_transient_error(tmp_path: Path) -> None:
    gone = Bucket("b", lambda: exchanging("http://127.0.0.1:9", "us-east-1", lambda: "token"))
    with pytest.raises(StepError, match="does not answer") as error:
        gone.find("x")
    assert error.value.transient


@pytest.mark.parametrize(
    ("size", "part"),
    [(0, 16 * MIB), (150_000 * MIB, 16 * MIB), (160_000 * MIB + 1, 17 * MIB), (5 * 2**40, 525 * MIB)],
)
def test_parts_are_at_most_ten_thousand(size: int, part: int) -> None:
    assert part_size(size) == part
    assert -(-size // part) <= 10_000
