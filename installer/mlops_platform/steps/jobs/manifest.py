"""The job of a script, and its ConfigMap, Job and pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlops_platform.adapters.kube.namespaces import JOBS_ACCOUNT
from mlops_platform.base.digest import short_digest
from mlops_platform.base.labels import OWNED

USER = 10001
DIGEST = "mlops-platform/digest"
_SCRIPTS, _SECRETS = "/scripts", "/run/secrets"
_KEPT_SECONDS = 600  # lifetime of a finished Job whose run was killed before it could delete the Job
# Not a field of ScriptJob: it would change the digest of every Job that has run, and run it again.
_NODE = {"name": "NODE_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}


@dataclass(frozen=True)
class ScriptJob:
    """A Python script with its inputs. `secrets` maps Secrets to folders below /run/secrets.

    It runs as an account that exists in each of our namespaces and has no token for the API server.

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

    @property
    def digest(self) -> str:
        return short_digest(asdict(self))


def _meta(job: ScriptJob) -> dict[str, Any]:
    return {"name": job.name, "namespace": job.namespace, "labels": OWNED}


def scripts_of(job: ScriptJob) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(job), "data": dict(job.scripts)}


def job_of(job: ScriptJob, *, keep: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": job.seconds,
        "template": {"metadata": {"labels": {**OWNED, **job.labels}}, "spec": pod_spec(job)},
    }
    if not keep:
        spec["ttlSecondsAfterFinished"] = _KEPT_SECONDS
    meta = {**_meta(job), "annotations": {DIGEST: job.digest}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


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
    if job.audience:
        token = {"path": "token", "audience": job.audience, "expirationSeconds": 600}
        projected = {"defaultMode": 0o440, "sources": [{"serviceAccountToken": token}]}
        mounts.append({"name": "identity", "mountPath": f"{_SECRETS}/identity", "readOnly": True})
        volumes.append({"name": "identity", "projected": projected})
    return {
        "restartPolicy": "Never",
        "serviceAccountName": JOBS_ACCOUNT,
        "automountServiceAccountToken": False,
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
