"""Names and labels of the platform's objects in a cluster. They never change: objects carry them."""

PLATFORM_NAMESPACE = "mlops-platform"
# The label of a project's namespace and of the platform's objects in it; its value is the project's name.
PROJECT_LABEL = "mlops-platform/project"
# The label of objects outside of a component's namespace that the platform applied for it.
COMPONENT_LABEL = "mlops-platform/component"
# The label of pods in projects that may connect to the API server, with the rights of their account.
API_LABEL = "mlops-platform/api"
# Accounts in a project's namespace: of training jobs, of served models, and of the tasks of DAGs.
TRAINER, SERVER, TASKS = "trainer", "server", "airflow"
# The volume of tokens in pods of projects: a token is a file with the name of its audience.
TOKENS_PATH, TOKEN_SECONDS = "/var/run/secrets/tokens", 3600
# On a served model: the registered model (a label only where the name is a valid value), and the version.
MODEL, MODEL_VERSION = "mlops-platform/model", "mlops-platform/model-version"
GPU = "nvidia.com/gpu"  # the extended resource of device plugins, and the taint of nodes with GPUs
# The digest of what an object was made from.
DIGEST = "mlops-platform/digest"
OWNED = {"app.kubernetes.io/part-of": "mlops-platform"}


def secret_name(component: str, key: str) -> str:
    """Return the name of a component's Secret; `key` is a key of `needs.secrets`, 'database', 'bucket' ..."""
    return f"{component}-{key}"
