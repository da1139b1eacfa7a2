"""Owns `policies show`: who may reach whom, and the NetworkPolicies that say so; no cluster is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.run.context import Context


def run_show(console: Console, *, as_yaml: bool) -> int:
    from mlops_platform.console import firewall
    from mlops_platform.run.connect import read_only
    from mlops_platform.run.open import open_environment

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    work = read_only(opened)
    manifests, unknown = _manifests(work)
    if as_yaml and not console.json:
        from mlops_platform.base.yaml import dump_all

        head = f"# {unknown}\n" if unknown else ""
        console.raw(head + dump_all(manifests))
        return 0
    flows = sorted(work.catalog.flows(work.environment.components))
    taken = {name: tuple(resolved.outside) for name, resolved in work.resolved.items()}
    data = {
        "flows": [{"from": f.source, "to": f.target, "port": f.port} for f in flows],
        "components": [_entry(c) | {"given": list(taken[c.name])} for c in work.components],
        "policies": manifests,
        "unknown": unknown,
    }
    return console.done(data, firewall.matrix(console.environment, work.components, flows, taken, unknown))


def _entry(component: Any) -> dict[str, Any]:
    return {
        "name": component.name,
        "namespace": component.namespace,
        "serves": [served.port for served in component.serves.values()],
        "open": component.ingress,
        "kubeApi": component.kube_api,
        "webhooks": list(component.webhooks),
        "egress": [outside.model_dump() for outside in component.egress],
        "podSecurity": component.pod_security.level if component.pod_security else "restricted",
    }


def _manifests(work: Context) -> tuple[list[dict[str, Any]], str]:
    """All of them, and what cannot be said of them while the cluster is not up."""
    from mlops_platform.base.errors import PlatformError
    from mlops_platform.run.connect import reach
    from mlops_platform.steps.network.policies import Addresses, base, policies_of, render

    wanting = {"the API server": [c.name for c in work.components if c.kube_api]}
    for resolved in work.resolved.values():
        for capability in resolved.outside:
            wanting.setdefault(f"the cluster's {capability}", []).append(resolved.name)
    unknown = ""
    if any(wanting.values()):
        try:
            reach(work)
        except PlatformError:
            told = "; of ".join(f"{what}, for {', '.join(names)}" for what, names in wanting.items() if names)
            unknown = f"addresses of {told}: the cluster is not up"
    found: list[dict[str, Any]] = []
    for resolved in work.resolved.values():
        if unknown:
            addresses = Addresses(pods=work.cluster.network().pods)
            chosen = work.environment.components
            found += render(work.catalog, resolved.component, chosen, addresses, base(work))
        else:
            found += policies_of(work, resolved)
    return found, unknown
