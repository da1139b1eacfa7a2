"""Names and labels of the platform's own objects in a cluster. Objects carry them: they never change."""

PLATFORM_NAMESPACE = "mlops-platform"
OWNED = {"app.kubernetes.io/part-of": "mlops-platform"}


def secret_name(component: str, key: str) -> str:
    """The Secret of a component's key: a key of `needs.secrets`, 'database', 'bucket', 'client' ..."""
    return f"{component}-{key}"
