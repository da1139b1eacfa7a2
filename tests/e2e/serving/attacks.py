"""What a member of one project tries on the models of another: objects, and requests from a pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from mlops_platform.base.values import merge

from tests import CASES

ATTACKS: list[dict[str, Any]] = yaml.safe_load((CASES / "serving/attacks.yaml").read_text())
CONTAINER: dict[str, Any] = {
    "name": "kserve-container",
    "imagePullPolicy": "IfNotPresent",
    "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
}
POD: dict[str, Any] = {
    "minReplicas": 1,
    "automountServiceAccountToken": False,
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
}
# In a pod of the member's project, with its tokens. POD is the address of a pod of the other project.
REQUESTS = """\
import json, os, urllib.error, urllib.request

def ask(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, b"{}", headers), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)

project, model, own = os.environ["OTHER"], os.environ["MODEL"], os.environ["OWN"]
path = f"v1/models/{model}:predict"
token = open("/var/run/secrets/tokens/models").read()
ways = ["/{a}", "/{b}/%2e%2e/{a}", "/{b}/..%2f{a}", "//{a}", "/{b}//../{a}"]
places = [each.format(a=project, b=own) for each in ways]
urls = [f"http://{model}-predictor.{project}.svc", f"http://{os.environ['POD']}:8080"]
found = {url: ask(f"{url}/{path}") for url in urls}
for place in places:
    found[place] = ask(f"{os.environ['MODELS_URI']}{place}/{model}/{path}", Authorization=f"Bearer {token}")
print(json.dumps(found))
"""


def inference_service(case: Mapping[str, Any], project: str, other: str, image: str) -> dict[str, Any]:
    """The InferenceService of a case, in `project`."""
    predictor = merge(POD if "container" in case or "model" not in case else {}, case.get("pod", {}))
    if "model" in case:
        uri = case["model"].replace("${other}", other)
        model = {"modelFormat": {"name": "mlflow"}, "protocolVersion": "v2", "storageUri": uri}
        predictor = {"minReplicas": 1, "serviceAccountName": "server", **predictor, "model": model}
    else:
        predictor["containers"] = [merge({**CONTAINER, "image": image}, case.get("container", {}))]
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": case["name"],
            "namespace": project,
            "annotations": {"serving.kserve.io/autoscalerClass": "none"},
        },
        "spec": {"predictor": predictor},
    }
