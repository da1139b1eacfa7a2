"""Scripts run as Kubernetes Jobs."""
