"""The Kubernetes API: a client, readiness of workloads, namespaces, port-forwards."""

from mlops_platform.adapters.kube.client import Kube
from mlops_platform.adapters.kube.errors import KubeError

__all__ = ["Kube", "KubeError"]
