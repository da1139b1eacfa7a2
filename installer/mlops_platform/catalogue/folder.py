"""Checks of the files in one component's folder: they exist, are inside it, and fit component.yaml."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path

from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.paths import shown
from mlops_platform.base.yaml import Document, read_text
from mlops_platform.catalogue import custom_objects, overlay, pins, service, variables
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.documents import document_of

Place = tuple[str | int, ...]
RECIPE = "image.yaml"
# Files of the folder that pin what its image contains.
_PINS = (RECIPE, "requirements.txt", "program/go.mod")
_SMOKE_HINT = "`mlops-platform component new NAME` writes an example"


def problems(
    document: Document, component: Component, folder: Path, images: Collection[str] | None, *, parse: bool
) -> Iterator[Problem]:
    """Find every problem of the folder. `images` are the known recipes; None: they are not checked.

    With `parse`, scripts are parsed: that takes longer than everything else here.
    """
    own, component = component, component.with_extras(component.extras)
    texts: dict[str, str] = {}
    for place, name in _named(component):
        try:
            texts[name] = _text(document, _origin(own, place), folder, name)
        except ConfigurationError as error:
            yield from error.problems
    if parse:
        yield from _scripts(folder, texts)
    yield from _smoke(document, component, texts)
    yield from _version(document, component, folder)
    yield from pins.problems(document, component, folder)
    yield from overlay.problems(document, component, folder)
    if images is not None:
        for place, image in _images(component):
            if image not in images:
                what, hint = f"no image {image}", f"known: {', '.join(sorted(images))}"
                yield document.problem(_origin(own, place), what, hint)
    yield from _variables(document, component, folder, texts)
    example = component.projects.dags.example if component.projects and component.projects.dags else ""
    if example and not (folder / example).is_dir():
        what = f"{example}: no such folder"
        yield document.problem(("projects", "dags", "example"), what, f"add it in {folder.name}/")
    if component.embedded and component.embedded.values in texts:
        yield from service.problems(document_of(folder / component.embedded.values), component)


def _origin(component: Component, place: Place) -> Place:
    """The place in the file of a key that `with_extras` has added to the component's own."""
    key = place[0]
    if key == "module":  # an image of an extra
        owners = [name for name, extra in component.extras.items() if place[-1] in extra.images]
        return ("extras", owners[0], "images", place[-1]) if owners else place
    if key not in ("objects", "smoke") or not isinstance(place[1], int):
        return place
    index = place[1] - len(getattr(component, key))
    for name, extra in component.extras.items() if index >= 0 else ():
        if index < len(found := getattr(extra, key)):
            return ("extras", name, key, index, *place[2:])
        index -= len(found)
    return place


def _named(component: Component) -> Iterator[tuple[Place, str]]:
    """Every file that the folder must have, with the key that names it."""
    for name, provided in component.provides.items():
        yield ("provides", name, "script"), provided.script
        yield ("provides", name, "login"), provided.login
    for i, smoke in enumerate(component.smoke):
        yield ("smoke", i, "script"), smoke.script
        yield from ((("smoke", i, "files", k), file) for k, file in enumerate(smoke.files))
    yield from ((("jobs", i, "script"), job.script) for i, job in enumerate(component.jobs))
    if component.score:
        yield ("projects", "models", "score", "script"), component.score.script
    if part := component.pipelines:
        yield ("projects", "pipelines", "script"), part.script
        yield from ((("projects", "pipelines", "files", k), file) for k, file in enumerate(part.files))
    if component.projects:
        yield ("projects", "script"), component.projects.script
        yield ("projects", "smoke"), component.projects.smoke
        yield from ((("projects", "files", k), file) for k, file in enumerate(component.projects.files))
        if imports := component.projects.imports:
            yield ("projects", "imports", "script"), imports.script
            yield from ((("projects", "imports", "files", k), file) for k, file in enumerate(imports.files))
        if dags := component.projects.dags:
            yield from ((("projects", "dags", key), getattr(dags, key)) for key in ("script", "parse"))
    yield from ((("needs", "secrets", n, "rotate"), s.rotate) for n, s in component.needs.secrets.items())
    yield from ((("serves", n, "logoutPage"), s.logout_page) for n, s in component.serves.items())
    yield ("bundles",), component.bundles
    if component.needs.client:
        yield ("needs", "client", "template"), component.needs.client.template
    if component.embedded:
        yield ("embedded", "values"), component.embedded.values
        yield from ((("embedded", "files", i), file) for i, file in enumerate(component.embedded.files))
    for key in ("chart", "kustomize", "module"):
        if getattr(component, key) and not component.overlay:
            yield (key,), "values.yaml"
    yield from ((("objects", i), file) for i, file in enumerate(component.objects))
    if component.projects:
        yield from ((("projects", "objects", i), f) for i, f in enumerate(component.projects.objects))


def _text(document: Document, place: Place, folder: Path, name: str) -> str:
    """Read a file that must lie in the folder. Raises ConfigurationError."""
    if not name:
        return ""
    path = folder / name
    if not path.is_file():
        hint = f"add it beside component.yaml in {folder.name}/"
        raise ConfigurationError((document.problem(place, f"{name}: no such file", hint),))
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        what = f"{name}: a symbolic link that leads out of the folder"
        raise ConfigurationError((document.problem(place, what, "copy the file into the folder"),))
    return read_text(path, shown(path))


def _scripts(folder: Path, texts: dict[str, str]) -> Iterator[Problem]:
    """Find scripts that Python cannot parse."""
    for name, text in texts.items():
        if not name.endswith(".py"):
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                ast.parse(text)
        except SyntaxError as error:
            yield Problem(shown(folder / name), error.lineno or 0, f"not Python: {error.msg}")
        except (ValueError, RecursionError, MemoryError) as error:
            yield Problem(shown(folder / name), 0, f"not Python: {error or 'nested too deep'}")


def _smoke(document: Document, component: Component, texts: dict[str, str]) -> Iterator[Problem]:
    """A component has a positive and a negative smoke test, and one that its pods come back."""
    if not component.smoke:
        yield document.problem(("smoke",), "smoke: missing", f"add a smoke test; {_SMOKE_HINT}")
        return
    if all(each.long for each in component.smoke):
        what = "smoke: every test is long: `up` would verify nothing"
        yield document.problem(("smoke", 0, "long"), what, "add a short test, or make one short")
    names = [name for each in component.smoke for name in (each.script, *each.files)]
    if any(name not in texts for name in names):
        return
    text = "\n".join(texts[name] for name in names)
    for call, kind in (("works", "positive"), ("refused", "negative")):
        if not re.search(rf"\.{call}\(", text):
            what = f"smoke: no {kind} test: no call of probes.{call}()"
            yield document.problem(("smoke", 0, "script"), what, _SMOKE_HINT)
    if not any(each.survives for each in component.smoke):
        what = "smoke: no pods in `survives`"
        hint = f"name pods that the test deletes, such as deployment/{component.name}"
        yield document.problem(("smoke", 0), what, hint)


def _version(document: Document, component: Component, folder: Path) -> Iterator[Problem]:
    """The version is written a second time where the folder pins its image: an update must change both."""
    files = [folder / name for name in _PINS if (folder / name).is_file()]
    if component.chart or folder / RECIPE not in files:
        return
    try:
        text = "\n".join(read_text(path, shown(path)) for path in files)
    except ConfigurationError as error:
        yield from error.problems
        return
    version, date = re.escape(component.version), re.sub(r"\D", "", component.version)
    # A Go module without versions has the date and the time of its commit.
    if not re.search(rf"(?<![\d.])v?{version}(?!\d|\.\d)|v0\.0\.0-{date}\d{{6}}-", text):
        names = ", ".join(path.relative_to(folder).as_posix() for path in files)
        what = f"version: {component.version} is not in {names}"
        hint = "pin the same version there; beside a Debian package write it as a comment"
        yield document.problem(("version",), what, hint)


def _images(component: Component) -> Iterator[tuple[Place, str]]:
    """Every image recipe that the component names, with its key."""
    if component.embedded:
        yield ("embedded", "image"), component.embedded.image
        yield from ((("embedded", "images", key), name) for key, name in component.embedded.images.items())
    if component.module:
        yield from ((("module", "images", key), name) for key, name in component.module.images.items())
    yield from ((("jobs", i, "image"), job.image) for i, job in enumerate(component.jobs))
    yield from ((("smoke", i, "image"), smoke.image) for i, smoke in enumerate(component.smoke))
    yield from ((("provides", n, "image"), p.image) for n, p in component.provides.items() if p.script)
    if component.projects and (component.projects.script or component.projects.smoke):
        yield ("projects", "image"), component.projects.image
    if component.score:
        yield ("projects", "models", "score", "image"), component.score.image
    if component.pipelines:
        yield ("projects", "pipelines", "image"), component.pipelines.image
    for name, need in component.needs.secrets.items():
        if need.rotate:
            yield ("needs", "secrets", name, "image"), need.image


def _variables(
    document: Document, component: Component, folder: Path, texts: dict[str, str]
) -> Iterator[Problem]:
    """Find template variables without a value, in component.yaml and in the files with values."""
    common = {*variables.COMMON, *variables.ports(component)}
    for of, script in component.scripts:
        found = variables.wrong(script.env, common, (*of, "env"))
        yield from (document.problem(*each) for each in found)
    if part := component.projects:
        found = variables.wrong(part.environment, common, ("projects", "environment"))
        yield from (document.problem(*each) for each in found)
        for i, each in enumerate(part.shows):
            texts_of = {key: getattr(each, key) for key in ("address", "endpoint", "command")}
            found = variables.wrong(texts_of, variables.SHOWN, ("projects", "shows", i))
            yield from (document.problem(*problem) for problem in found)
        runs = part.models.runs if part.models else ""
        found = variables.wrong(runs, variables.RUN, ("projects", "models", "runs"))
        yield from (document.problem(*each) for each in found)
    if client := component.needs.client:
        place: Place = ("needs", "client", "redirects")
        yield from (document.problem(*each) for each in variables.wrong(client.redirects, common, place))
    for name, provided in component.provides.items():
        place = ("provides", name)
        found = variables.wrong(provided.keys, variables.ACCOUNT, (*place, "keys"))
        yield from (document.problem(*each) for each in found)
        if provided.engine:
            found = variables.wrong(provided.engine.url, variables.ENGINE, (*place, "engine", "url"))
            yield from (document.problem(*each) for each in found)
    files = component.embedded.files if component.embedded else []
    images = variables.images(component)
    official = common | images | {variables.file_variable(name) for name in files}
    for kind in ("pools", "bucket", "database"):
        if getattr(component.needs, kind):  # their names are the cluster's, known when it exists
            names = re.findall(rf"\${{({kind}_\w+)}}", texts.get("values.yaml", ""))
            official |= set(names)
    for file, known in (
        (component.embedded.values if component.embedded else "", {*common, *images, variables.IMAGE}),
        ("values.yaml", official),
        (component.bundles, common | set(variables.BUNDLE)),
    ):
        if file in texts and file:
            values = document_of(folder / file)
            yield from values.problems
            yield from (values.problem(*each) for each in variables.wrong(values.data, known))
    for name in component.objects:
        if name in texts:
            own = (component.namespace, "${namespace}")
            yield from custom_objects.problems(folder / name, common | images, *own)
    for name in component.projects.objects if component.projects else ():
        if name in texts:
            every = common | images | set(variables.PROJECT)
            yield from custom_objects.problems(folder / name, every, "${project}")
