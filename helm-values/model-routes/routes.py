"""The routes of models: which Services answer for an InferenceService, with which weights.

KServe makes a Service for the predictor (`<name>-predictor`) and one for each canary
(`<name>-<canary>-predictor`), and reads `trafficPercent` only for the number of replicas
(pkg/controller/v1beta1/inferenceservice/components/predictor.go, 0.20). The split is ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

# During a promotion: weights that replace those of spec.canary, such as `v2=100` (docs/serving.md).
TRAFFIC = "mlops-platform/traffic"
STABLE = "stable"
_ALL = 100
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TRAFFIC = re.compile(r"[a-z0-9-]+=[0-9]{1,3}(,[a-z0-9-]+=[0-9]{1,3})*")
_SOURCE = re.compile(r"[A-Za-z0-9._~:/@+=-]{1,500}")

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Service:
    """A Service that an InferenceService owns; `owner` is the uid of the InferenceService."""

    namespace: str
    name: str
    owner: str
    address: str


@dataclass(frozen=True)
class Predictor:
    """A predictor of a model: the stable one, or a canary. `service` is the name of its Service."""

    name: str
    service: str
    weight: int
    source: str = ""


@dataclass(frozen=True)
class Model:
    """An InferenceService, reduced to what its route needs."""

    namespace: str
    name: str
    uid: str
    predictors: tuple[Predictor, ...]
    problem: str = ""


@dataclass(frozen=True)
class Backend:
    """One address behind a route."""

    predictor: str
    address: str
    weight: int
    source: str


@dataclass(frozen=True)
class Route:
    """The addresses behind /<project>/<model>/; none while the model has no Service."""

    project: str
    model: str
    backends: tuple[Backend, ...]


def service_of(body: Body) -> Service | None:
    """Return the Service, or None if no InferenceService controls it or it has no address."""
    meta, spec = body["metadata"], body.get("spec") or {}
    owners = [o for o in meta.get("ownerReferences") or () if o.get("controller")]
    ports = spec.get("ports") or []
    if not owners or owners[0].get("kind") != "InferenceService" or not ports:
        return None
    try:
        address = ip_address(spec.get("clusterIP") or "")
    except ValueError:  # headless
        return None
    port = int(ports[0]["port"])
    text = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    return Service(meta["namespace"], meta["name"], owners[0].get("uid", ""), text)


def model_of(body: Body) -> Model | None:
    """Return the model, or None if it is being deleted or its names cannot be parts of a path."""
    meta, spec = body["metadata"], body.get("spec") or {}
    namespace, name = meta["namespace"], meta["name"]
    if meta.get("deletionTimestamp") or not (_LABEL.fullmatch(namespace) and _LABEL.fullmatch(name)):
        return None
    predictor = spec.get("predictor") or {}
    canaries = [c for c in spec.get("canary") or () if _LABEL.fullmatch(_name(c))]
    given = (meta.get("annotations") or {}).get(TRAFFIC, "")
    weights, problem = _weights(given, {_name(c): int(c.get("trafficPercent") or 0) for c in canaries})
    own = str(predictor.get("name") or "")
    stable = Predictor(own or STABLE, _service(name, own), _ALL - sum(weights.values()), _source(predictor))
    found = [stable]
    if spec.get("transformer"):  # it calls the predictor itself, so nothing can be split before it
        found = [Predictor(STABLE, f"{name}-transformer", _ALL, stable.source)]
        canaries = []
    for canary in canaries:
        source = (
            _source(canary["predictor"]) or stable.source
        )  # the stable predictor's fields are merged under it
        found.append(Predictor(_name(canary), _service(name, _name(canary)), weights[_name(canary)], source))
    return Model(namespace, name, str(meta.get("uid", "")), tuple(found), problem)


def routes_of(models: Iterable[Model], services: Iterable[Service]) -> tuple[Route, ...]:
    """The routes of all models, in a fixed order.

    A Service counts only for the InferenceService that owns it: the Service of canary `b` of model `a` and
    that of model `a-b` have the same name.
    """
    addresses = {(s.namespace, s.name, s.owner): s.address for s in services}
    found = []
    for model in sorted(models, key=lambda m: (m.namespace, m.name)):
        there = [
            Backend(p.name, address, p.weight, p.source)
            for p in model.predictors
            if (address := addresses.get((model.namespace, p.service, model.uid)))
        ]
        # All traffic to a predictor that is not there: the others answer.
        chosen = [b for b in there if b.weight] or [
            Backend(b.predictor, b.address, 1, b.source) for b in there
        ]
        found.append(Route(model.namespace, model.name, tuple(chosen)))
    return tuple(found)


def _weights(given: str, canaries: Mapping[str, int]) -> tuple[dict[str, int], str]:
    """The percentages of the canaries, and what is wrong with the annotation."""
    weights = dict(canaries)
    problem = ""
    if given and _TRAFFIC.fullmatch(given):
        named = {
            name: int(percent) for name, _, percent in (each.partition("=") for each in given.split(","))
        }
        weights = {name: named.get(name, 0) for name in canaries}
    elif given:
        problem = f"{TRAFFIC}: not a list such as v2=100"
    if sum(weights.values()) > _ALL:
        weights, problem = dict(canaries), f"{TRAFFIC}: more than {_ALL} percent"
    if sum(weights.values()) > _ALL:  # the webhook refuses it; a cluster may be without
        weights = dict.fromkeys(canaries, 0)
    return weights, problem


def _name(canary: Body) -> str:
    return str((canary.get("predictor") or {}).get("name") or "")


def _service(name: str, predictor: str) -> str:
    return f"{name}-{predictor}-predictor" if predictor else f"{name}-predictor"


def _source(predictor: Body) -> str:
    """The storageUri, or '' if it has characters with a meaning in a header or in nginx.conf."""
    found = str((predictor.get("model") or {}).get("storageUri") or "")
    return found if _SOURCE.fullmatch(found) else ""
