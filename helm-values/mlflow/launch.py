"""Start of MLflow with values of its Secrets, read from files, not from arguments.

`serve PORT` starts the server. `migrate` upgrades the schema of the database, before a server of this version
starts: it rejects an older schema.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from authorization import Authorization

ROUTES = Path(__file__).with_name("routes.txt")
SECRETS = Path("/run/secrets")
AUDIENCE, GROUP = "mlflow", "mlflow.mlops-platform.io"  # of tokens, and of the resources in rights
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
    # Not in service.yaml: an environment can change values there, and workspaces belong to the authorization.
    os.environ["MLFLOW_ENABLE_WORKSPACES"] = "true"
    # The cache has one list of webhooks for all workspaces (mlflow/webhooks/delivery.py, 3.17.2).
    os.environ["MLFLOW_WEBHOOK_CACHE_TTL"] = "0"
    # The kubelet asks after its health every few seconds; a log is for what users do.
    logging.getLogger("uvicorn.access").addFilter(lambda record: '"GET /health ' not in record.getMessage())
    initialize_backend_stores(database(), database(), PROXIED)
    uvicorn.run(authorized(), host="0.0.0.0", port=port)  # noqa: S104 - its pod's


def authorized() -> Authorization:
    """MLflow behind its authorization.

    Imported here: MLflow reads its settings at its import, and the Job `migrate` has only this file.
    """
    from artifacts import serve_artifacts
    from authorization import Authorization
    from mlflow.server.fastapi_app import app
    from platform_callers import Callers
    from platform_reviews import ApiServer, Reviews
    from rules import Rules

    serve_artifacts(secret("bucket/uri"))
    reviews = Reviews(ApiServer(), AUDIENCE, GROUP)
    return Authorization(app, Rules(ROUTES.read_text()), Callers(reviews), reviews)


def migrate() -> None:
    """Migrate in this process: `mlflow db upgrade` takes the URI with the password as an argument."""
    from mlflow.cli import cli

    cli(["db", "upgrade", database()])


if __name__ == "__main__":
    follow_password()
    serve(int(sys.argv[2])) if sys.argv[1] == "serve" else migrate()
