"""Smoke test of PostgreSQL: rows are stored, foreign access is rejected."""

from __future__ import annotations

import os
import secrets
import sys
from typing import Any

import accounts
import psycopg
from probes import Probes, patiently
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Identifier

WHERE = {"host": os.environ["HOST"], "port": os.environ["PORT"]}
ADMIN = accounts.read(accounts.ADMIN)
ROWS = 1000


def account(name: str) -> dict[str, str]:
    """A component's account, with a password of this run."""
    made = {**WHERE, "user": name, "name": name, "password": secrets.token_urlsafe(24)}
    patiently(lambda: accounts.ensure(ADMIN, made), psycopg.OperationalError)
    return made


def enter(who: dict[str, str], database: str = "") -> psycopg.Connection[Any]:
    return accounts.connect(WHERE, who, database or who["name"])


def probe(probes: Probes) -> None:
    mine, other = account("smoke"), account("smoke-other")
    try:
        _uses(probes, mine)
        _enters(probes, mine, other)
        _rights(probes, mine)
    finally:
        killed = {**WHERE, "user": "survives", "name": "survives"}  # a run may have been, before its `read`
        for made in (mine, other, killed):
            accounts.remove(ADMIN, made)


def _uses(probes: Probes, mine: dict[str, str]) -> None:
    with probes.works(f"the server is PostgreSQL {os.environ['VERSION']}"), enter(mine) as session:
        version = str(session.info.server_version // 10000)
        assert version == os.environ["VERSION"], version
    with probes.works("rows written are read back in another session"):
        with enter(mine) as session:
            session.execute("CREATE TABLE written (id int PRIMARY KEY, text text)")
            with session.cursor().copy("COPY written FROM STDIN") as copy:
                for i in range(ROWS):
                    copy.write_row((i, f"row {i}"))
        with enter(mine) as session:
            found = session.execute("SELECT count(*), sum(id), max(text) FROM written").fetchone()
            assert found == (ROWS, sum(range(ROWS)), "row 999"), found
    with probes.works("a rolled back change is not there"), enter(mine) as session:
        with session.transaction(force_rollback=True):
            session.execute("DELETE FROM written")
        left = session.execute("SELECT count(*) FROM written").fetchone()
        assert left == (ROWS,), left
    with probes.works("a duplicate key fails only its own transaction"), enter(mine) as session:
        try:
            with session.transaction():
                session.execute("UPDATE written SET text = 'changed'")
                session.execute("INSERT INTO written VALUES (0, 'again')")
        except psycopg.errors.UniqueViolation:
            changed = session.execute("SELECT count(*) FROM written WHERE text = 'changed'").fetchone()
            assert changed == (0,), changed
        else:
            raise AssertionError("both rows are there")
    with probes.works("passwords are kept as SCRAM-SHA-256 only"), enter(ADMIN, "postgres") as session:
        found = session.execute(
            "SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword NOT LIKE 'SCRAM-SHA-256$%'"
        ).fetchall()
        assert not found, found


def _enters(probes: Probes, mine: dict[str, str], other: dict[str, str]) -> None:
    """Try wrong logins and foreign databases."""
    wrong = "password authentication failed"
    with probes.refused("a wrong password", psycopg.OperationalError, wrong):
        enter({**mine, "password": "wrong"})
    with probes.refused("no password", psycopg.OperationalError, "no password supplied"):
        enter({**mine, "password": ""})
    with probes.refused("an unknown role", psycopg.OperationalError, wrong):
        enter({**mine, "user": "unknown"})
    with probes.refused("the administrator with a component's password", psycopg.OperationalError, wrong):
        enter({**mine, "user": ADMIN["user"]}, "postgres")
    for what, name in (
        ("another component's database", other["name"]),
        ("the server's own database", "postgres"),
        ("the template of new databases", "template1"),
    ):
        with probes.refused(what, psycopg.OperationalError, "permission denied for database"):
            enter(mine, name)


def _rights(probes: Probes, mine: dict[str, str]) -> None:
    """Try actions that a component's role must not have."""
    for what, statement in (
        ("making a database", "CREATE DATABASE smoke_more"),
        ("making a role", "CREATE ROLE smoke_more LOGIN"),
        ("reading other roles' passwords", "SELECT rolpassword FROM pg_authid"),
        ("reading the server's files", "SELECT pg_read_file('/run/secrets/admin/password')"),
        ("running programs on the server", "COPY (SELECT 1) TO PROGRAM 'true'"),
        ("changing the server's settings", "ALTER SYSTEM SET log_connections = on"),
    ):
        with probes.refused(what, InsufficientPrivilege), enter(mine) as session:
            session.execute(statement.encode())


def write(probes: Probes) -> None:
    with probes.works("rows are committed, then the pod is deleted"), enter(account("survives")) as session:
        session.execute("DROP TABLE IF EXISTS kept")
        session.execute("CREATE TABLE kept AS SELECT g AS id FROM generate_series(1, 1000) g")
        session.execute(SQL("COMMENT ON TABLE kept IS {}").format(os.environ["RUN"]))


def read(probes: Probes) -> None:
    mine = account("survives")
    try:
        with probes.works("data survives the deletion of the pod"), enter(mine) as session:
            found = session.execute(
                SQL("SELECT count(*), sum(id), obj_description('kept'::regclass) FROM {}").format(
                    Identifier("kept")
                )
            ).fetchone()
            assert found == (ROWS, 500500, os.environ["RUN"]), found
    finally:
        accounts.remove(ADMIN, mine)


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": write, "read": read}[act](running)
    running.end()
