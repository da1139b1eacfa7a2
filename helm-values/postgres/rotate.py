"""Owns a new password for the administrator: brought into the running server, and the old one refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg
from accounts import connect, read, refused, set_password

OLD, NEW = Path("/run/secrets/old"), Path("/run/secrets/new")
WHERE = {"host": os.environ["HOST"], "port": os.environ["PORT"]}


def change() -> None:
    """Done already is done: a run may have been killed right after it."""
    new = read(NEW)
    try:
        session = connect(WHERE, read(OLD), "postgres")
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        session = connect(WHERE, new, "postgres")
    with session:
        set_password(session, new)


def prove() -> None:
    connect(WHERE, read(NEW), "postgres").close()
    refused(WHERE, read(OLD), "postgres")


if __name__ == "__main__":
    {"change": change, "prove": prove}[sys.argv[1]]()
