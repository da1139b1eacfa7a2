"""The pod of a notebook: in the namespace of its project, as an account of the person, with one volume."""

from __future__ import annotations

import html
import json
import os
from typing import Any

import access
from kubernetes_asyncio.client import CoreV1Api, RbacAuthorizationV1Api
from kubernetes_asyncio.client.exceptions import ApiException
from kubespawner import KubeSpawner
from platform_limits import Denied
from sizes import GPU, Size, number, sizes_of
from tornado.web import HTTPError

ROLE = "person"  # the Role that each project has for accounts of people's pods
_QUOTA = "project"
_LABELS = {"app.kubernetes.io/part-of": "mlops-platform", "app.kubernetes.io/managed-by": "jupyterhub"}
_RBAC = "rbac.authorization.k8s.io"
_HOME, _UID = "/home/work", 10001
_API = "/var/run/secrets/kubernetes.io/serviceaccount"
_API_SOURCES = [
    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
]
SIZES = sizes_of(os.environ)
PERCENT = number(os.environ, "PERSON_PERCENT", 1, 100)
_COMMON: dict[str, Any] = json.loads(os.environ["PROJECT_PODS"])


class ProjectSpawner(KubeSpawner):
    """A server whose name is a project. `enable_user_namespaces` only means: watch pods in all namespaces."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.service_account = self.pod_name

    async def _ensure_namespace(self) -> None:
        """Make no namespace: the installer makes projects."""

    async def prepare(self) -> None:
        """Check rights and size, and make the person's account. Raises HTTPError."""
        if not self.name:
            raise HTTPError(400, "A notebook belongs to a project: choose one on the page /hub/home.")
        try:
            await access.require_edit(self.user, self.name)
        except Denied as denied:
            raise HTTPError(denied.status, denied.message) from denied
        size = SIZES.get(str(self.user_options.get("size") or next(iter(SIZES))))
        if size is None:
            raise HTTPError(400, f"There is no such size; there are {', '.join(SIZES)}.")
        if problem := size.problem(await self.quota(), PERCENT):
            raise HTTPError(403, f"{size.name}: {problem}")
        self.extra_resource_guarantees, self.extra_resource_limits = size.requests, size.limits
        self.tolerations = [{"key": GPU, "operator": "Exists"}] if size.gpu else []
        await self._account()

    async def quota(self) -> dict[str, str]:
        """The quota of the project."""
        found = await CoreV1Api(self.api.api_client).read_namespaced_resource_quota(_QUOTA, self.name)
        hard: dict[str, str] = found.spec.hard
        return hard

    async def _account(self) -> None:
        """Make the person's account in the project, and bind it to the Role for such accounts."""
        name, client = self.service_account, self.api.api_client
        meta = {"name": name, "labels": _LABELS}
        account = {"metadata": meta, "automountServiceAccountToken": False}
        binding = {
            "metadata": meta,
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": ROLE},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}],
        }
        for create, body in (
            (CoreV1Api(client).create_namespaced_service_account, account),
            (RbacAuthorizationV1Api(client).create_namespaced_role_binding, binding),
        ):
            try:
                await create(self.namespace, body)
            except ApiException as error:
                if error.status != 409:
                    raise HTTPError(503, f"The account of the notebook: {error.reason}") from error

    async def form(self) -> str:
        """The choice of a size; a size that the quota does not allow cannot be chosen."""
        if not self.name:
            return ""
        try:
            await access.require_edit(self.user, self.name)
        except Denied as denied:
            raise HTTPError(denied.status, denied.message) from denied
        hard = await self.quota()
        rows, chosen = [], False
        for size in SIZES.values():
            problem = size.problem(hard, PERCENT)
            state = " disabled" if problem else "" if chosen else " checked"
            chosen = chosen or not problem
            rows.append(_row(size, state, problem))
        return f"<p>Project <b>{html.escape(self.name)}</b></p>{''.join(rows)}"


def _row(size: Size, state: str, problem: str) -> str:
    why = f" <small>({html.escape(problem)})</small>" if problem else ""
    return (
        f'<p><label><input type="radio" name="size" value="{html.escape(size.name)}"{state}> '
        f"{html.escape(str(size))}{why}</label></p>"
    )


def configure(spawner: Any) -> None:
    """Set what is the same for all notebooks; `spawner` is the part of the configuration."""
    volumes = {
        "home": {"persistentVolumeClaim": {"claimName": "{pvc_name}"}},
        "tmp": {"emptyDir": {"sizeLimit": "1Gi"}},
        "tokens": {"projected": {"defaultMode": 0o440, "sources": _COMMON["tokens"]}},
        "api": {"projected": {"defaultMode": 0o440, "sources": _API_SOURCES}},
    }
    paths = {"home": _HOME, "tmp": "/tmp", "tokens": "/var/run/secrets/tokens", "api": _API}  # noqa: S108
    values: dict[str, Any] = {
        "enable_user_namespaces": True,
        "user_namespace_template": "{unescaped_servername}",
        "pod_name_template": "notebook-{username}",
        "pvc_name_template": "notebook-{username}",
        "events_enabled": False,
        "image": os.environ["NOTEBOOK_IMAGE"],
        "image_pull_policy": "IfNotPresent",
        "hub_connect_url": os.environ["HUB"],
        "uid": _UID,
        "gid": _UID,
        "fs_gid": _UID,
        "pod_security_context": {
            "fsGroup": _UID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "container_security_context": {
            "runAsUser": _UID,
            "runAsGroup": _UID,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "automount_service_account_token": False,
        "extra_labels": {**_LABELS, "mlops-platform/api": "true"},
        "extra_pod_config": {"enableServiceLinks": False},
        "extra_container_config": {
            "envFrom": [{"configMapRef": {"name": name, "optional": True}} for name in _COMMON["configMaps"]]
        },
        "storage_pvc_ensure": True,
        "storage_capacity": os.environ["HOME_SIZE"],
        "storage_access_modes": ["ReadWriteOnce"],
        "storage_extra_labels": _LABELS,
        "delete_pvc": False,
        "volumes": [{"name": name, **source} for name, source in volumes.items()],
        "volume_mounts": [
            {"name": name, "mountPath": path, "readOnly": name not in ("home", "tmp")}
            for name, path in paths.items()
        ],
        "environment": {
            "LOGNAME": lambda each: each.user.name,  # MLflow's user of a run
            # A workspace of a project has no experiment that MLflow's client would take by itself.
            "MLFLOW_EXPERIMENT_NAME": lambda each: f"{each.user.name}-notebook",
            "PROJECT": lambda each: each.name,
            "JUPYTERHUB_ACTIVITY_INTERVAL": "120",
            # Written by the extension in images/notebook, in place of the token of the pod's own account.
            "AWS_WEB_IDENTITY_TOKEN_FILE": "/tmp/platform/data-token",  # noqa: S108
        },
        "start_timeout": 180,
        "http_timeout": 120,
        "options_form": lambda each: each.form(),
        "options_from_form": lambda given: {"size": given.get("size", [""])[0]},
        "pre_spawn_hook": lambda each: each.prepare(),
    }
    for key, value in values.items():
        setattr(spawner, key, value)
