"""Prepares charts: downloads checked by digest, and their CustomResourceDefinitions."""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import os
import shlex
import shutil
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlops_platform.adapters.buildonce import build_once
from mlops_platform.adapters.helm import module
from mlops_platform.adapters.helm.kustomize import render, render_overlay, tree_of
from mlops_platform.adapters.helm.release import Release
from mlops_platform.adapters.helm.rendered import Rendered, changed, write_chart
from mlops_platform.adapters.helm.sources import (
    InTreeChart,
    KustomizeTree,
    ModuleCharts,
    RepositoryChart,
    cached_name,
    title_of,
)
from mlops_platform.adapters.process import Completed
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress
from mlops_platform.base.yaml import dump, kubernetes_objects

Build = Callable[[Progress, Cancel], Path]  # builds a program if it is missing
Check = Callable[[Rendered], None]  # raises an error for objects that must not be sent

_DOWNLOAD_SECONDS = 300.0
_CONNECT_SECONDS = 30.0


@dataclass(frozen=True)
class Chart:
    """The chart for `helm upgrade`, and the CustomResourceDefinitions to apply before.

    Helm installs a chart's definitions once and never upgrades them. Applied separately they follow the
    chart, and neither a rollback nor an uninstall deletes them with all their objects.
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
        kustomize: Build,
        kubernetes: Callable[[], str],
    ) -> None:
        self._helm = helm
        self._cache = cache
        self._folder = folder
        self._kustomize = kustomize
        self._kubernetes = kubernetes

    def prepare(self, release: Release, check: Check, progress: Progress, cancel: Cancel) -> Chart:
        """Fetch the chart and split off its definitions. Raises StepError for a wrong digest or address.

        A release that is rendered here, from a tree or a module, is checked by `check`.
        """
        source = release.source
        if isinstance(source, InTreeChart):
            own = any(
                source.folder.rglob("crds")
            )  # without this folder there are none, and Helm need not be started
            return Chart(source.folder, self._definitions(source.folder) if own else ())
        if isinstance(source, RepositoryChart):
            archive = self._pull(source, progress, cancel)
            return Chart(archive, self._definitions(archive))
        if isinstance(source, ModuleCharts):
            return self._from_module(source, release, check, progress, cancel)
        return self._from_tree(source, release, check, progress, cancel)

    def _from_module(
        self, source: ModuleCharts, release: Release, check: Check, progress: Progress, cancel: Cancel
    ) -> Chart:
        folder = module.charts(self._cache, source, progress, cancel)
        progress.say(f"rendering {title_of(source)}")
        if source.overlay:
            _require_no_values(release, "an overlay on a module")
            overlaid = render_overlay(self._kustomize(progress, cancel), folder, source)
            found = changed(overlaid, release, source.rules)
            return self._wrapped(found, release, check, source.digest, source.version)
        objects = module.render(
            self._helm,
            folder,
            source,
            name=release.name,
            namespace=release.namespace,
            values=write_values(self._folder, release),
            kubernetes=self._kubernetes(),
            cancel=cancel,
        )
        found = changed(objects, release, source.rules)
        return self._wrapped(found, release, check, source.digest, source.version)

    def _wrapped(
        self, found: Rendered, release: Release, check: Check, digest: str, app_version: str
    ) -> Chart:
        check(found)
        folder = self._folder / "rendered" / f"{release.namespace}.{release.name}"
        return Chart(folder, write_chart(folder, found.objects, release, digest, app_version))

    def _pull(self, source: RepositoryChart, progress: Progress, cancel: Cancel) -> Path:
        plain = require_safe(source.repo)

        def fetch(target: Path) -> None:
            argv = [*_pull_arguments(source, plain=plain), "--destination", str(target.parent)]
            self._helm(argv, cancel=cancel, seconds=_DOWNLOAD_SECONDS)
            next(target.parent.glob("*.tgz")).rename(target)

        return self._download(source, ".tgz", fetch, progress, cancel)

    def _from_tree(
        self, source: KustomizeTree, release: Release, check: Check, progress: Progress, cancel: Cancel
    ) -> Chart:
        _require_no_values(release, "a kustomize tree")
        plain = require_safe(source.url)
        archive = self._download(
            source, ".tar.gz", lambda target: fetch_file(source.url, target, plain=plain), progress, cancel
        )
        objects = render(self._kustomize(progress, cancel), archive, source)
        return self._wrapped(changed(objects, release), release, check, source.digest, source.ref)

    def _download(
        self,
        source: RepositoryChart | KustomizeTree,
        ending: str,
        fetch: Callable[[Path], None],
        progress: Progress,
        cancel: Cancel,
    ) -> Path:
        """The archive in the cache, downloaded if it is missing, and checked in both cases."""
        title = title_of(source)

        def make(work: Path) -> Path:
            progress.say(f"downloading {title}")
            archive = work / f"archive{ending}"
            fetch(archive)
            _require(source, archive, f"{title} of {source.repo}")
            return archive

        target = self._cache / "charts" / cached_name(source)
        build_once(self._cache, target, make, progress=progress, cancel=cancel)
        _require(source, target, f"{target}, which was correct after its download,")
        return target

    def _definitions(self, chart: Path) -> tuple[Mapping[str, Any], ...]:
        """Definitions of the chart and all its subcharts: Helm installs those of disabled subcharts too."""
        text = self._helm(["show", "crds", str(chart)], seconds=60).stdout
        return tuple(kubernetes_objects(text, f"the definitions of {chart.name}"))


def write_values(folder: Path, release: Release) -> Path:
    """Write the values of a release into Helm's folder, for the user only, and return the file."""
    file = folder / "values" / f"{release.namespace}.{release.name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(dump(release.values))
    return file


def require_safe(url: str) -> bool:
    """Check the URL's scheme; True for a loopback address, which needs no TLS. Raises StepError."""
    address = urlsplit(url)
    loopback = _is_loopback(address.hostname or "")
    if address.scheme in ("https", "oci") or (address.scheme == "http" and loopback):
        return loopback
    raise StepError(
        f"{url}: a chart's address must start with https:// or oci://",
        why="without TLS the chart could be changed in transit",
        hint="change the address; only a loopback address may be http://",
    )


def fetch_file(url: str, target: Path, *, plain: bool) -> None:
    """Download one file, through the user's proxies except for loopback. Raises a transient StepError."""
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if plain else []))
    try:
        with opener.open(url, timeout=_CONNECT_SECONDS) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except (OSError, http.client.HTTPException) as error:  # URLError and HTTPError are OSErrors
        raise StepError(
            f"{url}: cannot be downloaded",
            why=f"{type(error).__name__}: {error}",
            hint="check the address, and that this machine can reach it",
            command=f"curl --location --output /dev/null {shlex.quote(url)}",
            transient=True,
        ) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require_no_values(release: Release, what: str) -> None:
    if release.values:
        raise StepError(
            f"{release.name} is {what} and takes no values",
            why=f"its values are {', '.join(sorted(release.values))}",
            hint="remove them from the component or the environment file",
        )


def _require(source: RepositoryChart | KustomizeTree, file: Path, what: str) -> None:
    """Check an archive against the digest of its source. Raises StepError."""
    if isinstance(source, KustomizeTree):
        _require_same(tree_of(file), source.digest, what, f"tar --list --file {file}")
    else:
        require_digest(file, source.digest, what)


def require_digest(file: Path, wanted: str, what: str) -> None:
    """Check a file against its pinned digest ('sha256:…'). Raises StepError."""
    with file.open("rb") as opened:
        seen = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    _require_same(seen, wanted, what, f"sha256sum {file}")


def _require_same(seen: str, wanted: str, what: str, command: str) -> None:
    if seen != wanted:
        raise StepError(
            f"{what} is not what was pinned",
            why=f"pinned {wanted}\nseen   {seen}",
            hint="inspect the file before you pin its digest: it was published again or changed in transit",
            command=command,
        )


def _pull_arguments(source: RepositoryChart, *, plain: bool) -> list[str]:
    version = ["--version", source.version]
    if source.repo.startswith("oci://"):
        # A registry on a loopback address uses plain HTTP, which Helm needs as a flag.
        return [
            "pull",
            f"{source.repo.rstrip('/')}/{source.name}",
            *version,
            *(["--plain-http"] if plain else []),
        ]
    return ["pull", source.name, "--repo", source.repo, *version]
