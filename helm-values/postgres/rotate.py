"""Sets a new password of the administrator and checks that the old one is rejected."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg
from accounts import connect, read, refused, set_password

OLD, NEW = Path("/run/secrets/old"), Path("/run/secrets/new")
WHERE = {"host": os.environ["HOST"], "port": os.environ["PORT"]}


def change() -> None:
    """Set the password, unless an earlier run that was killed has done so."""
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
