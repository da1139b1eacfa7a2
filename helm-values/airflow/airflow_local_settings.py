"""Database connections of Airflow: each new one has the current password, where Vault rotates it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

__all__ = ["create_async_metadata_engine", "create_metadata_engine"]

# Where the store rotates it no Secret has a password.
ROTATED = not Path("/run/secrets/database/password").read_text()


def create_metadata_engine(
    sql_alchemy_conn: str, *, engine_args: dict[str, Any], connect_args: dict[str, Any]
) -> Engine:
    engine = create_engine(sql_alchemy_conn, connect_args=connect_args, **engine_args)
    if ROTATED:
        import platform_vault

        platform_vault.follow(engine)
    return engine


def create_async_metadata_engine(
    sql_alchemy_conn_async: str, *, connect_args: dict[str, Any], engine_args: dict[str, Any] | None = None
) -> AsyncEngine:
    engine = create_async_engine(sql_alchemy_conn_async, connect_args=connect_args, **(engine_args or {}))
    if ROTATED:
        event.listen(engine.sync_engine, "do_connect", _password_of_now)
    return engine


def _password_of_now(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
    """Read the password for every connection: asyncpg has other errors than libpq, and few connections."""
    import platform_vault

    parameters["password"] = platform_vault.database_password()
