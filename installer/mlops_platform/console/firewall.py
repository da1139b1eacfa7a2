"""The screen of network policies: a matrix of components, and below it every flow with its ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlops_platform.base.humanize import labelled, table

if TYPE_CHECKING:
    from mlops_platform.catalogue.catalogue import Flow
    from mlops_platform.catalogue.component import Component

_YES, _NO, _SELF = "✔", "·", "="


def matrix(
    name: str,
    components: Sequence[Component],
    flows: Sequence[Flow],
    taken: Mapping[str, Sequence[str]],
    unknown: str,
) -> str:
    """Columns have the rows' numbers: twenty components fit 80 columns.

    `taken` are the managed services that each component reaches.
    """
    pairs = {(f.source, f.target) for f in flows}
    headers = ("", "from \\ to", *map(str, range(1, len(components) + 1)), "api", "out")
    rows = [
        (
            str(number),
            source.name,
            *(_mark(source, target, pairs) for target in components),
            *_beyond(source, taken),
        )
        for number, source in enumerate(components, 1)
    ]
    ports = [row for target in components for row in _ports(target, flows)]
    for word in dict.fromkeys(word for words in taken.values() for word in words):
        takers = ", ".join(taker for taker, words in taken.items() if word in words)
        ports.append((f"the cluster's {word}", "", takers))
    if scrapers := [source.name for source in components if source.kubelets]:
        ports.append(("the kubelets", "10250", ", ".join(scrapers)))
    lines = [
        f"{name}: every flow that is not listed is denied, in both directions",
        "",
        table(headers, rows),
        "",
    ]
    lines += [table(("to", "port", "from"), ports), ""]
    if unknown:
        lines += labelled("unknown", unknown)
    lines += labelled("also", "every component reaches its own ports (=) and the cluster's DNS")
    if any(served.projects for target in components for served in target.serves.values()):
        lines += labelled("", "pods of a project reach each other and DNS, and no pod of another project")
    lines += labelled("yaml", f"mlops-platform policies show --yaml --env {name}", wrap=False)
    return "\n".join(lines)


def _mark(source: Component, target: Component, pairs: set[tuple[str, str]]) -> str:
    if source.name == target.name:
        return _SELF if source.serves else _NO
    return _YES if (source.name, target.name) in pairs else _NO


def _beyond(source: Component, taken: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    out = source.egress or source.kubelets or taken.get(source.name)
    return _YES if source.kube_api else _NO, _YES if out else _NO


def _ports(target: Component, flows: Sequence[Flow]) -> list[tuple[str, str, str]]:
    """One row per port, and one per webhook and per address outside of the cluster."""
    rows = []
    for served in target.serves.values():
        sources = [f.source for f in flows if (f.target, f.port) == (target.name, served.port)]
        others = [source for source in sources if source != target.name]
        if served.projects:
            others.append("projects")
        if target.ingress:
            others.append("anywhere outside the cluster")
        rows.append((target.name, str(served.port), ", ".join(others) or "-"))
    rows += [(target.name, str(port), "the API server") for port in target.webhooks]
    rows += [(each.cidr, str(each.port), f"{target.name}: {each.why}") for each in target.egress]
    return rows
