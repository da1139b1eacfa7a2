"""Owns what must be true of component folders beside each key by itself: files, words that lead on, edges."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_platform.base.errors import Problem
from mlops_platform.base.labels import PLATFORM_NAMESPACE
from mlops_platform.base.yaml import Document
from mlops_platform.catalogue.component import Component

if TYPE_CHECKING:
    from mlops_platform.catalogue.catalogue import Catalog

# What `needs` may ask for of somebody else, and the capability of whoever makes it.
NODE_POOLS = "node-pools"  # no component provides it, some clusters do
CAPABILITIES = {"database": "sql", "bucket": "object-store", "pools": NODE_POOLS}
# Smoke results of no single component: their names stand beside those of components.
MATRIX, CANARY, IDENTITIES = "matrix", "canary", "identities"
# Names that a component cannot have: those, and namespaces that hold more than one thing.
NOT_COMPONENTS = frozenset({MATRIX, CANARY, "default", PLATFORM_NAMESPACE})


def missing_files(document: Document, component: Component, folder: Path) -> Iterable[Problem]:
    """Every file component.yaml names must lie in the folder."""
    named: list[tuple[tuple[str | int, ...], str]] = []
    named += [(("provides", n, "script"), p.script) for n, p in component.provides.items() if p.script]
    named += [(("provides", n, "login"), p.login) for n, p in component.provides.items() if p.login]
    named += [
        (("smoke", i, "files", k), f) for i, s in enumerate(component.smoke) for k, f in enumerate(s.files)
    ]
    named += [(("jobs", i, "script"), j.script) for i, j in enumerate(component.jobs)]
    named += [(("smoke", i, "script"), s.script) for i, s in enumerate(component.smoke)]
    named += [
        (("needs", "secrets", n, "rotate"), s.rotate) for n, s in component.needs.secrets.items() if s.rotate
    ]
    named += [(("bundles",), component.bundles)] if component.bundles else []
    named += [
        (("serves", n, "logoutPage"), s.logout_page) for n, s in component.serves.items() if s.logout_page
    ]
    if component.needs.client:
        named.append((("needs", "client", "template"), component.needs.client.template))
    if component.embedded:
        named.append((("embedded", "values"), component.embedded.values))
        named += [(("embedded", "files", i), file) for i, file in enumerate(component.embedded.files)]
    for place, file in named:
        if not (folder / file).is_file():
            yield document.problem(
                place, f"{file}: no such file", f"expected beside component.yaml in {folder.name}/"
            )


def dangling(document: Document, component: Component) -> Iterable[Problem]:
    """Words in one component.yaml that must lead to another of its keys."""
    made = [*component.needs.secrets]
    made += [kind for kind in (*CAPABILITIES, "client", "certificate") if getattr(component.needs, kind)]
    known = f"known: {', '.join(made)}" if made else "it needs none"
    for name, provided in component.provides.items():
        if provided.port not in component.serves:
            place = ("provides", name, "port")
            yield document.problem(place, f"{provided.port} is not served", "a key of serves")
        if provided.admin and provided.admin not in component.needs.secrets:
            place = ("provides", name, "admin")
            yield document.problem(place, f"no secret {provided.admin}", "a key of needs.secrets")
        if name in CAPABILITIES.values() and not provided.script:
            yield document.problem(
                ("provides", name), f"{name} without a script", "others need accounts at it"
            )
    for name, served in component.serves.items():
        if served.proxy_secret and served.proxy_secret not in component.needs.secrets:
            what = f"no secret {served.proxy_secret}"
            yield document.problem(("serves", name, "proxySecret"), what, "a key of needs.secrets")
        if bool(served.paths) != served.public:
            what = "public and paths go together"
            yield document.problem(("serves", name), what, "say what is open to everybody")
    if component.ingress and not component.serves:
        yield document.problem(("ingress",), "ingress, but serves nothing", "give the port of the browsers")
    for key, scripts in (("jobs", component.jobs), ("smoke", component.smoke)):
        for i, script in enumerate(scripts):
            for j, secret in enumerate(script.secrets):
                if secret not in made:
                    yield document.problem((key, i, "secrets", j), f"no secret {secret}", known)


def edge_problems(catalog: Catalog, *, complete: bool) -> list[Problem]:
    """Unknown requirements (only sure when every file could be read), shared accounts, cycles."""
    problems: list[Problem] = []
    owners: dict[tuple[str, str], str] = {}
    for name, entry in catalog.entries.items():
        words = [(("requires", i), w) for i, w in enumerate(entry.component.requires)]
        words += [(("optional", i), w) for i, w in enumerate(entry.component.optional)]
        for place, wanted in words:
            if complete and wanted != NODE_POOLS and not catalog.providers(wanted):
                problems.append(
                    entry.document.problem(
                        place,
                        f"{place[0]}: {wanted}: no component has this name or provides it",
                        "write a component's name, or a capability from another component's `provides`",
                    )
                )
        namespace = entry.component.namespace
        if namespace in NOT_COMPONENTS or namespace.startswith("kube-"):
            what = f"namespace {namespace} is not a component's"
            problems.append(entry.document.problem(("namespace",), what, "others run there"))
        if owners.setdefault(("namespace", namespace), name) != name:
            what = f"namespace {namespace} belongs to {owners['namespace', namespace]} already"
            problems.append(entry.document.problem(("namespace",), what, "it is the network's identity"))
        for need, capability in CAPABILITIES.items():
            value = getattr(entry.component.needs, need)
            if value and capability not in entry.component.requires:
                problems.append(
                    entry.document.problem(
                        ("needs", need),
                        f"{name} has needs.{need} but does not require {capability}",
                        f"add {capability} to requires",
                    )
                )
            if isinstance(value, str) and owners.setdefault((need, value), name) != name:
                what = f"{need} {value} belongs to {owners[need, value]} already"
                problems.append(entry.document.problem(("needs", need), what, "take another name"))
    for trail in _cycles(catalog):
        entry = catalog.entries[trail[0]]
        problems.append(
            entry.document.problem(("requires",), "cycle: " + " → ".join(trail), "remove one edge")
        )
    return problems


def _cycles(catalog: Catalog) -> list[tuple[str, ...]]:
    """Each cycle once, starting at its first component by name."""
    found: dict[frozenset[str], tuple[str, ...]] = {}
    finished: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            loop = trail[trail.index(name) :]
            first = loop.index(min(loop))
            found.setdefault(frozenset(loop), (*loop[first:], *loop[: first + 1]))
            return
        if name in finished:
            return
        for needed in catalog.edges(name, catalog.entries):
            visit(needed, (*trail, name))
        finished.add(name)

    for name in catalog.entries:
        visit(name, ())
    return list(found.values())
