"""Checks of component.yaml beyond single keys: names that lead to other keys, and edges of the graph."""

from __future__ import annotations

from collections.abc import Iterable

from mlops_platform.base.errors import Problem
from mlops_platform.base.labels import PLATFORM_NAMESPACE
from mlops_platform.base.yaml import Document
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.catalogue.component import Component

# Keys of `needs`, each with the capability that satisfies it.
NODE_POOLS = "node-pools"  # no component provides it, some clusters do
CAPABILITIES = {"database": "sql", "bucket": "object-store", "pools": NODE_POOLS}
# Smoke results that belong to no single component.
MATRIX, CANARY, IDENTITIES, PROJECTS, GPUS = "matrix", "canary", "identities", "projects", "gpus"
# Names that a component cannot have: these results, and namespaces with several uses.
NOT_COMPONENTS = frozenset({MATRIX, CANARY, IDENTITIES, PROJECTS, GPUS, "default", PLATFORM_NAMESPACE})


def dangling(document: Document, component: Component) -> Iterable[Problem]:
    """Find names in one component.yaml that must be another of its keys, and are not."""
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
                ("provides", name), f"{name} without a script", "add a script that makes accounts"
            )
    for keys, port in _asked(component):
        if port not in component.serves:
            yield document.problem(("projects", *keys), f"{port} is not served", "a key of serves")
    for name, served in component.serves.items():
        if served.proxy_secret and served.proxy_secret not in component.needs.secrets:
            what = f"no secret {served.proxy_secret}"
            yield document.problem(("serves", name, "proxySecret"), what, "a key of needs.secrets")
        elif served.proxy_secret:
            need = component.needs.secrets[served.proxy_secret]
            if need.keys != ["value"] or need.fixed or need.immutable or need.rotate:
                what = f"secret {served.proxy_secret}: the installer rotates it, as the ingress sends it"
                yield document.problem(
                    ("needs", "secrets", served.proxy_secret), what, "use only `keys: [value]`, and `bytes`"
                )
        if served.home and (served.host or not served.ui):
            place = ("serves", name, "home")
            yield document.problem(place, "home without ui, or with a host", "add ui: true, remove host")
        if bool(served.paths) != served.public:
            what = "public and paths go together"
            yield document.problem(
                ("serves", name), what, "give the paths that need no login, or remove public"
            )
    if component.ingress and not component.serves:
        yield document.problem(
            ("ingress",), "ingress, but serves nothing", "add the port for browsers to `serves`"
        )
    if component.webhook_certificate and not component.webhooks:
        what = "webhookCertificate, but the API server reaches no port"
        yield document.problem(("webhookCertificate",), what, "add the pods' port to `webhooks`")
    ports, inside = set[int](), set[int]()
    for name, served in component.serves.items():
        key, number = ("target", served.container) if served.port not in ports else ("port", served.port)
        if served.port in ports or served.container in inside:
            place = ("serves", name, key if getattr(served, key) else "port")
            yield document.problem(place, f"{key} {number} is given twice", "give each port its own number")
        ports.add(served.port)
        inside.add(served.container)
    for name, served in component.serves.items():
        if component.embedded and served.target:
            what = "target: the in-tree chart gives the Service the number of the container"
            yield document.problem(("serves", name, "target"), what, "remove target")
    names = [job.name for job in component.jobs]
    for i, job in enumerate(component.jobs):
        if job.name in names[:i]:
            yield document.problem(("jobs", i, "name"), f"{job.name}: given twice", "rename one")
    for i, smoke in enumerate(component.smoke):
        given = [each.name for each in component.smoke[:i]]
        if smoke.name and smoke.name in (*given, component.name, *NOT_COMPONENTS):
            yield document.problem(
                ("smoke", i, "name"), f"{smoke.name}: this name is taken", "take another name"
            )
        if smoke.project and not component.kube_api:
            what = "project, but its pods may not reach the API server"
            yield document.problem(("smoke", i, "project"), what, "add kubeApi: true, or remove project")
        part = component.projects
        if smoke.dags and not (smoke.project and part and part.dags and part.dags.example):
            what = "dags without project and projects.dags.example"
            yield document.problem(("smoke", i, "dags"), what, "add both, or remove dags")
        if smoke.rights and not smoke.project:
            what = "rights without project: the test calls no API server"
            yield document.problem(("smoke", i, "rights"), what, "add project: true, or remove rights")
    for of, script in component.scripts:
        for j, secret in enumerate(script.secrets):
            if secret not in made:
                yield document.problem((*of, "secrets", j), f"no secret {secret}", known)


def _asked(component: Component) -> Iterable[tuple[tuple[str, ...], str]]:
    """The ports that commands ask about a project, each with its place in `projects`."""
    projects = component.projects
    if projects and projects.models:
        yield ("models", "port"), projects.models.port
    if projects and projects.job_logs:
        yield ("jobLogs",), projects.job_logs


def edge_problems(catalog: Catalog, *, complete: bool) -> list[Problem]:
    """Find unknown requirements (if all files could be read: `complete`), shared names, and cycles."""
    problems: list[Problem] = []
    owners: dict[tuple[str, str], str] = {}
    for name, entry in catalog.entries.items():
        words: list[tuple[tuple[str | int, ...], str]] = []
        words += [(("requires", i), w) for i, w in enumerate(entry.component.requires)]
        words += [(("optional", i), w) for i, w in enumerate(entry.component.optional)]
        for k, smoke in enumerate(entry.component.smoke):
            words += [(("smoke", k, "requires", i), w) for i, w in enumerate(smoke.requires)]
            taken = smoke.name in catalog.entries and smoke.name != name
            if smoke.name and (taken or owners.setdefault(("smoke", smoke.name), name) != name):
                what = f"{smoke.name}: a component, or a smoke test of another one, has this name"
                problems.append(entry.document.problem(("smoke", k, "name"), what, "take another name"))
        for place, wanted in words:
            if wanted == name or wanted in entry.component.provides:
                what = f"{place[-2]}: {wanted}: {name} itself"
                problems.append(entry.document.problem(place, what, "remove it"))
            if complete and wanted != NODE_POOLS and not catalog.providers(wanted):
                problems.append(
                    entry.document.problem(
                        place,
                        f"{place[-2]}: {wanted}: no component has this name or provides it",
                        "write a component's name, or a capability from another component's `provides`",
                    )
                )
        others = [n for n, each in catalog.entries.items() if name in each.component.provides]
        if others:
            what = f"{name}: {others[0]} provides a capability of this name"
            problems.append(entry.document.problem(("name",), what, "rename the component"))
        namespace = entry.component.namespace
        if namespace in NOT_COMPONENTS or namespace.startswith("kube-"):
            what = f"namespace {namespace} is reserved"
            problems.append(entry.document.problem(("namespace",), what, "give it a namespace of its own"))
        if owners.setdefault(("namespace", namespace), name) != name:
            what = f"namespace {namespace} belongs to {owners['namespace', namespace]} already"
            problems.append(entry.document.problem(("namespace",), what, "give it a namespace of its own"))
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
        for port in (port for port, served in entry.component.serves.items() if served.home):
            if owners.setdefault(("home", ""), name) != name:
                what = f"the home page is that of {owners['home', '']} already"
                problems.append(entry.document.problem(("serves", port, "home"), what, "remove home"))
        for variable in entry.component.projects.environment if entry.component.projects else ():
            if owners.setdefault(("variable", variable), name) != name:
                what = f"{variable} is set by {owners['variable', variable]} already"
                key = ("projects", "environment", variable)
                problems.append(entry.document.problem(key, what, "take another name"))
    for trail in _cycles(catalog):
        entry = catalog.entries[trail[0]]
        problems.append(
            entry.document.problem(("requires",), "cycle: " + " → ".join(trail), "remove one edge")
        )
    return problems


def _tested_after(catalog: Catalog, name: str) -> list[str]:
    """The components after which the short smoke tests of a component run."""
    words = [word for smoke in catalog[name].smoke if not smoke.long for word in smoke.requires]
    return [provider for word in words for provider in catalog.providers(word)]


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
        for needed in (*catalog.edges(name, catalog.entries), *_tested_after(catalog, name)):
            visit(needed, (*trail, name))
        finished.add(name)

    for name in catalog.entries:
        visit(name, ())
    return list(found.values())
