"""Uploads and downloads in parts: a second call continues an interrupted one, and skips equal files."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from mlops_platform.adapters.s3.bucket import Bucket, Found, asking
from mlops_platform.base.errors import StepError

Done = Literal["sent", "equal"]
Moved = Callable[[int], None]  # gets the number of bytes that are done
MIB = 2**20
_LEAST, _MOST_PARTS = 16 * MIB, 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_PIECE = MIB


def part_size(size: int) -> int:
    """The size of the parts of an object; it depends on nothing else, so that ETags can be compared."""
    needed = -(-size // _MOST_PARTS)
    return max(_LEAST, -(-needed // MIB) * MIB)


def etag(path: Path) -> str:
    """The ETag of a file that was uploaded by `put`: the MD5 of its bytes, or of the MD5s of its parts."""
    size = path.stat().st_size
    digests = [hashlib.md5(part, usedforsecurity=False) for _, part in _parts(path, size)]
    if size <= part_size(size):
        return digests[0].hexdigest()
    joined = hashlib.md5(b"".join(each.digest() for each in digests), usedforsecurity=False)
    return f"{joined.hexdigest()}-{len(digests)}"


def put(bucket: Bucket, path: Path, key: str, moved: Moved = lambda _: None) -> Done:
    """Upload a file; an equal object stays. Raises StepError, also if the file changes meanwhile."""
    before = path.stat()
    size = before.st_size
    known = bucket.find(key)
    if known and known.size == size and known.etag == etag(path):
        return "equal"
    with asking(f"upload {key}"):
        if size <= part_size(size):
            body = path.read_bytes()
            bucket.client.put_object(
                Bucket=bucket.name, Key=bucket.key(key), Body=body, ContentMD5=_md5(body)
            )
            moved(size)
        else:
            upload, parts = _upload(bucket, path, key, size, moved)
    after = path.stat()
    if (after.st_size, after.st_mtime_ns) != (size, before.st_mtime_ns):
        raise StepError(
            f"{path} was changed during its upload", hint="run it again when the file is complete"
        )
    if size > part_size(size):
        with asking(f"complete {key}"):
            bucket.client.complete_multipart_upload(
                Bucket=bucket.name,
                Key=bucket.key(key),
                UploadId=upload,
                MultipartUpload={"Parts": parts},
            )
    return "sent"


def _upload(
    bucket: Bucket, path: Path, key: str, size: int, moved: Moved
) -> tuple[str, list[dict[str, Any]]]:
    """Send the parts that an earlier upload of this key has not sent."""
    client, done, parts = bucket.client, 0, []
    upload, known = _earlier(bucket, key)
    if not upload:
        upload = client.create_multipart_upload(Bucket=bucket.name, Key=bucket.key(key))["UploadId"]
    for number, part in _parts(path, size):
        tag = hashlib.md5(part, usedforsecurity=False).hexdigest()
        if known.get(number) != tag:
            client.upload_part(
                Bucket=bucket.name,
                Key=bucket.key(key),
                UploadId=upload,
                PartNumber=number,
                Body=part,
                ContentMD5=_md5(part),
            )
        parts.append({"PartNumber": number, "ETag": f'"{tag}"'})
        done += len(part)
        moved(done)
    return upload, parts


def _earlier(bucket: Bucket, key: str) -> tuple[str, dict[int, str]]:
    """The newest upload of this key that was not completed, with the ETags of its parts."""
    client, key = bucket.client, bucket.key(key)
    found = client.list_multipart_uploads(Bucket=bucket.name, Prefix=key).get("Uploads", [])
    ours = [each for each in found if each["Key"] == key]
    if not ours:
        return "", {}
    upload = max(ours, key=lambda each: each["Initiated"])["UploadId"]
    pages = client.get_paginator("list_parts").paginate(Bucket=bucket.name, Key=key, UploadId=upload)
    return upload, {p["PartNumber"]: p["ETag"].strip('"') for page in pages for p in page.get("Parts", ())}


def get(bucket: Bucket, found: Found, path: Path, moved: Moved = lambda _: None) -> Done:
    """Download an object; an equal file stays. Until it is complete, it is beside `path`, as `.…part`."""
    if path.is_file() and path.stat().st_size == found.size and etag(path) == found.etag:
        return "equal"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{found.etag}.part")
    done = partial.stat().st_size if partial.exists() else 0
    with partial.open("ab") as file, asking(f"download {found.key}"):
        if done < found.size:
            given = {"Range": f"bytes={done}-"} if done else {}
            answer = bucket.client.get_object(
                Bucket=bucket.name, Key=bucket.key(found.key), IfMatch=f'"{found.etag}"', **given
            )
            for piece in answer["Body"].iter_chunks(_PIECE):
                file.write(piece)
                done += len(piece)
                moved(done)
        file.flush()
        os.fsync(file.fileno())
    parts = -(-found.size // part_size(found.size)) if found.size > part_size(found.size) else 0
    comparable = found.etag.partition("-")[2] == (str(parts) if parts else "")
    if done != found.size or (comparable and etag(partial) != found.etag):
        partial.unlink()
        raise StepError(f"{found.key}: the download is not equal to the object", hint="run it again")
    partial.replace(path)
    return "sent"


def _parts(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """The numbered parts of a file, one in memory at a time; an empty file has one."""
    length = part_size(size)
    with path.open("rb") as file:
        for number in range(1, max(1, -(-size // length)) + 1):
            yield number, file.read(length)


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
