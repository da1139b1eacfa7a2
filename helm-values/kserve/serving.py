"""Served models in the project of a smoke test: their objects, and a pod that logs and asks them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from apiserver import PROJECT, NotYetError, Object, create, delete, get, items, patch, path_of, pod_spec

API = "serving.kserve.io/v1beta1"
KIND = "inferenceservices"
MODEL = "iris"
_POD, _TMP = "client", "/tmp"  # noqa: S108 - a volume of the pod
_SCRIPTS = ("inside.py", "probes.py")


def inference_service(name: str, uri: str, **predictor: Any) -> Object:
    """An InferenceService as `model serve` writes it."""
    model = {"modelFormat": {"name": "mlflow"}, "protocolVersion": "v2", "storageUri": uri}
    return {
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": {"serving.kserve.io/autoscalerClass": "none"}},
        "spec": {
            "predictor": {"serviceAccountName": "server", "minReplicas": 1, "model": model, **predictor}
        },
    }


def serve(name: str, uri: str) -> None:
    """Change the model of an InferenceService; its controller may write it at the same time."""
    patch(API, KIND, name, {"spec": {"predictor": {"model": {"storageUri": uri}}}})


def require_failure(name: str) -> str:
    """The reason for which a model does not load. Raises NotYetError while there is none.

    It is that of the pods: KServe's `modelStatus` shows it only if no other version serves.
    """
    found = items("v1", "pods", f"serving.kserve.io/inferenceservice={name}")
    states = [pod["status"] for pod in found]
    kinds = ("initContainerStatuses", "containerStatuses")
    containers = [each for state in states for kind in kinds for each in state.get(kind, [])]
    for each in containers:
        for key in ("state", "lastState"):
            ended = each.get(key, {}).get("terminated", {})
            if ended.get("exitCode") and ended.get("message"):
                return str(ended["message"])
    raise NotYetError(f"no reason yet: {json.dumps(containers)[:500]}")


@contextmanager
def client(*arguments: str) -> Iterator[None]:
    """A pod of the project that runs inside.py, as the account of training jobs."""
    here = Path(__file__).parent
    texts = {name: (here / name).read_text() for name in _SCRIPTS}
    create("v1", "configmaps", {"kind": "ConfigMap", "metadata": {"name": _POD}, "data": texts})
    found = [{"configMapRef": {"name": name, "optional": True}} for name in ("platform", "data")]
    spec = pod_spec(
        _POD,
        "python3",
        "/scripts/inside.py",
        *arguments,
        envFrom=found,
        env=[{"name": "HOME", "value": _TMP}, {"name": "NAMESPACE", "value": PROJECT}],
        resources={"requests": {"cpu": "100m", "memory": "384Mi"}, "limits": {"memory": "1Gi"}},
        volumeMounts=[
            {"name": "scripts", "mountPath": "/scripts", "readOnly": True},
            {"name": "tmp", "mountPath": _TMP},
            {"name": "tokens", "mountPath": "/var/run/secrets/tokens", "readOnly": True},
        ],
    )
    volumes = [
        {"name": "scripts", "configMap": {"name": _POD}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "tokens", **json.loads(os.environ["TOKENS"])},
    ]
    spec |= {"serviceAccountName": "trainer", "restartPolicy": "Never", "volumes": volumes}
    create("v1", "pods", {"kind": "Pod", "metadata": {"name": _POD}, "spec": spec})
    try:
        yield
    finally:
        delete("v1", "pods", _POD)
        delete("v1", "configmaps", _POD)


def require_line(line: str) -> None:
    """Raise NotYetError until the pod has printed a line; AssertionError if it has ended without it."""
    phase = get("v1", "pods", _POD)["status"].get("phase")
    lines = log()
    if line not in lines:
        assert phase not in ("Failed", "Succeeded"), f"the client ended: {lines[-8:]}"
        raise NotYetError(f"the client is {phase}: {lines[-1:]}")


def relay() -> None:
    """Print the results of the pod's tests as results of this one. Raises NotYetError until it has ended."""
    phase = get("v1", "pods", _POD)["status"].get("phase")
    if phase not in ("Failed", "Succeeded"):
        raise NotYetError(f"the client is {phase}")
    results = [line for line in log() if line.startswith('{"probe"')]
    sys.stdout.write("".join(f"{line}\n" for line in results))
    sys.stdout.flush()
    failed = [line for line in results if not json.loads(line)["ok"]]
    assert phase == "Succeeded" or failed, f"the client ended: {log()[-8:]}"
    assert not failed, f"{len(failed)} of {len(results)} tests in the project failed"


def log() -> Sequence[str]:
    """The lines of the pod's log; none while it starts."""
    account = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    host = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return _text(f"https://{host[0]}:{host[1]}{path_of('v1', 'pods', _POD)}/log", account).splitlines()


def _text(url: str, account: Path) -> str:
    import ssl
    from urllib.error import HTTPError

    request = Request(url, headers={"Authorization": f"Bearer {(account / 'token').read_text()}"})  # noqa: S310
    trust = ssl.create_default_context(cafile=str(account / "ca.crt"))
    try:
        with urlopen(request, timeout=20, context=trust) as answer:  # noqa: S310 - https
            return str(answer.read().decode())
    except HTTPError as error:
        if error.code in (400, 404):  # the container is being created; the kubelet does not know the pod yet
            return ""
        raise
