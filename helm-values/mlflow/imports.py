"""Import into a project of what MLflow had before projects: from its workspace `default`.

`list` names the experiments and registered models of `default`. `import` moves those in /files/input.json:
it copies their artifacts, changes all rows in one transaction, and deletes the first copies. The same input
again continues an import that was killed. No one can write in `default` (docs/mlflow.md): copies stay right.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from import_rows import CHANGES, EXPERIMENTS, MODELS, OUTSIDE, VERSIONS
from projects import Bucket, database, say

INPUT = Path("/files/input.json")
PLACE = "mlflow-artifacts:/"
_AT_ONCE = 8  # copies inside the object store
_SHOWN = 5
Item = tuple[str, str]  # kind and name


@dataclass(frozen=True)
class Experiment:
    """An experiment of `default`, or one that an import has moved; `path` is its folder in the bucket."""

    id: int
    name: str
    moved: bool
    path: str
    about: str


@dataclass(frozen=True)
class Model:
    """A registered model, with the experiments from which its versions are."""

    name: str
    moved: bool
    experiments: frozenset[str]
    about: str


class Refused(Exception):
    """Reasons why nothing was moved."""


@dataclass(frozen=True)
class Found:
    """The contents of `default`, and of the project's workspace."""

    experiments: dict[str, Experiment]
    models: dict[str, Model]
    taken: frozenset[Item]  # names of the project's workspace
    unknown: dict[str, str]  # models with a version at a place that cannot be moved

    @property
    def items(self) -> list[dict[str, str]]:
        """Those of `default`, for the screen."""
        found: list[tuple[str, Experiment | Model]] = [("experiment", e) for e in self.experiments.values()]
        found += [("model", model) for model in self.models.values()]
        return [{"kind": k, "name": each.name, "about": each.about} for k, each in found if not each.moved]

    def together(self, wanted: set[Item]) -> set[Item]:
        """The items, and all that must go with them: a version reads the artifacts of its experiment."""
        found, before = set(wanted), set[Item]()
        while found != before:
            before = set(found)
            for model in self.models.values():
                parts = {("experiment", name) for name in model.experiments}
                if ("model", model.name) in found or (parts & found and not model.moved):
                    found |= {("model", model.name), *parts}
        return found


def look(session: Any, project: str) -> Found:
    """Read both workspaces."""
    values = {"project": project, "place": f"{PLACE}workspaces/{project}/"}
    experiments, paths, taken = {}, dict[str, str](), set[Item]()
    for id_, name, workspace, location, runs in session.execute(EXPERIMENTS, values):
        imported = workspace == project and location.startswith(f"{values['place']}")
        path = location.removeprefix(values["place"] if imported else PLACE)
        if workspace == project:
            taken.add(("experiment", name))
        if workspace == "default" or (imported and name not in experiments):
            experiments[name] = Experiment(id_, name, workspace == project, path, f"{runs} runs")
            paths[path] = name
    sources, unknown = dict[str, set[str]](), dict[str, str]()
    for name, version, locations, ids in session.execute(VERSIONS):
        of = sources.setdefault(name, set())
        of |= {each.name for each in experiments.values() if each.id in ids and not each.moved}
        for location in filter(None, locations):
            owner = _owner(location, paths)
            if owner:
                of.add(owner)
            elif location.startswith(("mlflow-artifacts:", "s3:", "file:", "http:", "https:", "/")):
                unknown[name] = f"version {version} is at {location}, which is of no experiment of `default`"
    models = {}
    for name, workspace, versions in session.execute(MODELS, values):
        if workspace == project:
            taken.add(("model", name))
        if workspace == "default" or name not in models:
            about = ", ".join([f"{versions} versions", *sorted(sources.get(name, ()))])
            of_default = frozenset(sources.get(name, ())) if workspace == "default" else frozenset[str]()
            models[name] = Model(name, workspace == project, of_default, about)
    return Found(experiments, models, frozenset(taken), unknown)


def _owner(location: str, paths: dict[str, str]) -> str:
    """The experiment in whose folder an artifact is; '' for none."""
    if not location.startswith(PLACE):
        return ""
    parts = location.removeprefix(PLACE).split("/")
    heads = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((paths[head] for head in heads if head in paths), "")


def check(session: Any, found: Found, project: str, wanted: set[Item]) -> None:
    """Raise Refused with every reason."""
    if not session.execute("SELECT 1 FROM workspaces WHERE name = %s", [project]).fetchone():
        raise Refused(f"MLflow has no workspace {project}: run up")
    reasons = []
    for kind, name in sorted(wanted):
        there = found.experiments.get(name) if kind == "experiment" else found.models.get(name)
        if there is None:
            reasons.append(f"{kind}/{name}: the workspace `default` has none of this name")
        elif not there.moved and (kind, name) in found.taken:
            reasons.append(f"{kind}/{name}: {project} has another one of this name; rename that one first")
        elif isinstance(there, Experiment) and there.id == 0:
            reasons.append(f"{kind}/{name}: MLflow needs experiment 0 in `default`; copy its runs instead")
        elif isinstance(there, Model) and not there.moved and name in found.unknown:
            reasons.append(f"{kind}/{name}: {found.unknown[name]}")
    if more := found.together(wanted) - wanted:
        names = " ".join(f"{kind}/{name}" for kind, name in sorted(more))
        reasons.append(f"versions of models read artifacts of experiments; name these too: {names}")
    moved = [found.experiments[name] for kind, name in wanted if kind == "experiment" and not reasons]
    for each in moved:
        reasons += _outside(session, found, each)
    if reasons:
        raise Refused("\n".join(reasons))


def _outside(session: Any, found: Found, experiment: Experiment) -> Iterator[str]:
    """Find artifacts of an experiment elsewhere, and other experiments in its folder."""
    for each in found.experiments.values():
        if each.id != experiment.id and f"{each.path}/".startswith(f"{experiment.path}/"):
            yield f"experiment/{experiment.name}: experiment {each.name} has its artifacts in the same folder"
    if not experiment.moved:
        values = {"id": experiment.id, "below": f"{PLACE}{experiment.path}/"}
        places = [row[0] for row in session.execute(OUTSIDE, values)]
        if places:
            some = ", ".join(places[:_SHOWN])
            yield f"experiment/{experiment.name}: artifacts outside of its folder: {some}"


def move(session: Any, bucket: Bucket, found: Found, project: str, wanted: set[Item]) -> list[str]:
    """Move artifacts and rows; return a line for each item."""
    experiments = [found.experiments[name] for kind, name in sorted(wanted) if kind == "experiment"]
    models = [found.models[name] for kind, name in sorted(wanted) if kind == "model"]
    for each in experiments:
        count = _copy(bucket, each.path, f"workspaces/{project}/{each.path}")
        say(f"experiment/{each.name}: {count} artifacts copied")
    _change(session, project, [e for e in experiments if not e.moved], [m for m in models if not m.moved])
    for each in experiments:
        _delete_first_copies(bucket, each.path, f"workspaces/{project}/{each.path}")
    moved: list[tuple[str, Experiment | Model]] = [("experiment", each) for each in experiments]
    moved += [("model", model) for model in models]
    return [f"{kind}/{each.name}: {each.about}" for kind, each in moved]


def _copy(bucket: Bucket, source: str, target: str) -> int:
    """Copy what the target does not have yet. An object of a store appears when it is complete."""
    there = {key.removeprefix(f"{target}/"): size for key, size in bucket.objects(f"{target}/")}
    missing = [
        name
        for key, size in bucket.objects(f"{source}/")
        if there.get(name := key.removeprefix(f"{source}/")) != size
    ]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(lambda name: bucket.copy(f"{source}/{name}", f"{target}/{name}"), missing):
            pass
    return len(missing)


def _change(session: Any, project: str, experiments: list[Experiment], models: list[Model]) -> None:
    """Change workspace and places of artifacts in all rows. Raises SystemExit if rows are gone."""
    values = {
        "project": project,
        "place": f"{PLACE}workspaces/{project}/",
        "ids": [each.id for each in experiments],
        "names": [each.name for each in models],
    }
    with session.transaction():
        for expected, statement in CHANGES:
            count = session.execute(statement, values).rowcount
            if expected and count != len(values[expected]):
                raise SystemExit(f"{count} of {len(values[expected])} rows: MLflow has changed; run it again")


def _delete_first_copies(bucket: Bucket, source: str, target: str) -> None:
    there = {key.removeprefix(f"{target}/"): size for key, size in bucket.objects(f"{target}/")}
    for key, size in bucket.objects(f"{source}/"):
        if there.get(key.removeprefix(f"{source}/")) != size:
            raise SystemExit(f"{key}: the copy is not complete; the first copies stay")
    bucket.remove(f"{source}/")


def main() -> None:
    given = json.loads(INPUT.read_text())
    project, wanted = given["project"], {(each["kind"], each["name"]) for each in given["items"]}
    with database() as session:
        found = look(session, project)
        result: dict[str, Any] = {"items": found.items}
        if sys.argv[1] == "import":
            try:
                check(session, found, project, wanted)
                result = {"moved": move(session, Bucket(), found, project, wanted)}
            except Refused as refused:
                result = {"refused": str(refused).splitlines()}
    say(f"RESULT {json.dumps(result)}")


if __name__ == "__main__":
    main()
