"""The registry of a project's models, and the version that a reference names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from mlops_platform.adapters.models import READY, RegisteredModel, Registry
from mlops_platform.base.errors import UsageError
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.projects import ModelsPart
from mlops_platform.run.project import ProjectContext
from mlops_platform.steps.models.options import Reference
from mlops_platform.steps.projects.servers import reached


@dataclass(frozen=True)
class Resolution:
    """The version of a reference. `note` says how it was found, if the reference named none."""

    model: str
    version: str
    note: str = ""


def registry_of(context: ProjectContext) -> tuple[Component, ModelsPart]:
    """The chosen component with the registry. Raises UsageError if there is none."""
    for each in context.components:
        if each.projects and each.projects.models:
            return each, each.projects.models
    name = context.environment.name
    raise UsageError(
        f"{name} has no registry of models",
        why="none of its components has `projects.models`",
        hint="add one to `components`, such as the tracking server of the shipped environment `local`",
        command=f"mlops-platform env show {name}",
    )


@contextmanager
def opened(context: ProjectContext, project: str) -> Iterator[Registry]:
    """Open the registry for the block. Raises UsageError, StepError."""
    component, part = registry_of(context)
    with reached(context, project, component, part.port) as (url, token):
        yield Registry(url, part.api, token)


def uri(part: ModelsPart, model: str, version: str) -> str:
    """The storageUri of a version. A name with other characters than letters, digits and ._-~ is quoted."""
    return str(substitute(part.uri, {"model": quote(model, safe=""), "version": version}))


def resolve(registry: Registry, reference: Reference, project: str) -> Resolution:
    """Find the version that a reference names, and check that it can be loaded. Raises UsageError."""
    model = registry.model(reference.model)
    if model is None:
        raise UsageError(
            f"project {project} has no model {reference.model}",
            why="its registry has no registered model of this name",
            hint="log the model with `registered_model_name`, in a run of the project",
        )
    number, note = _number(model, reference)
    version = registry.version(model.name, number)
    if version is None:
        raise UsageError(
            f"model not found: {model.name} version {number}", why=_known(model), hint="name another version"
        )
    if version.status != READY:
        raise UsageError(
            f"{model.name} version {number} is not {READY}",
            why=f"its status is {version.status}" + (f": {version.message}" if version.message else ""),
            hint="wait until it is registered, or register the model again",
        )
    return Resolution(model.name, number, note)


def _number(model: RegisteredModel, reference: Reference) -> tuple[str, str]:
    """The number of the version, and how it was found."""
    if reference.alias:
        number = model.aliases.get(reference.alias, "")
        if not number:
            raise UsageError(
                f"model {model.name} has no alias {reference.alias}",
                why=_known(model),
                hint="set the alias in the registry, or name a version",
            )
        return number, f"alias {reference.alias} is version {number}"
    if reference.version:
        return reference.version, ""
    if not model.newest:
        raise UsageError(f"model {model.name} has no version", hint="log the model again, in a run")
    if model.newest == "1":
        return "1", ""
    return model.newest, f"version {model.newest} is the newest of several; name one: {model.name}/VERSION"


def _known(model: RegisteredModel) -> str:
    aliases = ", ".join(f"{alias} (version {number})" for alias, number in sorted(model.aliases.items()))
    newest = f"its newest version is {model.newest}" if model.newest else "it has no version"
    return f"{newest}; its aliases: {aliases or 'none'}"
