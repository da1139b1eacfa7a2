"""Operators that a cluster has: found by the API groups of their objects, with version and owner."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_platform.adapters.kube.client import Kube
from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL

_CONFIGURATIONS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
# The API server registers built-in groups and those of definitions itself, with this label.
_AUTOMATIC = "kube-aggregator.kubernetes.io/automanaged"
_VERSION = re.compile(r"v?(\d+\.\d+\S*)\Z")


@dataclass(frozen=True)
class Operator:
    """An operator in a cluster. `kinds` are the names of its definitions, or of its APIServices.

    `version` is '' if nothing names one. `environment` is the environment that installed it, '' if it is not
    the platform's.
    """

    group: str
    kinds: tuple[str, ...]
    version: str
    owner: str
    environment: str = ""

    def __str__(self) -> str:
        version = self.version or "of an unknown version"
        return f"{self.group} {version}, owner: {self.owner}"


def find_operators(kube: Kube, groups: Iterable[str]) -> dict[str, Operator]:
    """The operator of each API group that has one here. Reads metadata; contents only of what it finds."""
    definitions = kube.metadata("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    services = kube.metadata("apiregistration.k8s.io/v1", "APIService")
    services = [each for each in services if _AUTOMATIC not in (each["metadata"].get("labels") or {})]
    found = {}
    for group in groups:
        kinds = [d for d in (*definitions, *services) if d["metadata"]["name"].endswith(f".{group}")]
        if kinds:
            found[group] = _operator(kube, group, kinds)
    return found


def _operator(kube: Kube, group: str, kinds: Sequence[Mapping[str, Any]]) -> Operator:
    names = tuple(sorted(each["metadata"]["name"] for each in kinds))
    labels = [each["metadata"].get("labels") or {} for each in kinds]
    version = next((v for v in map(_labeled_version, labels) if v), "") or _running_version(kube, group)
    environment = next((e for e in (each.get(ENVIRONMENT_LABEL, "") for each in labels) if e), "")
    return Operator(group, names, version, _owner(kinds[0]["metadata"]), environment)


def _owner(meta: Mapping[str, Any]) -> str:
    """The Helm release that has the object, else the program that wrote it."""
    annotations = meta.get("annotations") or {}
    release = annotations.get("meta.helm.sh/release-name")
    if release:
        return f"Helm release {release} in namespace {annotations.get('meta.helm.sh/release-namespace')}"
    managers = [each["manager"] for each in meta.get("managedFields") or [] if "subresource" not in each]
    return managers[0] if managers else "unknown"


def _labeled_version(labels: Mapping[str, str]) -> str:
    chart = labels.get("helm.sh/chart", "").rpartition("-")[2]
    for text in (labels.get("app.kubernetes.io/version", ""), chart):
        if match := _VERSION.match(text):
            return match[1]
    return ""


def _running_version(kube: Kube, group: str) -> str:
    """The version in the image of a pod behind one of the group's webhooks."""
    services = dict.fromkeys(
        (service["namespace"], service["name"])
        for kind in _CONFIGURATIONS
        for configuration in kube.list("admissionregistration.k8s.io/v1", kind)
        for hook in configuration.get("webhooks") or []
        if any(group in rule.get("apiGroups", []) for rule in hook.get("rules") or [])
        and (service := hook["clientConfig"].get("service"))
    )
    return next((version for each in services if (version := _image_version(kube, *each))), "")


def _image_version(kube: Kube, namespace: str, name: str) -> str:
    service = kube.get("v1", "Service", name, namespace)
    selector = ((service or {}).get("spec") or {}).get("selector") or {}
    if not selector:
        return ""
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    pods = kube.list("v1", "Pod", namespace, labels=labels)
    images = [c["image"].partition("@")[0].rpartition(":")[2] for p in pods for c in p["spec"]["containers"]]
    return next((match[1] for image in images if (match := _VERSION.match(image))), "")
