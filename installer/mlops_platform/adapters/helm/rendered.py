"""Objects rendered here: changed by a component's rules, then wrapped in a chart for Helm.

As a chart they have a history, a rollback and an uninstall.
"""

from __future__ import annotations

import base64
import copy
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_platform.adapters.helm.release import Certificate, Release
from mlops_platform.adapters.helm.rules import (
    NO_RULES,
    Place,
    Rules,
    change_webhooks,
    kept_containers,
    omitted,
    set_json,
    take_rights,
)
from mlops_platform.base.digest import short_digest
from mlops_platform.base.yaml import dump

Object = Mapping[str, Any]
DEFINITION = "CustomResourceDefinition"
INPUTS = "mlops-platform/inputs"  # on pods: digest of the ConfigMaps and certificates that they mount
_WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


@dataclass(frozen=True)
class Rendered:
    """The objects of a release, CustomResourceDefinitions included.

    `unmatched` are the entries of rules for which there was nothing to change: place, and what is missing.
    """

    objects: tuple[Object, ...]
    unmatched: tuple[tuple[Place, str], ...] = ()


def changed(objects: Sequence[Object], release: Release, rules: Rules = NO_RULES) -> Rendered:
    """Apply the rules, put in the authority, and let pods restart with what they mount."""
    used: set[Place] = set()
    copies = [copy.deepcopy(dict(each)) for each in objects]
    kept = [each for each in copies if not omitted(each, rules, used)]
    for each in kept:
        if pod := pod_template(each):
            for key in ("containers", "initContainers"):
                if found := pod["spec"].get(key):
                    pod["spec"][key] = kept_containers(found, rules, used)
        if each["kind"] in _WEBHOOKS:
            change_webhooks(each, rules, used)
        take_rights(each, rules, used)
        set_json(each, rules, used)
        if release.certificate:
            _trust(each, release.namespace, release.certificate.authority)
    for each in kept:
        _restart_with_inputs(each, kept, release.certificate)
    return Rendered(tuple(kept), tuple(entry for entry in rules.entries() if entry[0] not in used))


def pod_template(each: Object) -> dict[str, Any] | None:
    """The pod template of a workload, which has `spec`; None for other kinds."""
    spec = each.get("spec") or {}
    if each["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    if each["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"):
        template: dict[str, Any] = spec["template"]
        return template
    return dict(each) if each["kind"] == "Pod" else None


def webhook_clients(each: Object) -> Iterator[dict[str, Any]]:
    """Every client configuration of an object: of webhooks, of an APIService, of a conversion.

    An APIService has `service` and `caBundle` in its spec, in the place of a client configuration.
    """
    if each["kind"] in _WEBHOOKS:
        yield from (hook["clientConfig"] for hook in each.get("webhooks") or [])
    elif each["kind"] == "APIService" and each["spec"].get("service"):
        yield each["spec"]
    elif each["kind"] == DEFINITION:
        conversion = (each["spec"].get("conversion") or {}).get("webhook") or {}
        if conversion.get("clientConfig"):
            yield conversion["clientConfig"]


def _trust(each: Object, namespace: str, authority: str) -> None:
    for client in webhook_clients(each):
        if (client.get("service") or {}).get("namespace") == namespace:
            client["caBundle"] = base64.b64encode(authority.encode()).decode()
            client.pop("insecureSkipTLSVerify", None)  # with a caBundle the API server refuses it


def _restart_with_inputs(each: Object, objects: Sequence[Object], certificate: Certificate | None) -> None:
    """Set a digest of the mounted ConfigMaps and certificates on the pods, so that a change restarts them.

    Programs read them at their start, and some upstream charts have no such checksum.
    """
    pod = pod_template(each)
    if not pod or each["kind"] not in ("Deployment", "StatefulSet", "DaemonSet"):
        return
    volumes = pod["spec"].get("volumes") or []
    maps = {(v.get("configMap") or {}).get("name") for v in volumes}
    secrets = {(v.get("secret") or {}).get("secretName") for v in volumes}
    inputs = [[o.get("data"), o.get("binaryData")] for o in objects if _named(o, "ConfigMap", maps)]
    found: list[Any] = [each for each in inputs if any(each)]
    if certificate and secrets & set(certificate.secrets):
        found.append(certificate.digest)
    if found:
        meta = pod.setdefault("metadata", {})
        meta["annotations"] = {**(meta.get("annotations") or {}), INPUTS: short_digest(found)}


def _named(each: Object, kind: str, names: set[Any]) -> bool:
    return each["kind"] == kind and each["metadata"]["name"] in names


def write_chart(
    folder: Path, objects: Sequence[Object], release: Release, digest: str, app_version: str
) -> tuple[Object, ...]:
    """Write the objects as a chart, except the CustomResourceDefinitions, which are returned.

    The release's own namespace is left out too: an uninstall would delete it with all its objects.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "templates").mkdir(parents=True, mode=0o700)
    # The letter: an identifier of digits alone must not begin with 0. https://semver.org/#spec-item-9
    version = f"0.0.0-d{digest.removeprefix('sha256:')[:12]}"
    about = {"apiVersion": "v2", "name": release.name, "version": version, "appVersion": app_version}
    (folder / "Chart.yaml").write_text(dump(about))
    own = [o for o in objects if o["kind"] != DEFINITION and not is_namespace(o, release.namespace)]
    for number, each in enumerate(own):
        text = dump(each)
        file = folder / "templates" / f"{number:04}-{each['kind'].lower()}.yaml"
        file.write_text(escaped(text))
    return tuple(_owned(o, release.owner) for o in objects if o["kind"] == DEFINITION)


def _owned(definition: Object, labels: Mapping[str, str]) -> Object:
    meta = definition["metadata"]
    return {**definition, "metadata": {**meta, "labels": {**(meta.get("labels") or {}), **labels}}}


def escaped(text: str) -> str:
    """The text escaped for Helm's templates: dashboards and workflows contain many braces."""
    return text.replace("{{", "{{`{{`}}")


def is_namespace(each: Object, name: str) -> bool:
    return (each["kind"], each["metadata"]["name"]) == ("Namespace", name)
