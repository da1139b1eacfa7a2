"""Check of webhooks and APIServices: own Services, a known authority, and only their own objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlops_platform.adapters.helm.rendered import webhook_clients
from mlops_platform.catalogue.custom_objects import is_builtin
from mlops_platform.steps.release.checks.findings import Bounds, Finding, Object, title

_KEY = ("webhookCertificate",)


def findings(objects: Sequence[Object], bounds: Bounds) -> Iterator[Finding]:
    """Find webhooks of other Services, without an authority, or that can stop objects of others."""
    services = {o["metadata"]["name"] for o in objects if o["kind"] == "Service"}
    wanted = bounds.component.webhook_certificate
    if wanted and wanted.service not in services:
        what = f"the release has no Service {wanted.service}"
        yield Finding((*_KEY, "service"), what, f"its Services: {', '.join(sorted(services)) or 'none'}")
    for each in objects:
        for client in webhook_clients(each):
            yield from _client(each, client, services, bounds)
        for hook in each.get("webhooks") or []:
            if problem := _unlimited(hook):
                what = f"{title(each)}: webhook {hook['name']} intercepts all {problem}"
                yield Finding(bounds.source, what, _hint(hook["name"], bounds))
        if wanted and each["kind"] == "Secret" and each["metadata"]["name"] in wanted.secrets:
            what = f"{title(each)}: in the chart too"
            yield Finding((*_KEY, "secrets"), what, f"add Secret/{each['metadata']['name']} to omit")


def _client(each: Object, client: Mapping[str, Any], services: set[str], bounds: Bounds) -> Iterator[Finding]:
    service = client.get("service")
    if not service:
        yield Finding(bounds.source, f"{title(each)}: calls a URL", "only own Services are called; omit it")
    elif service.get("namespace") != bounds.namespace or service["name"] not in services:
        what = f"{title(each)}: calls Service {service.get('namespace')}/{service['name']}"
        yield Finding(bounds.source, what, "it is no Service of this release: omit it")
    elif not client.get("caBundle"):
        what = f"{title(each)}: has no authority to verify Service {service['name']}"
        yield Finding(_KEY, what, "add `webhookCertificate`, and turn off the chart's own certificates")


def _hint(name: str, bounds: Bounds) -> str:
    act = f"limit {name} in limitWebhooks" if bounds.component.module else "choose a tree that limits it"
    return f"{act}, or omit it; else none of them can be created while its pods are gone"


def _unlimited(hook: Mapping[str, Any]) -> str:
    """The resources of Kubernetes itself that a webhook intercepts without a selector; '' if there are none.

    With failurePolicy Fail, such a webhook stops the start of every pod while its own pods are gone; with
    Ignore it delays each by its timeout. A selector of namespaces does not limit enough: projects have pods
    of many kinds. A selector of objects limits only if it names what it wants: `NotIn` and `DoesNotExist`
    match nearly everything.
    """
    if _limits(hook.get("objectSelector") or {}) or hook.get("matchConditions"):
        return ""
    found = [
        resource
        for rule in hook.get("rules") or []
        if any(group == "*" or is_builtin(group) for group in rule.get("apiGroups") or [])
        for resource in rule.get("resources") or []
    ]
    return ", ".join(dict.fromkeys(found))


def _limits(selector: Mapping[str, Any]) -> bool:
    expressions = selector.get("matchExpressions") or []
    return bool(selector.get("matchLabels")) or any(e["operator"] in ("In", "Exists") for e in expressions)
