"""Airflow's database in a Job: the configuration that Airflow's models need, and plain connections."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DATABASE = Path("/run/secrets/database")


def configure() -> None:
    """Set Airflow's options, before its first import; Vault's password is used if there is one."""
    os.environ |= {
        "AIRFLOW_HOME": "/tmp/airflow",  # noqa: S108
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",  # each line of a script is a note for people
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Without it, Airflow ignores a version that follows another within half a minute.
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _uri().replace("postgresql:", "postgresql+psycopg2:", 1),
    }
    if not _password():
        from platform_vault import follow
        from sqlalchemy import Engine

        follow(Engine)


@contextmanager
def connect() -> Iterator[Any]:
    """A transaction. Quicker than Airflow's models, whose import takes seconds."""
    import psycopg2
    from platform_vault import database_password

    rotated = {} if _password() else {"password": database_password()}
    session = psycopg2.connect(_uri(), connect_timeout=10, **rotated)
    try:
        with session:
            yield session
    finally:
        session.close()


def _uri() -> str:
    return (DATABASE / "uri").read_text()


def _password() -> str:
    return (DATABASE / "password").read_text()
