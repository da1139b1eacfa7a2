"""`project data`: put files into the data of a project, list them, get them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.commands._again import continued
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.adapters.s3 import Found
    from mlops_platform.run.context import Context


def put(console: Console, source: str, project: str, to: str) -> int:
    """Upload a file, or a folder with all files below it."""
    from mlops_platform.adapters.s3.transfer import put as upload
    from mlops_platform.base.humanize import plural
    from mlops_platform.base.quantities import human
    from mlops_platform.console.transfer import Transfers
    from mlops_platform.steps.projects.open_data import opened

    files = list(_files(Path(source), to))
    again = f"mlops-platform project data put {source} --project {project} --env {console.environment}"
    sent: list[dict[str, object]] = []
    with (
        continued(again + (f" --to {to}" if to else "")),
        opened(_context(console), project, writes=True) as bucket,
        Transfers(console).shown() as shown,
    ):
        for path, key in files:
            size = path.stat().st_size
            with shown.file(key, size) as file:
                file.equal = upload(bucket, path, key, file.moved) == "equal"
            sent.append({"key": key, "bytes": size, "unchanged": file.equal})
        where = bucket.uri
    total = human(sum(path.stat().st_size for path, _ in files))
    return console.done({"uri": where, "files": sent}, f"{plural(len(files), 'file')}, {total}, in {where}")


def list_(console: Console, prefix: str, project: str) -> int:
    from mlops_platform.base.humanize import age, plural, table
    from mlops_platform.base.quantities import human
    from mlops_platform.steps.projects.open_data import opened

    with opened(_context(console), project) as bucket:
        found = list(bucket.list(prefix))
    rows = [(each.key, human(each.size), age(each.changed)) for each in found]
    total = f"{plural(len(found), 'file')}, {human(sum(each.size for each in found))}, in {bucket.uri}"
    text = "\n".join([*([table(("file", "size", "age"), rows)] if rows else []), total])
    data = [{"key": e.key, "bytes": e.size, "changed": e.changed.isoformat()} for e in found]
    return console.done({"uri": bucket.uri, "files": data}, text)


def get(console: Console, key: str, project: str, to: str) -> int:
    """Download a file, or all files below a folder."""
    from mlops_platform.adapters.s3.transfer import get as download
    from mlops_platform.base.humanize import plural
    from mlops_platform.console.transfer import Transfers
    from mlops_platform.steps.projects.open_data import opened

    again = f"mlops-platform project data get {key} --project {project} --to {to} --env {console.environment}"
    got: list[dict[str, object]] = []
    with (
        continued(again),
        opened(_context(console), project) as bucket,
        Transfers(console).shown() as shown,
    ):
        one = bucket.find(key) if key and not key.endswith("/") else None
        below = f"{key.rstrip('/')}/" if key else ""
        found = [one] if one else list(bucket.list(below))
        if not found:
            raise UsageError(
                f"project {project} has no file {key}",
                command=f"mlops-platform project data list --project {project} --env {console.environment}",
            )
        for each in found:
            path = _target(each, Path(to), below="" if one else below)
            with shown.file(each.key, each.size) as file:
                file.equal = download(bucket, each, path, file.moved) == "equal"
            got.append({"key": each.key, "path": str(path), "bytes": each.size, "unchanged": file.equal})
    return console.done({"files": got}, f"{plural(len(got), 'file')} in {to}")


def _context(console: Console) -> Context:
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    context = read_only(opened)
    reach(context)
    return context


def _files(source: Path, to: str) -> Iterator[tuple[Path, str]]:
    """The files with their keys. Raises UsageError if there is none."""
    if source.is_file():
        name = f"{to}{source.name}" if to.endswith("/") or not to else to
        yield source, _checked(name)
        return
    found = sorted(path for path in source.rglob("*") if path.is_file())
    if not found:
        raise UsageError(
            f"{source}: no such file or folder" if not source.exists() else f"{source} has no files",
            hint="name a file, or a folder with files",
        )
    base = to.rstrip("/") if to else source.resolve().name
    for path in found:
        yield path, _checked(f"{base}/{path.relative_to(source).as_posix()}")


def _checked(key: str) -> str:
    """A key that S3 and a file system take: relative, without `.` and `..`."""
    parts = key.split("/")
    if any(part in ("", ".", "..") for part in parts) or len(key.encode(errors="replace")) > 1024:
        raise UsageError(f"{key!r}: not the name of a file in a bucket", hint="give --to a relative path")
    return key


def _target(found: Found, folder: Path, below: str) -> Path:
    """The path of a download. A key must not lead out of the folder."""
    relative = PurePosixPath(found.key.removeprefix(below) if below else PurePosixPath(found.key).name)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise StepError(f"{found.key!r} is no name of a file", hint="get it with an S3 client")
    return folder / relative
