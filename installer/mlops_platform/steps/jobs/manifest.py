"""The job of a script, and its ConfigMap, Job and pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlops_platform.adapters.kube.namespaces import JOBS_ACCOUNT
from mlops_platform.base.digest import short_digest
from mlops_platform.base.labels import DIGEST, OWNED, TOKENS_PATH

USER = 10001
_SCRIPTS, _FILES, _SECRETS = "/scripts", "/files", "/run/secrets"
_KEPT_SECONDS = 600  # lifetime of a finished Job whose run was killed before it could delete the Job
# Not a field of ScriptJob: it would change the digest of every Job that has run, and run it again.
_NODE = {"name": "NODE_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}


@dataclass(frozen=True)
class ScriptJob:
    """A Python script with its inputs. `secrets` maps Secrets to folders below /run/secrets.

    It runs as an account of its namespace, by default one that each of our namespaces has; its pod has no
    token for the API server.

    The first of `scripts` (file name: text) is run with `arguments`; the others are beside it.
    """

    name: str
    namespace: str
    image: str
    scripts: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    memory: str = "256Mi"
    seconds: int = 300
    audience: str = ""  # of the account's token at /run/secrets/identity/token
    labels: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # texts, at /files
    token: str = ""  # audience of a token of the account at /run/secrets/token/token
    account: str = JOBS_ACCOUNT
    api: bool = False  # the account's token for the API server, at the usual place
    # Of a pod in a project: ConfigMaps with variables, and the sources of its volume of tokens.
    maps: tuple[str, ...] = ()
    tokens: tuple[Mapping[str, Any], ...] = ()

    @property
    def digest(self) -> str:
        # Younger fields count only if they are set: else every Job that has run would run again.
        younger = {
            "files": {},
            "token": "",
            "account": JOBS_ACCOUNT,
            "api": False,
            "maps": (),
            "tokens": (),
        }
        unset = {name for name, default in younger.items() if getattr(self, name) == default}
        return short_digest({key: value for key, value in asdict(self).items() if key not in unset})


def _meta(job: ScriptJob) -> dict[str, Any]:
    return {"name": job.name, "namespace": job.namespace, "labels": OWNED}


def scripts_of(job: ScriptJob, *, owner: str = "") -> dict[str, Any]:
    """The ConfigMap with the scripts and the files; with the uid of the Job it is deleted with the Job."""
    data, meta = {**job.scripts, **job.files}, _meta(job)
    if owner:
        meta["ownerReferences"] = [{"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": owner}]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def job_of(job: ScriptJob, *, keep: bool, kept_seconds: int = _KEPT_SECONDS) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": job.seconds,
        "template": {"metadata": {"labels": {**OWNED, **job.labels}}, "spec": pod_spec(job)},
    }
    if not keep:
        spec["ttlSecondsAfterFinished"] = kept_seconds
    meta = {**_meta(job), "annotations": {DIGEST: job.digest}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


def deployment_of(job: ScriptJob) -> dict[str, Any]:
    """A Deployment in place of a Job, for a script that never ends; the label `role` selects its pod."""
    labels = {**OWNED, **job.labels, "role": job.name}
    template = {"metadata": {"labels": labels}, "spec": {**pod_spec(job), "restartPolicy": "Always"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": job.name, "namespace": job.namespace, "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def pod_spec(job: ScriptJob) -> dict[str, Any]:
    """A pod at pod security level `restricted`; only /tmp is writable; NODE_ADDRESS is its node's address."""
    main = next(iter(job.scripts))
    mounts = [
        {"name": "scripts", "mountPath": _SCRIPTS, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
    ]
    volumes: list[dict[str, Any]] = [
        {"name": "scripts", "configMap": {"name": job.name}},
        {"name": "tmp", "emptyDir": {}},
    ]
    for secret, folder in job.secrets.items():
        mounts.append({"name": folder, "mountPath": f"{_SECRETS}/{folder}", "readOnly": True})
        volumes.append({"name": folder, "secret": {"secretName": secret, "defaultMode": 0o440}})
    if job.files:
        items = [{"key": name, "path": name} for name in job.files]
        mounts.append({"name": "files", "mountPath": _FILES, "readOnly": True})
        volumes.append({"name": "files", "configMap": {"name": job.name, "items": items}})
    for folder, audience in (("identity", job.audience), ("token", job.token)):
        if audience:
            token = {"path": "token", "audience": audience, "expirationSeconds": 600}
            projected = {"defaultMode": 0o440, "sources": [{"serviceAccountToken": token}]}
            mounts.append({"name": folder, "mountPath": f"{_SECRETS}/{folder}", "readOnly": True})
            volumes.append({"name": folder, "projected": projected})
    if job.tokens:
        projected = {"defaultMode": 0o440, "sources": [dict(each) for each in job.tokens]}
        mounts.append({"name": "tokens", "mountPath": TOKENS_PATH, "readOnly": True})
        volumes.append({"name": "tokens", "projected": projected})
    maps = [{"configMapRef": {"name": name, "optional": True}} for name in job.maps]
    return {
        "restartPolicy": "Never",
        "serviceAccountName": job.account,
        "automountServiceAccountToken": job.api,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "script",
                "image": job.image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["python3", f"{_SCRIPTS}/{main}", *job.arguments],
                **({"envFrom": maps} if maps else {}),
                "env": [{"name": "HOME", "value": "/tmp"}, _NODE]  # noqa: S108
                + [{"name": name, "value": value} for name, value in job.env.items()],
                "resources": {
                    "requests": {"cpu": "50m", "memory": job.memory},
                    "limits": {"memory": job.memory},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
