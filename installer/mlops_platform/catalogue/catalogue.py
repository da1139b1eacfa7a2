"""The catalogue: all components, and the edges between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlops_platform.base.yaml import Document
from mlops_platform.catalogue.component import Component, Outside
from mlops_platform.catalogue.rules import PodCalls

# Installed before every component for which a Secret is made.
SECRET_STORE = "secret-store"  # noqa: S105
# The OIDC issuer, and the component that signs users in there; an environment may name its own issuer.
IDENTITY, SIGN_ON = "identity", "sign-on"


@dataclass(frozen=True)
class Entry:
    """A component and its folder."""

    component: Component
    folder: Path
    document: Document


@dataclass(frozen=True, order=True)
class Flow:
    """A permitted connection: any pod of `source` to this port of any pod of `target`."""

    source: str
    target: str
    port: int


@dataclass(frozen=True)
class Catalog:
    """All components by name."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Component:
        return self.entries[name].component

    def folder(self, name: str) -> Path:
        return self.entries[name].folder

    def with_egress(self, more: Mapping[str, Iterable[Outside]]) -> Catalog:
        """Return the catalogue with the egress that an environment adds to components."""
        entries = dict(self.entries)
        for name, given in more.items():
            component = self[name]
            update = {"egress": [*component.egress, *given]}
            entries[name] = replace(entries[name], component=component.model_copy(update=update))
        return replace(self, entries=entries)

    def providers(self, wanted: str) -> list[str]:
        """Names that satisfy one word of `requires`: the component itself, or those that provide it."""
        if wanted in self.entries:
            return [wanted]
        return [name for name, entry in self.entries.items() if wanted in entry.component.provides]

    def edges(self, name: str, chosen: Iterable[str]) -> tuple[str, ...]:
        """The chosen components that are installed before this one, in catalogue order.

        Besides `requires`: the secret store, if a Secret is made for it, and for an ingress its UIs, except
        those that require the ingress.
        """
        pool, component = set(chosen), self[name]
        found = self._resolved(component.requires, pool)
        if component.needs.anything:
            found |= self._resolved([SECRET_STORE], pool)
        if component.ingress:
            uis = {n for n in pool if any(s.ui for s in self[n].serves.values())}
            found |= uis - self.late_uis(pool)
        return tuple(n for n in self.entries if n in found - {name})

    def late_uis(self, chosen: Iterable[str]) -> set[str]:
        """The chosen components with a UI that are installed after the ingress, because they require it."""
        pool = set(chosen)
        ingresses = {n for n in pool if self[n].ingress}
        return {
            n
            for n in pool
            if any(s.ui for s in self[n].serves.values())
            and ingresses & self._resolved(self[n].requires, pool)
        }

    def flows(self, chosen: Iterable[str]) -> frozenset[Flow]:
        """Every permitted connection between the chosen components; all others are denied.

        A component reaches every port of what it requires or may call (`optional`), its own ports, and
        an ingress the `ui` ports.
        """
        pool, found = set(chosen), set[Flow]()
        for name in pool:
            component = self[name]
            for target in {name, *self._resolved([*component.requires, *component.optional], pool)}:
                found |= {Flow(name, target, s.port) for s in self[target].serves.values()}
            if component.ingress:
                found |= {Flow(name, t, s.port) for t in pool for s in self[t].serves.values() if s.ui}
        return frozenset(found)

    def project_ports(self, chosen: Iterable[str]) -> dict[str, list[int]]:
        """The ports of the chosen components that every pod of every project reaches, by component."""
        pool = set(chosen)
        ports = {
            name: sorted(s.port for s in entry.component.serves.values() if s.projects)
            for name, entry in self.entries.items()
            if name in pool
        }
        return {name: numbers for name, numbers in ports.items() if numbers}

    def project_audiences(self, chosen: Iterable[str]) -> list[str]:
        """The audiences of the tokens of pods in projects: of chosen components that these pods reach."""
        reached = self.project_ports(chosen)
        parts = (self[name].projects for name in reached)
        return sorted({part.token for part in parts if part and part.token})

    def callers_of_projects(self, chosen: Iterable[str]) -> list[tuple[Component, PodCalls]]:
        """The chosen components that connect to pods of projects."""
        pool = set(chosen)
        found = [entry.component for name, entry in self.entries.items() if name in pool]
        return [(each, each.projects.calls) for each in found if each.projects and each.projects.calls]

    def _resolved(self, wanted: Iterable[str], pool: set[str]) -> set[str]:
        return {p for word in wanted for p in self.providers(word) if p in pool}
