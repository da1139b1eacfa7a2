"""DAGs of a project: a version is checked, parsed in a pod of the project, and given to the component that
runs DAGs. A version is an immutable ConfigMap in the namespace of the project: its tasks mount it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import ConfigurationError, Problem, StepError, UsageError
from mlops_platform.base.humanize import plural
from mlops_platform.base.labels import OWNED, PROJECT_LABEL
from mlops_platform.base.progress import Silent
from mlops_platform.catalogue.bundle import files, folder_problems
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.jobs.run import run_job
from mlops_platform.steps.projects.scripts import dags_job, parse_job, result_of
from mlops_platform.steps.release.install import InstallRelease

VERSION_LABEL = "mlops-platform/dags"
_IDS, _PUSHED = "mlops-platform/dag-files", "mlops-platform/pushed"  # annotations, once the version is stored
_PREFIX = "dags-"
_KEPT = 10  # versions, besides those that runs use
_FILE = "dags.json"
# Files that install packages: nothing does that here.
_REQUIREMENTS = ("requirements.txt", "pyproject.toml", "setup.py", "Pipfile", "environment.yml")


@dataclass(frozen=True)
class Version:
    """The files of a project's DAGs, by path."""

    files: Mapping[str, str]

    @property
    def name(self) -> str:
        return short_digest(dict(sorted(self.files.items())))

    @property
    def object(self) -> str:
        """The name of its ConfigMap."""
        return f"{_PREFIX}{self.name}"

    @property
    def ignored(self) -> list[str]:
        """Files that name packages: a task has the packages of the image only."""
        return [path for path in self.files if Path(path).name in _REQUIREMENTS]


def component_of(context: Context) -> ResolvedComponent:
    """The component that runs DAGs of projects. Raises UsageError if the environment has none."""
    for each in context.resolved.values():
        if each.component.projects and each.component.projects.dags and each.in_tree:
            return each
    raise UsageError(
        f"no component of {context.environment.name} runs DAGs of projects",
        hint="add such a component to the environment, and run `mlops-platform up`",
        command=f"mlops-platform env show {context.environment.name}",
    )


def example_of(resolved: ResolvedComponent) -> Path:
    """The folder with the component's example. Raises UsageError if it has none."""
    part = resolved.component.projects
    if not part or not part.dags or not part.dags.example:
        raise UsageError(f"{resolved.name} has no example")
    return resolved.folder / part.dags.example


def write_example(resolved: ResolvedComponent, folder: Path, project: str) -> list[str]:
    """Copy the example into an empty or new folder; return the names of its files. Raises UsageError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = "name another folder with --to"
        raise UsageError(f"{folder} is there already", why="it is not an empty folder", hint=hint)
    folder.mkdir(parents=True, exist_ok=True)
    found = files(example_of(resolved))
    for file in found:
        text = file.read_text(encoding="utf-8")
        # Only the text for people: the DAG gets the name from its pod.
        changed = text.replace("${project}", project) if file.suffix == ".md" else text
        (folder / file.name).write_text(changed, encoding="utf-8")
    return sorted(file.name for file in found)


def require_current(context: Context, resolved: ResolvedComponent) -> None:
    """Raise UsageError if the component differs from this version: its pods have another image then."""
    if difference := InstallRelease(context, resolved).observe():
        name = context.environment.name
        raise UsageError(
            f"{resolved.name} is not as this version of the program installs it",
            why=difference.summary,
            hint="run up first",
            command=f"mlops-platform up --env {name}",
        )


def read(folder: Path) -> Version:
    """Read and check a folder. Raises ConfigurationError with every problem."""
    hint = "a version has at most 200 text files of 512 KiB in all"
    problems = [Problem(str(folder), 0, what, hint) for what, _ in folder_problems(folder)]
    if problems:
        raise ConfigurationError(tuple(problems))
    found = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in files(folder)}
    for name, text in found.items():
        if name.endswith(".py"):
            problems += _syntax(folder / name, text)
    if not any(name.endswith(".py") for name in found):
        problems.append(Problem(str(folder), 0, "no file with a DAG in it", "add a .py file"))
    if problems:
        raise ConfigurationError(tuple(problems))
    return Version(found)


def _syntax(path: Path, text: str) -> list[Problem]:
    try:
        ast.parse(text, filename=str(path))
    except (SyntaxError, ValueError) as error:  # ValueError: a NUL byte
        line = getattr(error, "lineno", 0) or 0
        return [Problem(str(path), line, f"not Python: {getattr(error, 'msg', error)}", "")]
    return []


@dataclass(frozen=True)
class Stored:
    """A version of a project in the cluster: when it was pushed, and the files of its DAGs by id."""

    project: str
    version: str
    pushed: str
    dags: Mapping[str, str]


def stored(kube: Kube, project: str = "") -> list[Stored]:
    """The current version of one project, or of each. One request."""
    current: dict[str, Stored] = {}
    for each in kube.metadata("v1", "ConfigMap", project, labels=VERSION_LABEL):
        meta = each["metadata"]
        notes = meta.get("annotations") or {}
        if _IDS in notes and _PUSHED in notes:
            found = Stored(
                meta["namespace"], meta["name"].removeprefix(_PREFIX), notes[_PUSHED], json.loads(notes[_IDS])
            )
            if found.project not in current or found.pushed > current[found.project].pushed:
                current[found.project] = found
    return sorted(current.values(), key=lambda each: each.project)


@dataclass(frozen=True)
class Dags:
    """Changes of a project's DAGs. `say` gets the current action."""

    context: Context
    resolved: ResolvedComponent
    project: str
    say: Callable[[str], None]

    def push(self, version: Version) -> list[str]:
        """Parse a version in a pod of the project, store it, and return the ids of its DAGs.

        Raises StepError with the errors of the files; the version before stays in use then.
        """
        kube = self.context.clients.kube_for_write()
        self.say(f"parsing {plural(len(version.files), 'file')} in a pod of {self.project}")
        packed = self._parse(version)
        kube.apply(_config_map(self.project, version))
        self.say(f"storing version {version.name} in {self.resolved.name}")
        given = {"version": version.name, "files": dict(version.files), "packed": packed}
        found = self._ask("push", given)
        notes = {
            _IDS: json.dumps(found["dags"]),
            _PUSHED: datetime.now(UTC).isoformat(timespec="microseconds"),
        }
        kube.patch("v1", "ConfigMap", version.object, self.project, body={"metadata": {"annotations": notes}})
        _clean(kube, self.project, found["used"])
        return sorted(found["dags"])

    def remove(self, dag: str) -> None:
        """Remove a DAG: a version without its file, then its runs. Raises UsageError."""
        known = [each for each in stored(self.context.clients.kube, self.project) if each.dags]
        dags = known[0].dags if known else {}
        if dag not in dags:
            names = ", ".join(sorted(dags)) or "none"
            raise UsageError(f"project {self.project} has no DAG {dag}", why=f"its DAGs: {names}")
        file = dags[dag]
        beside = [name for name, its in dags.items() if its == file and name != dag]
        if beside:
            raise UsageError(
                f"{file} has other DAGs as well: {', '.join(sorted(beside))}",
                hint="remove the DAG from the file, and push the folder again",
                command=f"mlops-platform dag push FOLDER --project {self.project}",
            )
        left = self._files(known[0].version)
        del left[file]
        self.push(Version(left))
        self._ask("remove", {"dag": dag})

    def _files(self, version: str) -> dict[str, str]:
        found = self.context.clients.kube.get("v1", "ConfigMap", f"{_PREFIX}{version}", self.project)
        files_: dict[str, str] = json.loads(found["data"][_FILE]) if found else {}
        return files_

    def _parse(self, version: Version) -> str:
        job = parse_job(self.resolved, self.project, version.files)
        found = result_of(self._run(job), "PARSED ")
        if errors := found.get("errors"):
            raise StepError(
                f"{plural(len(errors), 'file')} with errors; nothing was changed",
                why="\n\n".join(f"{path}: {text}" for path, text in sorted(errors.items())),
                hint="correct the files, and push again",
            )
        return str(found.get("packed", ""))

    def _ask(self, action: str, given: Mapping[str, object]) -> dict[str, Any]:
        found = result_of(self._run(dags_job(self.resolved, action, self.project, given)), "RESULT ")
        if refused := found.get("refused"):
            raise StepError(
                f"{self.resolved.name} rejects the DAGs; nothing was changed", why="\n".join(refused)
            )
        return found

    def _run(self, job: ScriptJob) -> str:
        return run_job(self.context.clients.kube_for_write(), job, Silent(), self.context.cancel)


def _config_map(project: str, version: Version) -> dict[str, Any]:
    labels = {**OWNED, PROJECT_LABEL: project, VERSION_LABEL: "true"}
    meta = {"name": version.object, "namespace": project, "labels": labels}
    data = {_FILE: json.dumps(version.files)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data, "immutable": True}


def _clean(kube: Kube, project: str, used: Sequence[str]) -> None:
    """Delete old versions, except the last ten and those of runs that have not ended."""
    found = kube.metadata("v1", "ConfigMap", project, labels=VERSION_LABEL)
    found.sort(key=lambda each: each["metadata"]["creationTimestamp"], reverse=True)
    names = [each["metadata"]["name"] for each in found]
    keep = {f"{_PREFIX}{version}" for version in used} | set(names[:_KEPT])
    for name in names:
        if name not in keep:
            kube.delete("v1", "ConfigMap", name, project)
