"""Kinds of chart sources, each identified by its contents or a pinned digest."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.adapters.helm.rules import NO_RULES, Rules
from mlops_platform.base.yaml import load_kubernetes

Files = tuple[tuple[str, str], ...]  # names and contents


@dataclass(frozen=True)
class InTreeChart:
    """A chart that ships with the product."""

    folder: Path

    def identity(self) -> tuple[str, ...]:
        """Names and digests of all files."""
        files = sorted(p for p in self.folder.rglob("*") if p.is_file())
        return tuple(
            f"{file.relative_to(self.folder)} {hashlib.sha256(file.read_bytes()).hexdigest()}"
            for file in files
        )


@dataclass(frozen=True)
class RepositoryChart:
    """An official chart in a repository (https://…) or an OCI registry (oci://…/charts).

    `digest` is 'sha256:…' of the chart archive. In a registry that is also the digest of the one layer
    with the media type application/vnd.cncf.helm.chart.content.v1.tar+gzip, so both kinds have one digest.
    https://helm.sh/docs/topics/registries/#oci-feature-deprecation-and-behavior-changes-with-v370
    """

    repo: str
    name: str
    version: str
    digest: str

    def identity(self) -> tuple[str, ...]:
        return ("chart", self.repo, self.name, self.version, self.digest)


@dataclass(frozen=True)
class KustomizeTree:
    """A folder with a kustomization in a repository's archive `<repo>/archive/<ref>.tar.gz`.

    `digest` is the id that git gives to the commit's tree: archives do not keep their bytes. `path` leads to
    the kustomization. With an `overlay`, the files of a kustomization by their names, there is no path.
    """

    repo: str
    ref: str
    path: str
    digest: str
    overlay: Files = ()

    def identity(self) -> tuple[str, ...]:
        files = (text for file in self.overlay for text in file)
        return ("kustomize", self.repo, self.ref, self.path, self.digest, *files)

    @property
    def url(self) -> str:
        return f"{self.repo.rstrip('/')}/archive/{self.ref}.tar.gz"


@dataclass(frozen=True)
class ModuleCharts:
    """Charts in a Go module at a version; `sums` are the module's lines of go.sum.

    The objects of all charts, changed by `rules`, are one release. With an `overlay`, the files of a
    kustomization by their names, `charts` are the kustomizations of the module that it uses.
    """

    module: str
    version: str
    sums: tuple[str, ...]
    charts: tuple[str, ...]
    rules: Rules = NO_RULES
    overlay: Files = ()

    def identity(self) -> tuple[str, ...]:
        files = (text for file in self.overlay for text in file)
        return ("module", *self.sums, *self.charts, *self.rules.identity(), *files)

    @property
    def digest(self) -> str:
        """'sha256:…' of what pins the charts."""
        return f"sha256:{hashlib.sha256(repr((self.sums, self.charts)).encode()).hexdigest()}"


ChartSource = InTreeChart | RepositoryChart | KustomizeTree | ModuleCharts


def cached_name(source: ChartSource) -> str:
    """Name below cache/charts of what is downloaded for a source; '' if nothing is."""
    if isinstance(source, InTreeChart):
        return ""
    endings = {RepositoryChart: ".tgz", KustomizeTree: ".tar.gz", ModuleCharts: ""}
    title = re.sub(r"[^A-Za-z0-9._-]", "_", title_of(source))
    return f"{title}-{source.digest.removeprefix('sha256:')[:12]}{endings[type(source)]}"


def title_of(source: ChartSource) -> str:
    """Name and version for the screen, such as 'minio-17.0.1'."""
    if isinstance(source, InTreeChart):
        chart = load_kubernetes(source.folder / "Chart.yaml")
        return f"{chart['name']}-{chart['version']}"
    if isinstance(source, RepositoryChart):
        return f"{source.name}-{source.version}"
    if isinstance(source, ModuleCharts):
        return f"{source.module.rpartition('/')[2]}-{source.version}"
    return f"{source.repo.rstrip('/').rpartition('/')[2]}-{source.ref}"
