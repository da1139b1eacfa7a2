"""Start of MLflow with values of its Secrets, read from files, not from arguments.

`serve PORT` starts the server. `migrate` upgrades the schema of the database, before a server of this version
starts: it rejects an older schema.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

SECRETS = Path("/run/secrets")
PROXIED = "mlflow-artifacts:/"  # clients send artifacts here, and never see the store's keys


def secret(path: str) -> str:
    return (SECRETS / path).read_text()


def database() -> str:
    """The URI with the driver's name: SQLAlchemy's default driver depends on its version."""
    return secret("database/uri").replace("postgresql://", "postgresql+psycopg2://", 1)


def follow_password() -> None:
    """Give each new connection the current password, where Vault rotates it and no Secret has it.

    MLflow makes its engines itself, several and late: so it is the class that is followed.
    """
    if not secret("database/password"):
        from platform_vault import follow
        from sqlalchemy import Engine

        follow(Engine)


def serve(port: int) -> None:
    """Set up in this process what `mlflow server` sets up for a second one: half the memory and time."""
    import uvicorn  # first: MLflow guards hosts and origins only where it finds a server loaded
    from mlflow.server import constants
    from mlflow.server.handlers import initialize_backend_stores

    os.environ["MLFLOW_S3_ENDPOINT_URL"] = secret("bucket/endpoint")
    os.environ["AWS_DEFAULT_REGION"] = secret("bucket/region")
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = database()
    os.environ[constants.REGISTRY_STORE_URI_ENV_VAR] = database()
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = PROXIED
    os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = secret("bucket/uri")
    os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
    pass_artifacts_through()
    # The kubelet asks after its health every few seconds; a log is for what users do.
    logging.getLogger("uvicorn.access").addFilter(lambda record: '"GET /health ' not in record.getMessage())
    initialize_backend_stores(database(), database(), PROXIED)
    uvicorn.run("mlflow.server.fastapi_app:app", host="0.0.0.0", port=port)  # noqa: S104 - its pod's


def pass_artifacts_through() -> None:
    """Send artifacts through the server: clients cannot resolve the object store's address.

    Since 3.17 the server offers that to every client as soon as its store's class can do it
    (handlers.py: isinstance of MultipartDownloadMixin), and a client outside then waits forever. No setting
    turns it off, so the store gets a class that cannot do it.
    """
    from mlflow.store.artifact.artifact_repo import ArtifactRepository
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry
    from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

    class Behind(ArtifactRepository):
        def __init__(self, artifact_uri: str, *args: object, **kwargs: object) -> None:
            super().__init__(artifact_uri, *args, **kwargs)
            self._store = S3ArtifactRepository(artifact_uri, *args, **kwargs)

        def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
            self._store.log_artifact(local_file, artifact_path)

        def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
            self._store.log_artifacts(local_dir, artifact_path)

        def list_artifacts(self, path: str | None = None) -> object:
            return self._store.list_artifacts(path)

        def _download_file(self, remote_file_path: str, local_path: str) -> None:
            self._store._download_file(remote_file_path, local_path)

        def delete_artifacts(self, artifact_path: str | None = None) -> None:
            self._store.delete_artifacts(artifact_path)

    _artifact_repository_registry.register("s3", Behind)


def migrate() -> None:
    """Migrate in this process: `mlflow db upgrade` takes the URI with the password as an argument."""
    from mlflow.cli import cli

    cli(["db", "upgrade", database()])


if __name__ == "__main__":
    follow_password()
    serve(int(sys.argv[2])) if sys.argv[1] == "serve" else migrate()
