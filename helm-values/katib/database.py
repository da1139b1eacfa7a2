"""Katib's db-manager as a child of this process, with the database password of now."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import grpc

ADDRESS = "127.0.0.1:6790"
_SECRET, _PASSWORDS = Path("/run/secrets/database"), Path("/tmp/pgpass")  # noqa: S108 - of this pod, in memory
_REFUSED = ("password authentication failed", "no password supplied")
_SECONDS = 20.0


class Manager:
    """db-manager, and the connection to it.

    db-manager reads its password once, from DB_PASSWORD. Its driver (github.com/lib/pq) reads the file
    PGPASSFILE at every new connection, but only if the connection string has no `password`. The string is
    `user=%s password=%s` without quotes, so `password=` becomes a part of the application's name.
    """

    def __init__(self, secret: Path = _SECRET, passwords: Path = _PASSWORDS) -> None:
        self._secret, self._passwords = secret, passwords
        self._channel = grpc.insecure_channel(ADDRESS)

    def start(self, program: str = "/katib-db-manager") -> subprocess.Popen[bytes]:
        """Start it. It waits a minute for the database, makes its table, and listens."""
        self.renew()
        return subprocess.Popen([program, f"--listen-address={ADDRESS}"], env=self.environment())

    def environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ.get("PATH", ""),
            "DB_NAME": "postgres",  # the kind of database
            "KATIB_POSTGRESQL_DB_HOST": self._read("host"),
            "KATIB_POSTGRESQL_DB_PORT": self._read("port"),
            "KATIB_POSTGRESQL_DB_DATABASE": self._read("name"),
            # PostgreSQL in the cluster has no certificate; that of a cloud wants TLS.
            "KATIB_POSTGRESQL_SSL_MODE": "disable" if self._read("host").endswith(".svc") else "require",
            "DB_USER": f"{self._read('user')} application_name='",
            "DB_PASSWORD": "'",
            "PGPASSFILE": str(self._passwords),
        }

    def renew(self) -> None:
        """Write the file with the password of now; the driver refuses one that others may read."""
        new = self._passwords.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"*:*:*:*:{escaped(self._password())}\n")
        new.rename(self._passwords)

    def call(self, method: str, message: bytes) -> bytes:
        """Forward one call; with a new password if the database refuses the old one. Raises RpcError."""
        try:
            return self._send(method, message)
        except grpc.RpcError as error:
            if not any(text in str(error.details()) for text in _REFUSED):
                raise
        self.renew()
        return self._send(method, message)

    def _send(self, method: str, message: bytes) -> bytes:
        answer: bytes = self._channel.unary_unary(method)(message, timeout=_SECONDS)
        return answer

    def _password(self) -> str:
        """Of the Secret, or of Vault if Vault rotates it: then no Secret has it."""
        if stored := self._read("password"):
            return stored
        from platform_vault import database_password

        return database_password()

    def _read(self, key: str) -> str:
        return (self._secret / key).read_text()


def escaped(password: str) -> str:
    """The password for a file of passwords: https://www.postgresql.org/docs/current/libpq-pgpass.html."""
    return password.replace("\\", r"\\").replace(":", r"\:")
