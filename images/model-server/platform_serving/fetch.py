"""Download a model: `python3 -P -m platform_serving.fetch URI FOLDER [URI FOLDER ...]`.

mlflow://MODEL/VERSION comes from the tracking server, with the pod's token, s3://BUCKET/PREFIX from the
object store, with credentials in exchange for the pod's token. Files are streamed: memory does not grow.
"""

from __future__ import annotations

import errno
import http.client
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from platform_serving.failures import Failure, end
from platform_serving.tracking import Tracking

ABOUT = ".platform-model.json"  # beside the model's files: its name and version in the registry
_CHUNK, _SAY_SECONDS = 1 << 20, 5.0


@dataclass(frozen=True)
class File:
    """A file of a model: its path in the folder, its size, and a function that opens it."""

    path: str
    size: int
    open: Callable[[], IO[bytes]]


def files_of(uri: str) -> tuple[list[File], dict[str, str]]:
    """The files at an address, and what is known of the model. Raises Failure."""
    scheme, _, rest = uri.partition("://")
    if scheme == "mlflow":
        name, _, version = rest.strip("/").rpartition("/")
        if not (name and version.isdecimal()):
            raise Failure(f"{uri}: not a model's version: write mlflow://MODEL/VERSION, with a number")
        name = unquote(name)
        return list(_of_registry(name, version)), {"model": name, "version": version}
    if scheme == "s3":
        return list(_of_store(uri, rest)), {}
    raise Failure(
        f"{uri}: unknown scheme: use mlflow://MODEL/VERSION, s3://BUCKET/PREFIX or pvc://CLAIM/PATH"
    )


def _of_registry(name: str, version: str) -> Iterator[File]:
    server = Tracking()
    root = server.location(name, version)
    found = False
    for path, size in server.walk(root):
        found = True
        yield File(path, size, lambda path=path: server.open(f"{root}/{path}"))  # type: ignore[misc]
    if not found:
        raise Failure(f"model has no files: {name} version {version}")


def _of_store(uri: str, rest: str) -> Iterator[File]:
    import boto3  # takes a second, and most models are not there
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, prefix = rest.partition("/")
    root = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
    try:
        client = boto3.client("s3")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=root)
        found = [each for page in pages for each in page.get("Contents", ()) if not each["Key"].endswith("/")]
    except ClientError as error:
        denied = error.response.get("Error", {}).get("Code") == "AccessDenied"
        hint = f": this project's account server has no right to read {bucket}" if denied else ""
        raise Failure(f"model cannot be read: {uri}{hint} ({error})") from None
    except BotoCoreError as error:
        raise Failure(f"model cannot be read: {uri}: {error}") from None
    if not found:
        raise Failure(f"model not found: no object below {uri}")
    for each in found:
        key = each["Key"]
        yield File(key.removeprefix(root), each["Size"], lambda key=key: _body(client, bucket, key))  # type: ignore[misc]


def _body(client: Any, bucket: str, key: str) -> IO[bytes]:
    body: IO[bytes] = client.get_object(Bucket=bucket, Key=key)["Body"]
    return body


def download(files: list[File], folder: Path) -> None:
    """Write the files into the folder, with a line of progress every few seconds. Raises Failure."""
    folder.mkdir(parents=True, exist_ok=True)
    total, done, said = sum(each.size for each in files), 0, time.monotonic()
    free = shutil.disk_usage(folder).free
    if total > free:
        raise Failure(f"model needs {_size(total)} of disk, the node has {_size(free)}")
    for each in files:
        for arrived in _written(each, _inside(folder, each.path)):
            if time.monotonic() - said > _SAY_SECONDS:
                say(f"{_size(done + arrived)} of {_size(total)}")
                said = time.monotonic()
        done += each.size
    say(f"{len(files)} files, {_size(total)}")


def _written(each: File, target: Path) -> Iterator[int]:
    """Write one file, again if its stream breaks; yields the bytes that have arrived. Raises Failure."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for last in (False, False, True):
        arrived = 0
        try:
            with each.open() as source, target.open("wb") as file:
                while chunk := source.read(_CHUNK):
                    file.write(chunk)
                    arrived += len(chunk)
                    yield arrived
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            if last:
                raise Failure(f"{each.path}: {arrived} of {each.size} bytes arrived: {error}") from None
            continue
        if arrived == each.size:
            return
    raise Failure(f"{each.path}: {arrived} of {each.size} bytes arrived")


def _inside(folder: Path, path: str) -> Path:
    """The place of a file. A name that leads out of the folder is an attack. Raises Failure."""
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise Failure(f"{path}: a file outside of the model's folder")
    return target


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the container's log


def main(arguments: list[str]) -> None:
    try:
        for uri, folder in zip(arguments[::2], arguments[1::2], strict=True):
            files, about = files_of(uri)
            download(files, Path(folder))
            (Path(folder) / ABOUT).write_text(json.dumps(about))
    except Failure as error:
        end(str(error))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            end("no space left for the model's files")
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
