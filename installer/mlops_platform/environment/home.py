"""The table of the home page (catalogue.json): UIs, and what it shows of each project."""

from __future__ import annotations

from typing import Any

from mlops_platform.base.groups import GROUPS
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.catalogue.component import LAYERS, Component
from mlops_platform.catalogue.variables import RUN, SHOWN
from mlops_platform.environment.chosen import chosen_components
from mlops_platform.environment.issuer import origin
from mlops_platform.environment.model import Environment
from mlops_platform.environment.uis import exposed_uis, sign_out

HOME_FILE = "catalogue.json"
_DEFAULT = "local"  # of --env


def home_table(environment: Environment, catalog: Catalog) -> dict[str, Any]:
    """The contents of catalogue.json."""
    suffix = "" if environment.name == _DEFAULT else f" --env {environment.name}"
    chosen = list(chosen_components(environment, catalog))
    return {
        "site": environment.site,
        "groups": list(GROUPS),
        "signOut": sign_out(environment),
        "uis": _uis(environment, catalog),
        "lists": [each for component in chosen for each in _lists(environment, component, suffix)],
        "runs": next((r for component in chosen if (r := _runs(environment, component))), None),
        "addProject": f"mlops-platform project add NAME --member GROUP:edit{suffix}",
        "commands": [
            {"about": about, "command": f"mlops-platform {command}{suffix}"}
            for about, command in (
                ("kubectl as a member", "kubeconfig --project ${project}"),
                ("Upload data", "project data put FILE --project ${project}"),
            )
        ],
    }


def _uis(environment: Environment, catalog: Catalog) -> list[dict[str, Any]]:
    """The UIs that people open, in the order of layers."""
    found = [(c, s) for c, s in exposed_uis(environment, catalog) if not s.public and not s.home]
    return [
        {
            "name": served.host or component.name,
            "summary": component.summary,
            "version": component.version,
            "address": f"{origin(environment, component, served)}/",
            "login": served.login,
            "groups": list(served.groups),
            "service": component.name,
            "namespace": component.namespace,
        }
        for component, served in sorted(found, key=lambda each: LAYERS.index(each[0].layer))
    ]


def _lists(environment: Environment, component: Component, suffix: str) -> list[dict[str, Any]]:
    """The lists of one component; `${project}` and `${object}` stay in its texts."""
    known = {**{name: f"${{{name}}}" for name in SHOWN}, "site": environment.site}
    return [
        {
            "title": each.title,
            "api": each.api,
            "resource": each.resource,
            "labels": ",".join(f"{key}={value}" for key, value in each.labels.items()),
            "annotation": each.annotation,
            "word": each.word,
            "address": substitute(each.address, known),
            "endpoint": substitute(each.endpoint, known),
            "command": f"{substitute(each.command, known)}{suffix}" if each.command else "",
        }
        for each in (component.projects.shows if component.projects else ())
    ]


def _runs(environment: Environment, component: Component) -> dict[str, Any] | None:
    """The API of a registry of models with runs, as pods reach it, and the page of a run."""
    models = component.projects.models if component.projects else None
    if not (models and models.runs):
        return None
    served = component.serves[models.port]
    page = substitute(models.runs, {name: f"${{{name}}}" for name in RUN})
    return {
        "api": f"http://{component.name}.{component.namespace}.svc:{served.port}{models.api}",
        "address": f"{origin(environment, component, served)}{page}",
    }
