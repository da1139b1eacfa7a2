"""ResolvedComponent: all that an environment decides about a component, computed once a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mlops_platform.base.labels import TOKEN_SECONDS, secret_name
from mlops_platform.base.order import in_order
from mlops_platform.catalogue.catalogue import IDENTITY, SECRET_STORE, Catalog
from mlops_platform.catalogue.checks import CAPABILITIES
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.variables import ports
from mlops_platform.clusters.managed import Managed, ManagedServer, ManagedService
from mlops_platform.environment.chosen import chosen_provider
from mlops_platform.environment.home import HOME_FILE, home_table
from mlops_platform.environment.issuer import issuer_of, provider
from mlops_platform.environment.model import ComponentSpec, Environment
from mlops_platform.environment.uis import ROUTES_FILE, routes


@dataclass(frozen=True)
class Account:
    """An account for one component at the component that provides a capability.

    `kind` is 'database' or 'bucket'; `name` is the name of the database or bucket. If `rotated`, Vault
    rotates its password, and no Secret contains it.
    """

    component: str
    namespace: str
    kind: str
    capability: str
    provider: str
    name: str
    rotated: bool = False

    @property
    def secret(self) -> str:
        return secret_name(self.component, self.kind)


@dataclass(frozen=True)
class Grant:
    """A managed service of the cloud that one component may use. `kind` is 'bucket' or 'pools'."""

    component: str
    namespace: str
    kind: str
    service: ManagedService

    @property
    def secret(self) -> str:
        return secret_name(self.component, self.kind)

    @property
    def values(self) -> dict[str, str]:
        """The contents of its Secret."""
        return dict(self.service.values(self.namespace))


@dataclass(frozen=True)
class ResolvedComponent:
    """A chosen component in its environment. Release values, jobs and smoke tests are functions of it.

    `requires` names the chosen components that are installed before it. `in_tree`: the release is the in-tree
    chart. `image` is the recipe of its pods ('' if a chart names an image); `reference` maps a recipe to an
    image reference. `outside` are the cloud services that it uses, by capability. `audience` is the audience
    of its tokens for Vault ('' without Vault). `tables` are further files that the installer writes, by name:
    of the ingress and the home page. Smoke tests sign users in with the file `login`. `bundle` is the folder
    of user code.
    """

    component: Component
    folder: Path
    spec: ComponentSpec
    environment: str
    requires: tuple[str, ...]
    in_tree: bool
    variables: Mapping[str, Any]
    image: str
    reference: Callable[[str], str]
    accounts: tuple[Account, ...] = ()
    grants: tuple[Grant, ...] = ()
    outside: Mapping[str, Managed] = field(default_factory=dict)
    audience: str = ""
    tables: Mapping[str, Callable[[], dict[str, Any]]] = field(default_factory=dict)
    login: Path | None = None
    bundle: Path | None = None

    @property
    def name(self) -> str:
        return self.component.name

    @property
    def namespace(self) -> str:
        return self.component.namespace

    @property
    def layer(self) -> str:
        return self.component.layer

    @property
    def images(self) -> tuple[str, ...]:
        """The recipes of its release: of the in-tree chart, or of a module's values and objects."""
        if self.component.module:
            return tuple(dict.fromkeys(self.component.module.images.values()))
        more = self.component.embedded.images.values() if self.component.embedded and self.in_tree else ()
        return tuple(dict.fromkeys([*([self.image] if self.image else []), *more]))

    @property
    def kustomized(self) -> bool:
        """True: kustomize renders its release, a tree or an overlay."""
        component = self.component
        return bool(not self.in_tree and not component.chart and (component.kustomize or component.overlay))

    @property
    def object_images(self) -> tuple[str, ...]:
        """The recipes that its custom resources name."""
        module = self.component.module
        texts = [self.text(file) for file in self.component.objects]
        images = module.images.items() if module else ()
        return tuple(recipe for name, recipe in images if any(f"_{name}}}" in text for text in texts))

    def secret(self, key: str) -> str:
        """The name of one of its Secrets."""
        return secret_name(self.name, key)

    def text(self, file: str) -> str:
        """The contents of a file in its folder."""
        return (self.folder / file).read_text()


@dataclass(frozen=True)
class Surroundings:
    """A cluster's decisions about its components: managed services by capability, database servers of the
    cloud, whether charts can be downloaded, whether nodes run images that are built here."""

    managed: Mapping[str, ManagedService]
    servers: Mapping[str, ManagedServer]
    charts: bool
    takes_images: bool
    reference: Callable[[str], str]
    beside: Path  # base of relative paths in the environment file


def resolve(
    environment: Environment, catalog: Catalog, around: Surroundings, components: Sequence[Component]
) -> dict[str, ResolvedComponent]:
    """The components by name, in installation order."""
    signed_in, issuer = provider(environment, catalog), issuer_of(environment, catalog)
    login = catalog.folder(signed_in.name) / signed_in.provides[IDENTITY].login if signed_in else None
    store = chosen_provider(environment, catalog, SECRET_STORE)
    own: dict[str, Managed] = {**around.managed, **around.servers}
    names = [component.name for component in components]
    tokens = _project_tokens(catalog, names)
    found = {}
    for component in components:
        spec = environment.components[component.name]
        in_tree = _in_tree(component, around)
        needed = [c for kind, c in CAPABILITIES.items() if getattr(component.needs, kind)]
        bundle = spec.bundle.folder if spec.bundle else None
        found[component.name] = ResolvedComponent(
            component=component.with_extras(spec.extras),
            folder=catalog.folder(component.name),
            spec=spec,
            environment=environment.name,
            requires=catalog.edges(component.name, names),
            in_tree=in_tree,
            variables={
                **_variables(environment, component, spec, issuer.machines if issuer else ()),
                "project_tokens": tokens,
            },
            image=_image(component, spec) if in_tree else "",
            reference=around.reference,
            accounts=_accounts(environment, catalog, component, around, rotates=store is not None),
            grants=_grants(component, around.managed),
            outside={c: s for c, s in own.items() if c in needed},
            audience=store.name if store else "",
            tables=_tables(environment, catalog, component),
            login=login,
            bundle=around.beside / bundle if bundle else None,
        )
    order = in_order({name: each.requires for name, each in found.items()})
    return {name: found[name] for name in order}


def _tables(
    environment: Environment, catalog: Catalog, component: Component
) -> dict[str, Callable[[], dict[str, Any]]]:
    """The files with tables of other components, made when they are read."""
    found: dict[str, Callable[[], dict[str, Any]]] = {}
    if component.ingress:
        found[ROUTES_FILE] = partial(routes, environment, catalog)
    if any(served.home for served in component.serves.values()):
        found[HOME_FILE] = partial(home_table, environment, catalog)
    return found


def _in_tree(component: Component, around: Surroundings) -> bool:
    """True if the release is the in-tree chart; a chart that can be downloaded has priority."""
    official = around.charts and (component.chart or component.kustomize)
    return bool(component.embedded and around.takes_images and not official)


def _project_tokens(catalog: Catalog, chosen: Sequence[str]) -> list[dict[str, Any]]:
    """The sources of the volume of tokens in pods of projects: a file for each audience.

    Without an audience there is a file with the namespace: Trainer writes an empty list as null, and no
    JobSet has a volume without sources.
    """
    tokens = [
        {"serviceAccountToken": {"audience": each, "path": each, "expirationSeconds": TOKEN_SECONDS}}
        for each in catalog.project_audiences(chosen)
    ]
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    return tokens or [{"downwardAPI": {"items": [namespace]}}]


def _variables(
    environment: Environment, component: Component, spec: ComponentSpec, machines: tuple[str, ...]
) -> dict[str, str]:
    """The template variables of `${…}` in values, redirects and the environment of scripts."""
    return {
        "name": component.name,
        "namespace": component.namespace,
        "domain": environment.domain,
        "site": environment.site,  # the domain with the gateway's port, as in a browser
        "machines": ",".join(machines),  # issuer=audience pairs of accepted bearer tokens
        "environment": environment.name,
        "version": component.version,
        **ports(component),
        **{key: getattr(spec, key) or getattr(component.resources, key) for key in ("cpu", "memory", "disk")},
    }


def _image(component: Component, spec: ComponentSpec) -> str:
    """The recipe of its pods: its own, or the recipe of user code that extends it."""
    assert component.embedded, "in-tree without a recipe"
    return spec.bundle.image if spec.bundle and spec.bundle.image else component.embedded.image


def _accounts(
    environment: Environment, catalog: Catalog, component: Component, around: Surroundings, *, rotates: bool
) -> tuple[Account, ...]:
    """One account for each capability in `needs` that a component provides.

    If the server is a cloud service, the component that makes accounts in it need not be chosen.
    """
    found = []
    for kind, capability in CAPABILITIES.items():
        name = getattr(component.needs, kind)
        if not name or capability in around.managed:
            continue
        able = catalog[catalog.providers(capability)[0]]
        chosen = chosen_provider(environment, catalog, capability) or able
        # Policies keep Vault inside the cluster, so it cannot rotate the passwords of a cloud server.
        ours = rotates and capability not in around.servers
        rotated = ours and chosen.provides[capability].engine is not None
        place = (component.name, component.namespace)
        found.append(Account(*place, kind, capability, chosen.name, name, rotated))
    return tuple(found)


def _grants(component: Component, managed: Mapping[str, ManagedService]) -> tuple[Grant, ...]:
    """One grant for each capability in `needs` that is a managed service of the cloud."""
    return tuple(
        Grant(component.name, component.namespace, kind, managed[capability])
        for kind, capability in CAPABILITIES.items()
        if getattr(component.needs, kind) and capability in managed
    )
