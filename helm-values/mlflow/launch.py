"""Owns starting MLflow with what its Secrets say: read from files here, so in no argument and no manifest."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SECRETS = Path("/run/secrets")


def secret(path: str) -> str:
    return (SECRETS / path).read_text()


def main() -> None:
    os.environ["MLFLOW_BACKEND_STORE_URI"] = secret("database/uri")
    os.environ["MLFLOW_ARTIFACTS_DESTINATION"] = secret("bucket/uri")
    os.environ["MLFLOW_S3_ENDPOINT_URL"] = secret("bucket/endpoint")
    os.environ["AWS_DEFAULT_REGION"] = secret("bucket/region")
    os.execvp("mlflow", ["mlflow", *sys.argv[1:]])  # noqa: S606 - there is no shell to want


if __name__ == "__main__":
    main()
