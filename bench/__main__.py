"""Runs all measurements on a temporary environment: up, no-op up, down."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mlops_platform.adapters.helm import HELM
from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Silent
from mlops_platform.engine.journal import RunRecord, runs
from mlops_platform.plan_images import image_names
from mlops_platform.run.context import context_of
from mlops_platform.run.open import open_environment, shipped_environments

from bench import aws
from bench.figures import Cost, Figure, write
from bench.firewall import enforcement
from bench.measure import CLI, Timing, median, timed

NAME = "bench"
MEGABYTE, GIGABYTE = 10**6, 10**9


@dataclass(frozen=True)
class Bench:
    """One environment named bench in its own state folder."""

    folder: Path
    cache: str = ""

    @property
    def env(self) -> dict[str, str]:
        own = {
            "MLOPS_PLATFORM_HOME": str(self.folder / "home"),
            "MLOPS_PLATFORM_ENVIRONMENTS": str(self.folder),
            "MLOPS_PLATFORM_ENV": NAME,
        }
        return own | ({"MLOPS_PLATFORM_CACHE": self.cache} if self.cache else {})

    @property
    def last(self) -> RunRecord:
        return next(runs(self.folder / "home" / NAME))

    def make(self) -> None:
        text = (shipped_environments() / "local.yaml").read_text()
        (self.folder / f"{NAME}.yaml").write_text(text.replace("name: local", f"name: {NAME}"))

    def cli(self, *args: str) -> Timing:
        say(" ".join(args))
        return timed([*CLI, *args], self.env)

    def median(self, *args: str, runs: int = 5) -> Timing:
        say(" ".join(args))
        return median([*CLI, *args], self.env, runs)


def say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="mlops-bench-") as name:
        bench = Bench(Path(name))
        bench.make()
        try:
            build_missing(bench)
            figures, steps = warm(bench)
        finally:
            bench.cli("down", "--yes")
        figures += node(bench)
        say("network policies")
        figures += enforcement(bench.folder / "firewall")
        figures += rebuild(bench)
    figures += aws.figures()
    cold_figures, cold_steps, programs = cold() if os.environ.get("COLD") else ([], {}, [])
    write([*figures, *cold_figures], steps, cold_steps, programs)
    for figure in (*figures, *cold_figures):
        say(figure.row)


def build_missing(bench: Bench) -> None:
    """Build what the cache lacks, so that the warm `up` builds nothing."""
    os.environ.update(bench.env)
    context = context_of(open_environment(NAME), Cancel(), bench.folder)
    programs = (*context.cluster.programs, HELM)
    if all(map(context.programs.built, programs)) and all(map(context.images.built, image_names(context))):
        return
    bench.cli("up", "--yes")
    bench.cli("down", "--yes")


def warm(bench: Bench) -> tuple[list[Figure], dict[str, float]]:
    """Warm `up` from nothing, then the commands for an environment that is up, then `down`."""
    up = bench.cli("up", "--yes")
    record = bench.last
    finished, alone = _finished(record), sum(record.durations.values())
    figures = command_line(bench)
    rotation = bench.cli("secrets", "rotate", "mlflow")
    projects = bench.cli("smoke", "projects")
    down = bench.cli("down", "--yes")
    return [
        Figure("warm `up`, from nothing", up.wall, "s", 180),
        Figure("warm `up` ÷ its critical path", up.wall / finished["critical_seconds"], "", 1.10),
        Figure("warm `up` ÷ the sum of its steps", up.wall / alone, "", 0.6),
        Figure("the matrix, every pair and port", record.durations["matrix/smoke"], "s", 60),
        Figure("`smoke projects`", projects.wall, "s", 20),
        Figure("`secrets rotate mlflow`, with smoke tests", rotation.wall, "s", 30),
        Figure("`down` of the whole environment", down.wall, "s", 20),
        *figures,
    ], record.durations


def command_line(bench: Bench) -> list[Figure]:
    again, status = bench.median("up"), bench.median("status")
    return [
        Figure("`up` with nothing to do", again.wall, "s", 1.5),
        Figure("its processor time", again.cpu, "s", 0.9),
        Figure("`status`", status.wall, "s", 1.5),
        Figure("`--help`", bench.median("--help", runs=15).wall * 1000, "ms", 150),
        Figure("peak memory of the command line", max(again.peak, status.peak) / MEGABYTE, "MB", 150),
    ]


def node(bench: Bench) -> list[Figure]:
    """The node without Terraform and components: new, then from its state folder."""
    os.environ.update(bench.env)
    cluster = context_of(open_environment(NAME), Cancel(), bench.folder).cluster
    started = time.monotonic()
    cluster.prepare(Silent())
    cluster.revive(Silent(), Cancel())
    fresh = time.monotonic() - started
    config = str(cluster.variables()["config"])
    at_node = [sys.executable, "-m", "mlops_platform.clusters.host.node"]
    timed([*at_node, "stop", "--config", config], {})
    started = time.monotonic()
    cluster.revive(Silent(), Cancel())
    again = time.monotonic() - started
    bench.cli("down", "--yes")
    return [
        Figure("node, nothing to Ready", fresh, "s", 6),
        Figure("node, state folder to Ready", again, "s", 5),
    ]


def rebuild(bench: Bench) -> list[Figure]:
    """Rebuild of the largest image after a change of one file: its layer and the archive."""
    opened = open_environment(NAME)
    work = context_of(opened, Cancel(), bench.folder)
    name = max(work.images.names(), key=work.images.size)
    assets = bench.folder / "assets"
    shutil.copytree(opened.paths.assets / "images", assets / "images")
    shutil.copytree(opened.paths.assets / "helm-values", assets / "helm-values")
    recipe = next(assets.glob(f"*/{name}/image.yaml"))
    stamp = recipe.with_name("changed")
    stamp.write_text(str(time.time_ns()))
    document = yaml.safe_load(recipe.read_text())
    document.setdefault("files", {})["/changed"] = stamp.name
    recipe.write_text(yaml.safe_dump(document))
    recipes = find_recipes(assets / "images", assets / "helm-values", *work.cluster.recipe_folders)
    started = time.monotonic()
    Images(opened.paths.cache, work.programs, recipes).build(name, Silent(), Cancel())
    return [Figure(f"rebuild of image {name} after a change", time.monotonic() - started, "s")]


def cold() -> tuple[list[Figure], dict[str, float], list[Cost]]:
    """Cold `up` with an empty temporary cache, and what each program costs."""
    with tempfile.TemporaryDirectory(prefix="mlops-cold-") as name:
        bench = Bench(Path(name), cache=f"{name}/cache")
        bench.make()
        try:
            up = bench.cli("up", "--yes")
            steps = bench.last.durations
            left, programs = _size(Path(name)), _costs(bench, steps)
        finally:
            bench.cli("down", "--yes")
    return (
        [
            Figure("cold `up`, nothing built", up.wall / 60, "min", 30),
            Figure("disk a cold `up` leaves", left / GIGABYTE, "GB", 12),
        ],
        steps,
        programs,
    )


def _costs(bench: Bench, steps: Mapping[str, float]) -> list[Cost]:
    """The programs of the environment with the time of their builds and their size, the dearest first."""
    os.environ.update(bench.env)
    context = context_of(open_environment(NAME), Cancel(), bench.folder)
    programs = [*context.cluster.programs]
    programs += [program for name in image_names(context) for program in context.images.programs(name)]
    costs = []
    for each in dict.fromkeys(programs):
        size = _size(context.programs.folder(each)) / MEGABYTE
        costs.append(Cost(each.name, steps.get(f"program/{each.name}", 0.0), size))
    return sorted(costs, key=lambda cost: -cost.seconds)


def _finished(record: RunRecord) -> Mapping[str, Any]:
    assert record.finished, "the run has ended, so its journal says so"
    return record.finished


def _size(folder: Path) -> int:
    """Bytes on disk below a folder, each hard link counted once."""
    seen: dict[tuple[int, int], int] = {}
    for here, _, files in os.walk(folder):
        for file in files:
            stat = (Path(here) / file).lstat()
            seen[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return sum(seen.values())


if __name__ == "__main__":
    main()
