"""The API server for smoke tests in a pod, with the rights of the test's account; standard library only.

    from apiserver import Refused, create, get
    create("batch/v1", "jobs", {"kind": "Job", ...})

It is mounted beside the scripts of tests with `project: true`, and never imported by the installer. PROJECT
is the namespace of the project that exists for the test; IMAGE is the image of the script.
"""

from __future__ import annotations

import json
import os
import ssl
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

PROJECT = os.environ["PROJECT"]
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS = 20.0

Object = dict[str, Any]


class Refused(Exception):
    """The API server refused a request; the text has the status code and the reason."""


class NotYetError(Exception):
    """An object has not reached a state; for `patiently`."""


def call(method: str, path: str, body: Object | None = None, *, token: bool = True) -> Object:
    """Send one request and return the answer. Raises Refused."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    headers = {"Content-Type": kind}
    if token:
        headers["Authorization"] = f"Bearer {(_ACCOUNT / 'token').read_text()}"
    data = json.dumps(body).encode() if body else None
    request = Request(f"https://{host}:{port}{path}", data, headers, method=method)
    trust = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
    try:
        with urlopen(request, timeout=_SECONDS, context=trust) as answer:  # noqa: S310 - https
            found: Object = json.load(answer)
            return found
    except HTTPError as error:
        raise Refused(f"{error.code} {_reason(error.read().decode(errors='replace'))}") from None


def path_of(api_version: str, plural: str, name: str = "", namespace: str = PROJECT) -> str:
    """The path of one object, or of all of a kind; an empty namespace is for cluster-scoped kinds."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{inside}/{plural}" + (f"/{name}" if name else "")


def create(api_version: str, plural: str, manifest: Object, namespace: str = PROJECT) -> Object:
    return call(
        "POST", path_of(api_version, plural, namespace=namespace), {"apiVersion": api_version, **manifest}
    )


def get(api_version: str, plural: str, name: str, namespace: str = PROJECT) -> Object:
    return call("GET", path_of(api_version, plural, name, namespace))


def items(api_version: str, plural: str, selector: str = "", namespace: str = PROJECT) -> list[Object]:
    found: list[Object] = call(
        "GET", f"{path_of(api_version, plural, namespace=namespace)}?labelSelector={selector}"
    )["items"]
    return found


def patch(api_version: str, plural: str, name: str, change: Object, namespace: str = PROJECT) -> Object:
    """Merge `change` into an object; None removes a key."""
    return call("PATCH", path_of(api_version, plural, name, namespace), change)


def delete(api_version: str, plural: str, name: str, namespace: str = PROJECT) -> None:
    call("DELETE", f"{path_of(api_version, plural, name, namespace)}?propagationPolicy=Background")


def require_condition(found: Object, name: str) -> None:
    """Raise NotYetError unless the condition is True; the text has all conditions."""
    conditions = found.get("status", {}).get("conditions") or []
    if not any(c["type"] == name and c["status"] == "True" for c in conditions):
        texts = [
            f"{c['type']}={c['status']}: {c.get('reason', '')} {c.get('message', '')}" for c in conditions
        ]
        raise NotYetError(f"no condition {name}; " + ("; ".join(texts) or "it has none"))


def pod_spec(name: str, *command: str, **more: Any) -> Object:
    """A small pod of the script's image at the pod security level `restricted`."""
    container = {
        "name": name,
        "image": os.environ["IMAGE"],
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **more,
    }
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }


def _reason(text: str) -> str:
    """The message of a Status, or the text itself."""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
