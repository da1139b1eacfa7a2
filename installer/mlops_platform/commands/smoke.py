"""`smoke`: run the smoke tests of chosen components, also if they have passed before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlops_platform.base.errors import UsageError
from mlops_platform.console import Console


def run(console: Console, components: Sequence[str], *, junit: str, wake_gpus: bool = False) -> int:
    from mlops_platform.catalogue.checks import GPUS, IDENTITIES, MATRIX, PROJECTS
    from mlops_platform.commands._run import counts, running
    from mlops_platform.console import screens
    from mlops_platform.plan import plan_smoke
    from mlops_platform.report.summary import smoke_result
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment

    opened = open_environment(console.environment)
    name = console.environment = opened.environment.name
    installed = opened.environment.installed
    tests = [spec.name for each in installed for spec in opened.catalog[each].smoke if spec.name]
    known = (*installed, MATRIX, IDENTITIES, PROJECTS, GPUS, *tests)
    require_known(components, known, name, what="component or smoke test")
    reach(read_only(opened))  # an environment that is not up gets neither a run nor a state folder
    with running(console, opened) as run:
        reach(run.context)
        try:
            result = run.engine(plan_smoke(run.context, components, wake_gpus=wake_gpus))
        finally:
            console.add({"probes": probes_of(run.context.run_folder)})
            if junit:
                _write_junit(Path(junit), run.context.run_folder, name)
        found = smoke_result(run.context, components)
    data = counts(result) | {"probes": probes_of(run.context.run_folder)}
    return console.done(data, screens.smoke(name, found, result))


def require_known(wanted: Sequence[str], known: Sequence[str], name: str, what: str = "component") -> None:
    """Raises UsageError that lists the known names."""
    unknown = [each for each in wanted if each not in known]
    if unknown:
        raise UsageError(
            f"{name} has no {what} {', '.join(unknown)}", hint=f"it has {', '.join(sorted(known))}"
        )


def probes_of(run_folder: Path) -> dict[str, list[dict[str, object]]]:
    """The result of every probe, by component."""
    from dataclasses import asdict

    from mlops_platform.engine.result import load

    return {component: [asdict(r) for r in results] for component, results in load(run_folder).items()}


def _write_junit(file: Path, run_folder: Path, environment: str) -> None:
    from mlops_platform.engine.result import load
    from mlops_platform.smoke.junit import render

    file.write_text(render(load(run_folder), environment))
