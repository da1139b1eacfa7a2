"""The Kubernetes API: a client, readiness of workloads, namespaces, port-forwards."""

from mlops_platform.adapters.kube.client import Kube, KubeError

__all__ = ["Kube", "KubeError"]
