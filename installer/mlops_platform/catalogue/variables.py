"""Template variables, `${…}`: their names, and what is wrong where they are used."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from string import Template
from typing import Any

from mlops_platform.catalogue.component import Component

Place = tuple[str | int, ...]
# Values of a component and of its scripts; run/resolved.py has their values.
COMMON = (
    "name",
    "namespace",
    "domain",
    "site",
    "machines",
    "environment",
    "version",
    "cpu",
    "memory",
    "disk",
    "project_tokens",
)
ACCOUNT = ("host", "port", "user", "password", "name")  # in `keys` of what a component provides
ENGINE = ("host", "port")  # in `url` of an engine
IMAGE = "image"  # of its pods, in the values of the in-tree chart
# In `projects.objects`, with COMMON: the project's name, and its quota.
PROJECT = ("project", "quota_cpu", "quota_memory", "quota_gpu", "quota_storage", "quota_pods")
SHOWN = ("site", "project", "object")  # in `projects.shows`
RUN = ("project", "experiment", "run")  # in `projects.models.runs`
BUNDLE = ("url", "ref", "path", "secret", "repository", "tag", "items")  # in a bundle's values, with COMMON


def ports(component: Component) -> dict[str, str]:
    """The numbers of a component's ports: `${port_http}` is that of `serves.http`."""
    return {f"port_{name.replace('-', '_')}": str(served.port) for name, served in component.serves.items()}


def images(component: Component) -> set[str]:
    """The variables with further images: `${image_x}`, and the parts of its reference."""
    names = {**(component.module.images if component.module else {})}
    names |= component.embedded.images if component.embedded else {}
    return {f"{part}_{name}" for name in names for part in ("image", "repository", "tag")}


def image_values(name: str, reference: str) -> dict[str, str]:
    """The values of these variables for one image, which the reference names by tag."""
    repository, _, tag = reference.rpartition(":")
    return {f"image_{name}": reference, f"repository_{name}": repository, f"tag_{name}": tag}


def file_variable(name: str) -> str:
    """The variable with the text of a file: `${launch_py}` is that of launch.py."""
    return re.sub(r"\W", "_", name)


def wrong(value: Any, known: Iterable[str], place: Place = ()) -> Iterator[tuple[Place, str, str]]:
    """Find variables that have no value, as (place, what, hint), in every text of a tree."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from wrong(key, known, (*place, key))
            yield from wrong(each, known, (*place, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from wrong(each, known, (*place, index))
    elif isinstance(value, str) and "$" in value:
        template = Template(value)
        if not template.is_valid():
            yield place, "a $ that begins no variable", "write $$ for a dollar"
        for name in template.get_identifiers():
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean ${{{close[0]}}}?" if close else f"known: {', '.join(sorted(known))}"
                yield place, f"${{{name}}} has no value", hint
