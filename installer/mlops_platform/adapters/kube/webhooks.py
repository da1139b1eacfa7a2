"""Webhooks and APIServices of a namespace: what the API server calls there, and whether it answers.

A Deployment is Available when its probe passes, which is another port: its webhooks may listen later, serve
an older certificate, or be closed by a policy. So each is called as the API server does it, in two ways,
because no request to the API server reaches every webhook of a release: an object that passes the first
one must be complete to reach the next.

- By TLS with the authority that the cluster has stored, by the name <service>.<namespace>.svc, through a
  port-forward: the certificate is the right one, and the path answers.
- By the API server's own proxy to the Service: its endpoints and the network's policies let it through.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import urllib3

from mlops_platform.adapters.kube.client import Kube, Object
from mlops_platform.adapters.kube.errors import KubeError
from mlops_platform.adapters.kube.readiness import waiting_for
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress

ADMISSION, REGISTRATION = "admissionregistration.k8s.io/v1", "apiregistration.k8s.io/v1"
CONFIGURATIONS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_DEFINITIONS = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_UID = "mlops-platform"
_SECONDS = 5.0
_WRITE_SECONDS, _NOT_CALLED = 90.0, "failed calling webhook"
# Requests without an object: each handler answers that there is nothing to decode, and does nothing.
_ADMISSION_REVIEW: dict[str, Any] = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": _UID,
        "kind": {"group": "", "version": "v1", "kind": ""},
        "resource": {"group": "", "version": "v1", "resource": ""},
        "operation": "CREATE",
        "userInfo": {"username": _UID},
        "dryRun": True,
    },
}
_CONVERSION_REVIEW: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "ConversionReview",
    "request": {"uid": _UID, "desiredAPIVersion": "", "objects": []},
}


@dataclass(frozen=True)
class Endpoint:
    """A path of a Service that the API server calls; `authority` is PEM."""

    service: str
    port: int
    path: str
    authority: str
    review: str  # the JSON of a request


def endpoints(kube: Kube, namespace: str, labels: str) -> list[Endpoint]:
    """Every webhook whose Service is in the namespace; `labels` select its CustomResourceDefinitions."""
    admission = [
        hook["clientConfig"]
        for kind in CONFIGURATIONS
        for each in kube.list(ADMISSION, kind)
        for hook in each.get("webhooks") or []
    ]
    definitions = kube.list(*_DEFINITIONS, labels=labels)
    hooks = [(each["spec"].get("conversion") or {}).get("webhook") or {} for each in definitions]
    found = [*_endpoints(admission, namespace, _ADMISSION_REVIEW)]
    found += _endpoints([hook["clientConfig"] for hook in hooks if hook], namespace, _CONVERSION_REVIEW)
    return list(dict.fromkeys(found))


def _endpoints(
    clients: Sequence[Mapping[str, Any]], namespace: str, review: Mapping[str, Any]
) -> Iterator[Endpoint]:
    for client in clients:
        service = client.get("service") or {}
        if service.get("namespace") == namespace:
            authority = base64.b64decode(client.get("caBundle", "")).decode(errors="replace")
            place = (service["name"], service.get("port", 443), service.get("path", "/"))
            yield Endpoint(*place, authority, json.dumps(review))


def own_api_services(kube: Kube, namespace: str) -> list[Object]:
    """The APIServices whose Service is in the namespace."""
    found = kube.list(REGISTRATION, "APIService")
    return [each for each in found if (each["spec"].get("service") or {}).get("namespace") == namespace]


def served(kube: Kube, namespace: str, service: str) -> bool:
    """Return whether a Service has a ready endpoint: one request, for observations."""
    labels = f"kubernetes.io/service-name={service}"
    slices = kube.list("discovery.k8s.io/v1", "EndpointSlice", namespace, labels=labels)
    ends = [end for each in slices for end in each.get("endpoints") or []]
    return any((end.get("conditions") or {}).get("ready", True) for end in ends)


def stopped(kube: Kube, namespace: str, service: str) -> str:
    """'' if the Service has a ready pod, else a line that says so."""
    return "" if served(kube, namespace, service) else f"Service {service} has no ready pod"


def wait_answering(
    kube: Kube, namespace: str, name: str, labels: str, *, progress: Progress, cancel: Cancel, seconds: float
) -> None:
    """Wait until every webhook and APIService of release `name` answers. Raises WaitTimedOut."""

    def answering() -> bool | Pending:
        reason = silent(kube, namespace, labels)
        return Pending(waiting_for(kube, namespace, name) or reason) if reason else True

    wait_until(
        f"{name}: webhooks answer",
        answering,
        seconds=seconds,
        cancel=cancel,
        on_seen=progress.say,
        longest_delay=1.0,
        hint="look at the log of its pods, and at the port in `webhooks` of component.yaml",
        command=kube.kubectl("--namespace", namespace, "get", "pods,endpointslices"),
    )


def written(
    write: Callable[[], object],
    what: str,
    *,
    say: Callable[[str], None] | None = None,
    hint: str,
    command: str,
) -> None:
    """Write objects, again while a webhook for them does not answer. Raises WaitTimedOut, KubeError.

    Its controller restarts, or has just become ready: the rules of a node for its Service come a bit later.
    """

    def observe() -> bool | Pending:
        try:
            write()
        except KubeError as error:
            if error.status != 500 or _NOT_CALLED not in error.why:
                raise
            return Pending(f"the webhook of {what} does not answer: {error.why.rpartition(': ')[2]}")
        return True

    wait_until(
        f"webhook of {what}",
        observe,
        seconds=_WRITE_SECONDS,
        on_seen=say,
        longest_delay=1,
        hint=hint,
        command=command,
    )


def silent(kube: Kube, namespace: str, labels: str) -> str:
    """The first webhook or APIService that does not answer, with its last answer; '' if all do."""
    found = endpoints(kube, namespace, labels)
    for service, port in dict.fromkeys((each.service, each.port) for each in found):
        own = [each for each in found if (each.service, each.port) == (service, port)]
        reason = _through_forward(kube, namespace, own) or _through_api_server(kube, namespace, own[0])
        if reason:
            return f"Service {service}: {reason}"
    for each in own_api_services(kube, namespace):
        conditions = {c["type"]: c for c in each.get("status", {}).get("conditions") or []}
        available = conditions.get("Available", {})
        if available.get("status") != "True":
            text = available.get("message") or "the API server has not called it yet"
            return f"APIService {each['metadata']['name']}: {text}"
    return ""


def _through_forward(kube: Kube, namespace: str, found: Sequence[Endpoint]) -> str:
    """Call every path by TLS, verified with the stored authority."""
    from mlops_platform.adapters.kube.forward import forward  # loads wsproto

    service = found[0].service
    notes: list[str] = []
    try:
        with forward(kube, namespace, f"service/{service}", found[0].port, note=notes.append) as address:
            for each in found:
                if reason := _post(address.host, address.port, f"{service}.{namespace}.svc", each):
                    return notes[-1] if notes else reason
    except StepError as error:
        return error.why or error.what
    return ""


def _post(host: str, port: int, name: str, endpoint: Endpoint) -> str:
    pool = urllib3.HTTPSConnectionPool(
        host,
        port,
        timeout=_SECONDS,
        retries=False,
        ca_cert_data=endpoint.authority,
        server_hostname=name,
        assert_hostname=name,
    )
    with pool:
        try:
            headers = {"Content-Type": "application/json", "Host": name}
            answer = pool.request("POST", endpoint.path, body=endpoint.review, headers=headers)
        except (urllib3.exceptions.HTTPError, ValueError) as error:  # ValueError: a CA that is no PEM
            return f"{endpoint.path}: {error}"
    return _judged(endpoint.path, answer.status, answer.data)


def _through_api_server(kube: Kube, namespace: str, endpoint: Endpoint) -> str:
    """Call one path through the API server: from its address, by the Service's endpoints."""
    service = quote(f"https:{endpoint.service}:{endpoint.port}", safe=":")
    path = f"/api/v1/namespaces/{quote(namespace)}/services/{service}/proxy{endpoint.path}"
    try:
        said = kube.raw("POST", path, json.loads(endpoint.review), seconds=_SECONDS)
    except KubeError as error:
        return f"from the API server: {error.why or error.what}"
    text = said if isinstance(said, str) else json.dumps(said)  # handlers do not name the type of an answer
    return _judged(f"from the API server: {endpoint.path}", 200, text.encode())


def _judged(what: str, status: int, data: bytes) -> str:
    """'' for an answer to the request; any other answer is one of another program."""
    try:
        said = json.loads(data)
        if status == 200 and said["response"]["uid"] == _UID:
            return ""
    except (ValueError, KeyError, TypeError):
        pass
    return f"{what}: {status} {data[:200].decode(errors='replace').strip()}"
