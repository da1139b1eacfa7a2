"""`policies show`: the allowed connections and their NetworkPolicies; needs no cluster."""

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
    context = read_only(opened)
    manifests, unknown = _manifests(context)
    if as_yaml and not console.json:
        from mlops_platform.base.yaml import dump_all

        head = f"# {unknown}\n" if unknown else ""
        console.raw(head + dump_all(manifests))
        return 0
    flows = sorted(context.catalog.flows(context.environment.installed))
    taken = {name: tuple(resolved.outside) for name, resolved in context.resolved.items()}
    data = {
        "flows": [{"from": f.source, "to": f.target, "port": f.port} for f in flows],
        "projects": context.catalog.project_ports(context.environment.installed),
        "components": [_entry(c) | {"managed": list(taken[c.name])} for c in context.components],
        "policies": manifests,
        "unknown": unknown,
    }
    return console.done(data, firewall.matrix(console.environment, context.components, flows, taken, unknown))


def _entry(component: Any) -> dict[str, Any]:
    return {
        "name": component.name,
        "namespace": component.namespace,
        "serves": [served.port for served in component.serves.values()],
        "open": component.ingress,
        "kubeApi": component.kube_api,
        "kubelets": component.kubelets,
        "webhooks": list(component.webhooks),
        "egress": [outside.model_dump() for outside in component.egress],
        "podSecurity": component.pod_security.level if component.pod_security else "restricted",
    }


def _manifests(context: Context) -> tuple[list[dict[str, Any]], str]:
    """All NetworkPolicies, and a note about addresses that are unknown while the cluster is not up."""
    from mlops_platform.base.errors import PlatformError
    from mlops_platform.run.connect import reach
    from mlops_platform.steps.network.policies import Addresses, base, policies_of, render

    wanting = {"the API server": [c.name for c in context.components if c.kube_api]}
    wanting["the nodes"] = [c.name for c in context.components if c.kubelets]
    for resolved in context.resolved.values():
        for capability in resolved.outside:
            wanting.setdefault(f"the cluster's {capability}", []).append(resolved.name)
    unknown = ""
    if any(wanting.values()):
        try:
            reach(context)
        except PlatformError:
            missing = "; of ".join(
                f"{what}, for {', '.join(names)}" for what, names in wanting.items() if names
            )
            unknown = f"addresses of {missing}: the cluster is not up"
    found: list[dict[str, Any]] = []
    for resolved in context.resolved.values():
        if unknown:
            addresses = Addresses(pods=context.cluster.network().pods)
            chosen = context.environment.installed
            found += render(context.catalog, resolved.component, chosen, addresses, base(context))
        else:
            found += policies_of(context, resolved)
    return found, unknown
