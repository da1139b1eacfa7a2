"""Owns getting a chart ready: downloads checked against their digest, definitions taken out of it."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from installer.adapters.buildonce import build_once
from installer.adapters.helm.release import Release
from installer.adapters.helm.sources import ChartSource, InTreeChart, RepositoryChart
from installer.adapters.process import Completed
from installer.cancel import Cancel
from installer.errors import StepError
from installer.progress import Progress

_DOWNLOAD_SECONDS = 300.0
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Chart:
    """What `helm upgrade` is given, and the CustomResourceDefinitions to apply before.

    Helm installs a chart's definitions once and never upgrades them; applied apart they follow the
    chart, and neither a rollback nor an uninstall takes them, and everything made of them, away.
    https://helm.sh/docs/chart_best_practices/custom_resource_definitions/
    """

    path: Path
    definitions: tuple[Mapping[str, Any], ...] = ()


class Charts:
    """Charts of one Helm; downloads are shared by all environments."""

    def __init__(
        self,
        helm: Callable[..., Completed],
        cache: Path,
        folder: Path,
        kustomize: Callable[[], Path] | None,
    ) -> None:
        self._helm = helm
        self._cache = cache
        self._folder = folder
        self._kustomize = kustomize

    def prepare(self, release: Release, progress: Progress, cancel: Cancel) -> Chart:
        """Raises StepError for a wrong digest or a forbidden address, before anything is installed."""
        source = release.source
        if isinstance(source, InTreeChart):
            return Chart(source.folder, self._definitions(source.folder))
        if isinstance(source, RepositoryChart):
            archive = self._pull(source, progress, cancel)
            return Chart(archive, self._definitions(archive))
        raise NotImplementedError

    def _pull(self, source: RepositoryChart, progress: Progress, cancel: Cancel) -> Path:
        loopback = require_safe(source.repo)
        title = title_of(source)

        def make(work: Path) -> Path:
            progress.say(f"downloading chart {title}")
            self._helm(
                [*_pull_arguments(source, plain=loopback), "--destination", str(work)],
                cancel=cancel,
                seconds=_DOWNLOAD_SECONDS,
            )
            archive = next(work.glob("*.tgz"))
            require_digest(archive, source.digest, f"chart {title} of {source.repo}")
            return archive

        target = self._cache / "charts" / f"{title}-{source.digest.removeprefix('sha256:')[:12]}.tgz"
        build_once(self._cache, target, make, progress=progress, cancel=cancel)
        require_digest(target, source.digest, f"{target}, once downloaded,")
        return target

    def _definitions(self, chart: Path) -> tuple[Mapping[str, Any], ...]:
        """Those of its subcharts too: Helm installs them whether or not the subchart is wanted."""
        text = self._helm(["show", "crds", str(chart)], seconds=60).stdout
        return tuple(found for found in yaml.load_all(text, Loader=_Loader) if found)


def title_of(source: ChartSource) -> str:
    """Name and version, for people: 'minio-17.0.1'."""
    if isinstance(source, InTreeChart):
        chart = yaml.load((source.folder / "Chart.yaml").read_bytes(), Loader=_Loader)  # noqa: S506
        return f"{chart['name']}-{chart['version']}"
    if isinstance(source, RepositoryChart):
        return f"{source.name}-{source.version}"
    return f"{source.repo.rstrip('/').rpartition('/')[2]}-{source.ref}"


def require_safe(url: str) -> bool:
    """True for a loopback address, the only kind that may do without TLS. Raises StepError."""
    address = urlsplit(url)
    loopback = _is_loopback(address.hostname or "")
    if address.scheme in ("https", "oci") or (address.scheme == "http" and loopback):
        return loopback
    raise StepError(
        f"{url}: charts come over https:// or oci:// only",
        why="anybody on the way could change what is installed",
        hint="only a loopback address may be http://",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_digest(file: Path, wanted: str, what: str) -> None:
    """Raises StepError when a file is not what was pinned ('sha256:…')."""
    with file.open("rb") as opened:
        seen = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    if seen != wanted:
        raise StepError(
            f"{what} is not what was pinned",
            why=f"pinned {wanted}\nseen   {seen}",
            hint="somebody published it again, or changed it on the way: look at it before pinning anew",
            command=f"sha256sum {file}",
        )


def _pull_arguments(source: RepositoryChart, *, plain: bool) -> list[str]:
    version = ["--version", source.version]
    if source.repo.startswith("oci://"):
        # A registry on a loopback address speaks plain http; helm must be told.
        return [
            "pull",
            f"{source.repo.rstrip('/')}/{source.name}",
            *version,
            *(["--plain-http"] if plain else []),
        ]
    return ["pull", source.name, "--repo", source.repo, *version]
