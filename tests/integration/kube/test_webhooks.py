"""Webhooks on a real node: one that answers, and each way in which one does not."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from mlops_platform.adapters.kube.namespaces import ensure_namespace
from mlops_platform.adapters.kube.readiness import wait_ready
from mlops_platform.adapters.kube.webhooks import (
    ADMISSION,
    CONFIGURATIONS,
    silent,
    stopped,
    wait_answering,
)
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.certificates import authority, certificate
from mlops_platform.base.errors import WaitTimedOut
from mlops_platform.base.labels import OWNED
from mlops_platform.base.progress import Silent

from tests.integration.kube.test_forward import echo_server
from tests.integration.node import Node

pytestmark = pytest.mark.integration

NAMESPACE, LABELS = "hooks", "mlops-platform/component=hooks"
SERVER = """
import json, ssl
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"response": {"uid": review["request"]["uid"], "allowed": False}}
        self.send_response(200 if self.path == "/validate" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode() if self.path == "/validate" else b"no such page")
server = HTTPServer(("0.0.0.0", 9000), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/cert/tls.crt", "/cert/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def root() -> dict[str, str]:
    return authority("test")


@pytest.fixture(scope="module")
def node(node: Node, root: dict[str, str]) -> Node:
    """The shared node with a server of webhooks."""
    ensure_namespace(node.kube, NAMESPACE, node.name)
    made = certificate(root, f"{NAMESPACE}.svc")
    secret = {"name": "hook-cert", "namespace": NAMESPACE, "labels": OWNED}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in made.items()}
    deployment, service = echo_server(node.image)
    for each in (deployment, service):
        each["metadata"] = {"name": "hooks", "namespace": NAMESPACE}
    service["spec"]["ports"] = [{"port": 443, "targetPort": "echo"}]
    pod = deployment["spec"]["template"]["spec"]
    pod["containers"][0]["command"] = ["python3", "-c", SERVER]
    pod["containers"][0]["volumeMounts"] = [{"name": "cert", "mountPath": "/cert"}]
    pod["volumes"] = [{"name": "cert", "secret": {"secretName": "hook-cert"}}]
    node.kube.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": secret, "data": data}, deployment, service
    )
    wait_ready(node.kube, NAMESPACE, progress=Silent(), cancel=Cancel(), seconds=60)
    return node


@pytest.fixture
def hooks(node: Node) -> Iterator[Node]:
    yield node
    for kind in CONFIGURATIONS:
        node.kube.delete(ADMISSION, kind, "hooks.test")


def register(node: Node, bundle: str, path: str = "/validate", kind: str = CONFIGURATIONS[1]) -> None:
    """Register a webhook for objects that do not exist."""
    client: dict[str, Any] = {"service": {"name": "hooks", "namespace": NAMESPACE, "path": path}}
    rule = {"apiGroups": ["hooks.test"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["things"]}
    hook = {
        "name": "things.hooks.test",
        "clientConfig": {**client, "caBundle": base64.b64encode(bundle.encode()).decode()},
        "rules": [rule],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }
    meta = {"name": "hooks.test"}
    node.kube.apply({"apiVersion": ADMISSION, "kind": kind, "metadata": meta, "webhooks": [hook]})


def test_webhooks_of_both_kinds_answer(hooks: Node, root: dict[str, str]) -> None:
    for kind in CONFIGURATIONS:
        register(hooks, root["ca.crt"], kind=kind)
    wait_answering(hooks.kube, NAMESPACE, "hooks", LABELS, progress=Silent(), cancel=Cancel(), seconds=30)
    assert silent(hooks.kube, NAMESPACE, LABELS) == ""


def test_certificate_of_another_authority_is_no_answer(hooks: Node) -> None:
    register(hooks, authority("another")["ca.crt"])
    assert "certificate verify failed" in silent(hooks.kube, NAMESPACE, LABELS)


def test_path_that_is_not_served_is_no_answer(hooks: Node, root: dict[str, str]) -> None:
    register(hooks, root["ca.crt"], "/mutate")
    assert silent(hooks.kube, NAMESPACE, LABELS) == "Service hooks: /mutate: 404 no such page"


def test_stopped_server_is_named_with_the_state_of_its_pods(hooks: Node, root: dict[str, str]) -> None:
    register(hooks, root["ca.crt"])
    assert stopped(hooks.kube, NAMESPACE, "hooks") == ""
    scale(hooks, 0)
    wait_until(
        "no endpoint", lambda: bool(stopped(hooks.kube, NAMESPACE, "hooks")) or Pending("served"), seconds=30
    )
    with pytest.raises(WaitTimedOut, match="hooks: webhooks answer") as caught:
        wait_answering(hooks.kube, NAMESPACE, "hooks", LABELS, progress=Silent(), cancel=Cancel(), seconds=1)
    assert "Service hooks: " in caught.value.why or "pod hooks-" in caught.value.why
    scale(hooks, 1)


def scale(node: Node, replicas: int) -> None:
    node.kube.patch("apps/v1", "Deployment", "hooks", NAMESPACE, body={"spec": {"replicas": replicas}})
    wait_ready(node.kube, NAMESPACE, progress=Silent(), cancel=Cancel(), seconds=60)
