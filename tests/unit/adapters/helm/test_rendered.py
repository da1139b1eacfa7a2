"""Rules for rendered objects: omissions, the authority of webhooks, restarts."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from mlops_platform.adapters.gomodules import _require_pinned
from mlops_platform.adapters.helm import Certificate, ModuleCharts, Release, Rules
from mlops_platform.adapters.helm.rendered import INPUTS, changed, webhook_clients
from mlops_platform.base.errors import StepError

SOURCE = ModuleCharts("example.com/m", "v1.0.0", ("example.com/m v1.0.0 h1:a=",), ("charts/m",))
CERTIFICATE = Certificate("AUTHORITY", ("hook-cert",), "0123")
BUNDLE = base64.b64encode(b"AUTHORITY").decode()


def release(certificate: Certificate | None = CERTIFICATE) -> Release:
    return Release("m", "m", SOURCE, {}, certificate=certificate)


def each(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name}, **more}


def deployment(*volumes: dict[str, Any], **meta: Any) -> dict[str, Any]:
    containers = [{"name": "manager"}, {"name": "kube-rbac-proxy"}]
    pod = {"containers": containers, "volumes": list(volumes)}
    return each("Deployment", "m", spec={"template": {"metadata": meta, "spec": pod}})


def test_omitted_kinds_objects_and_containers_are_left_out() -> None:
    objects = [each("Issuer", "a"), each("Service", "a"), each("Service", "b"), deployment()]
    rules = Rules(("Issuer", "Service/b", "Secret/gone"), ("kube-rbac-proxy", "none"))
    found = changed(objects, release(), rules)
    assert [(o["kind"], o["metadata"]["name"]) for o in found.objects] == [
        ("Service", "a"),
        ("Deployment", "m"),
    ]
    assert found.objects[1]["spec"]["template"]["spec"]["containers"] == [{"name": "manager"}]
    assert [place for place, _ in found.unmatched] == [("omit", 2), ("omitContainers", 1)]
    assert len(objects[3]["spec"]["template"]["spec"]["containers"]) == 2, "the input is not changed"


def client(namespace: str, **more: Any) -> dict[str, Any]:
    return {"service": {"name": "hooks", "namespace": namespace}, **more}


def test_authority_is_put_into_own_clients_of_all_kinds_and_into_no_other() -> None:
    conversion = {"strategy": "Webhook", "webhook": {"clientConfig": client("m")}}
    objects = [
        each("MutatingWebhookConfiguration", "a", webhooks=[{"name": "x", "clientConfig": client("m")}]),
        each(
            "ValidatingWebhookConfiguration", "b", webhooks=[{"name": "x", "clientConfig": client("other")}]
        ),
        each("APIService", "c", spec={"group": "x", **client("m", insecureSkipTLSVerify=False)}),
        each("CustomResourceDefinition", "d", spec={"conversion": conversion}),
        each("CustomResourceDefinition", "e", spec={"conversion": {"strategy": "None"}}),
        each(
            "ValidatingWebhookConfiguration",
            "f",
            webhooks=[{"name": "x", "clientConfig": {"url": "https://x"}}],
        ),
    ]
    found = changed(objects, release()).objects
    bundles = [[c.get("caBundle") for c in webhook_clients(o)] for o in found]
    assert bundles == [[BUNDLE], [None], [BUNDLE], [BUNDLE], [], [None]]
    assert "insecureSkipTLSVerify" not in found[2]["spec"]
    assert changed(objects, release(None)).objects[0] == objects[0]


def inputs(*objects: dict[str, Any], certificate: Certificate | None = CERTIFICATE) -> str | None:
    (found,) = (o for o in changed(list(objects), release(certificate)).objects if o["kind"] == "Deployment")
    value: str | None = (found["spec"]["template"]["metadata"].get("annotations") or {}).get(INPUTS)
    return value


def test_pods_restart_when_a_mounted_config_map_or_certificate_changes() -> None:
    settings = {"name": "s", "configMap": {"name": "settings"}}
    secret = {"name": "c", "secret": {"secretName": "hook-cert"}}
    blue, red = (each("ConfigMap", "settings", data={"colour": colour}) for colour in ("blue", "red"))
    assert inputs(deployment(settings), blue) != inputs(deployment(settings), red)
    assert inputs(deployment(settings), blue) == inputs(
        deployment(settings), blue, each("ConfigMap", "other")
    )
    renewed = Certificate("AUTHORITY", ("hook-cert",), "4567")
    assert inputs(deployment(secret)) != inputs(deployment(secret), certificate=renewed)
    assert inputs(deployment()) is inputs(deployment(secret), certificate=None) is None


def test_annotations_of_the_chart_stay() -> None:
    secret = {"name": "c", "secret": {"secretName": "hook-cert"}}
    (found,) = changed([deployment(secret, annotations={"a": "b"})], release()).objects
    assert found["spec"]["template"]["metadata"]["annotations"].keys() == {"a", INPUTS}


@pytest.mark.parametrize(
    "found", [{"Version": "v1.0.1", "Sum": "h1:a="}, {"Version": "v1.0.0", "Sum": "h1:b="}]
)
def test_module_that_is_not_the_pinned_one_is_an_error(found: dict[str, str]) -> None:
    _require_pinned("example.com/m", "v1.0.0", SOURCE.sums, {"Version": "v1.0.0", "Sum": "h1:a="})
    with pytest.raises(StepError, match="is not what was pinned"):
        _require_pinned("example.com/m", "v1.0.0", SOURCE.sums, found)
