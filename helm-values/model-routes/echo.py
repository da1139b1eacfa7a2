"""A model for smoke tests: it answers with its version and the headers that it gets, without libraries."""

from __future__ import annotations

from typing import Any

from apiserver import create, pod_spec

API, SERVICES = "serving.kserve.io/v1beta1", "inferenceservices"
_RUNTIMES = "serving.kserve.io/v1alpha1"
# Kept-open connections, a header that a model must not set for the domain, and a new version at once.
_SERVER = """
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = {"version": os.environ["VERSION"], "path": self.path, "body": body.decode()}
        said["headers"] = dict(self.headers)
        text = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Set-Cookie", "stolen=1")
        self.send_header("X-Accel-Redirect", "/.denied")
        self.end_headers()
        self.wfile.write(text)
    do_GET = do_POST
    def log_message(self, *_): pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
Server(("", 8080), Handler).serve_forever()
"""


def container(**more: Any) -> dict[str, Any]:
    """A pod with the server as its only container, which answers for some time after SIGTERM."""
    pod = pod_spec(
        "kserve-container",
        "python3",
        "-c",
        _SERVER,
        ports=[{"containerPort": 8080}],
        readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        lifecycle={"preStop": {"sleep": {"seconds": 3}}},
        **more,
    )
    return {**pod, "terminationGracePeriodSeconds": 10}


def runtime() -> None:
    """Create in the project a ServingRuntime for the format `echo`, and a volume for its models.

    A canary must have a `model`, and a model without a storageUri gets a second container of KServe.
    """
    formats = [{"name": "echo", "version": "1", "autoSelect": True}]
    spec = {"containers": container()["containers"], "supportedModelFormats": formats}
    create(
        _RUNTIMES, "servingruntimes", {"kind": "ServingRuntime", "metadata": {"name": "echo"}, "spec": spec}
    )
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Mi"}}}
    create(
        "v1",
        "persistentvolumeclaims",
        {"kind": "PersistentVolumeClaim", "metadata": {"name": "models"}, "spec": claim},
    )


def create_model(name: str, predictor: dict[str, Any], **more: Any) -> None:
    """Create an InferenceService; `more` are further keys of its spec."""
    annotations = {"serving.kserve.io/autoscalerClass": "none"}  # no autoscaler: it would ask for metrics
    manifest = {
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"predictor": predictor, **more},
    }
    create(API, SERVICES, manifest)


def plain(version: str, replicas: int = 1) -> dict[str, Any]:
    """A predictor that says this version: a container of its own, without a model."""
    return {**container(env=[_version(version)]), "minReplicas": replicas}


def loaded(version: str) -> dict[str, Any]:
    """A predictor that says this version, with the runtime `echo` and a model on the volume."""
    pod = container()
    model = {"modelFormat": {"name": "echo"}, "runtime": "echo", "storageUri": f"pvc://models/{version}"}
    keys = ("automountServiceAccountToken", "terminationGracePeriodSeconds", "securityContext")
    return {**{key: pod[key] for key in keys}, "model": {**model, "env": [_version(version)]}}


def _version(version: str) -> dict[str, str]:
    return {"name": "VERSION", "value": version}
