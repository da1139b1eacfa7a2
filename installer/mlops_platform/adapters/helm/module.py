"""Charts and kustomizations in a Go module: copied into the cache, and rendered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from mlops_platform.adapters.buildonce import build_once
from mlops_platform.adapters.gomodules import downloaded
from mlops_platform.adapters.helm.rendered import Object
from mlops_platform.adapters.helm.sources import ModuleCharts, cached_name
from mlops_platform.adapters.process import Completed
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress
from mlops_platform.base.yaml import dump, kubernetes_objects, load_kubernetes

_TEMPLATE_SECONDS = 120.0
# File, name, and key in component.yaml of what is copied out of a module.
_CHART = ("Chart.yaml", "chart", "module.charts")
_KUSTOMIZATION = ("kustomization.yaml", "kustomization", "resources of module.overlay")


def charts(cache: Path, source: ModuleCharts, progress: Progress, cancel: Cancel) -> Path:
    """The folder in the cache with the charts, copied out of the module once.

    Only the charts are kept: a module can have hundreds of megabytes.
    """
    target = cache / "charts" / cached_name(source)

    def make(work: Path) -> Path:
        pinned = (source.module, source.version, source.sums)
        with downloaded(cache, *pinned, progress=progress, cancel=cancel) as module:
            for each in source.charts:
                _copy(module, work, each, source)
        return work

    return build_once(cache, target, make, progress=progress, cancel=cancel)


def _copy(module: Path, work: Path, chart: str, source: ModuleCharts) -> None:
    """Copy one chart without its dependencies: they lie in repositories, and each is a component here."""
    file, kind, key = _CHART if not source.overlay else _KUSTOMIZATION
    if not (module / chart / file).is_file():
        there = (found.parent.relative_to(module).as_posix() for found in module.rglob(file))
        raise StepError(
            f"{source.module} {source.version} has no {kind} {chart}",
            why=f"its {kind}s: {', '.join(sorted(there)) or 'none'}",
            hint=f"correct {key} in component.yaml",
        )
    target = work / chart
    # Without modes: files of the module cache are read-only.
    shutil.copytree(module / chart, target, copy_function=shutil.copyfile)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    if source.overlay:
        return
    about = load_kubernetes(target / "Chart.yaml")
    about.pop("dependencies", None)
    (target / "Chart.yaml").write_text(dump(about))


def render(
    helm: Callable[..., Completed],
    folder: Path,
    source: ModuleCharts,
    *,
    name: str,
    namespace: str,
    values: Path,
    kubernetes: str,
    cancel: Cancel,
) -> list[Object]:
    """All objects of the charts, in order, definitions included."""
    found: list[Object] = []
    for chart in source.charts:
        argv = ["template", name, str(folder / chart), "--namespace", namespace, "--values", str(values)]
        argv += ["--include-crds", "--skip-tests", "--kube-version", kubernetes]
        text = helm(argv, cancel=cancel, seconds=_TEMPLATE_SECONDS).stdout
        found += kubernetes_objects(text, f"{source.module}/{chart}")
    return found
