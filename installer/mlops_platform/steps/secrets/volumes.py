"""Volumes of pods that show a changed Secret without a restart."""

from __future__ import annotations

from datetime import UTC, datetime

from mlops_platform.adapters.kube import Kube, KubeError

_REFRESHED = "mlops-platform/refreshed"  # annotation of a pod


def refresh_volumes(kube: Kube, namespace: str, secret: str) -> None:
    """Let the volumes of pods show a changed Secret now.

    A kubelet looks at a pod once a minute, or when the pod changes.
    https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/ (mounted ConfigMaps)
    """
    body = {"metadata": {"annotations": {_REFRESHED: datetime.now(UTC).isoformat()}}}
    for pod in kube.list("v1", "Pod", namespace):
        mounted = (volume.get("secret", {}).get("secretName") for volume in pod["spec"].get("volumes", ()))
        if secret in mounted:
            try:
                kube.patch("v1", "Pod", pod["metadata"]["name"], namespace, body=body)
            except KubeError as error:
                if error.status != 404:  # 404: it ended meanwhile
                    raise
