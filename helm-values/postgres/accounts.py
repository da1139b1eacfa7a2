"""The database and role of a component: create, correct, remove.

The script creates the mounted account (`ensure`) or the role that changes the passwords of the others
(`db-admin`), or checks that a password was changed (`prove`); the smoke test imports it for its own accounts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

ADMIN, ACCOUNT = Path("/run/secrets/admin"), Path("/run/secrets/account")
OLD = Path("/run/secrets/old")  # what is to be refused
_OURS = 770_001  # an advisory lock: two accounts made at once would change the same catalogue rows


def read(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if not file.name.startswith(".")}


def connect(where: Mapping[str, str], user: Mapping[str, str], database: str) -> psycopg.Connection[Any]:
    """Open a session that commits each statement."""
    return psycopg.connect(
        host=where["host"],
        port=where["port"],
        user=user["user"],
        password=user["password"],
        dbname=database,
        autocommit=True,
        connect_timeout=10,
    )


def ensure(admin: Mapping[str, str], account: Mapping[str, str]) -> None:
    """Create a role that can only log in, and a database that only this role can open."""
    role, database = Identifier(account["user"]), Identifier(account["name"])
    with connect(account, admin, "postgres") as session:
        session.execute("SELECT pg_advisory_lock(%s)", [_OURS])
        _close_to_the_public(session)
        found = session.execute(
            "SELECT rolsuper FROM pg_roles WHERE rolname = %s", [account["user"]]
        ).fetchone()
        if found and found[0]:
            raise SystemExit(f"{account['user']} is a superuser of this server, not a component's role")
        rights = "LOGIN NOCREATEDB NOCREATEROLE"
        if _superuser(session) or not found:  # only a superuser may name these for an existing role
            rights += " NOSUPERUSER NOREPLICATION"
        session.execute(SQL("{} ROLE {} " + rights).format(SQL("ALTER" if found else "CREATE"), role))
        if account.get("password"):  # else Vault has it
            set_password(session, account)
        if account.get("dbAdmin") and session.info.server_version >= 160000:
            # Before 16 a role with CREATEROLE may change any role; since then only roles that it administers.
            session.execute(
                SQL("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE").format(
                    role, Identifier(account["dbAdmin"])
                )
            )
        with _acting_for(session, role):
            found = session.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [account["name"]]
            ).fetchone()
            if not found:
                session.execute(SQL("CREATE DATABASE {} OWNER {}").format(database, role))
            session.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(database, role))
            session.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))


def _superuser(session: psycopg.Connection[Any]) -> bool:
    """Tell whether this is a cloud's server, which has no superuser for us: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/
    Appendix.PostgreSQL.CommonDBATasks.Roles.html"""
    found = session.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    return bool(found and found[0])


@contextmanager
def _acting_for(session: psycopg.Connection[Any], role: Identifier) -> Iterator[None]:
    """Join a role: without superuser, only its member can give it a database."""
    if _superuser(session):
        yield
        return
    how = " WITH INHERIT TRUE, SET TRUE" if session.info.server_version >= 160000 else ""
    session.execute(SQL("GRANT {} TO CURRENT_USER" + how).format(role))
    try:
        yield
    finally:
        session.execute(SQL("REVOKE {} FROM CURRENT_USER").format(role))


def db_admin(admin: Mapping[str, str], account: Mapping[str, str]) -> None:
    """Create Vault's role: it changes the passwords of other roles and opens none of their databases."""
    role = Identifier(account["user"])
    with connect(account, admin, "postgres") as session:
        session.execute("SELECT pg_advisory_lock(%s)", [_OURS])
        _close_to_the_public(session)
        found = session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [account["user"]]).fetchone()
        session.execute(
            SQL("{} ROLE {} LOGIN CREATEROLE NOINHERIT NOSUPERUSER NOCREATEDB NOREPLICATION").format(
                SQL("ALTER" if found else "CREATE"), role
            )
        )
        set_password(session, account)
        session.execute(SQL("GRANT CONNECT ON DATABASE postgres TO {}").format(role))


def set_password(session: psycopg.Connection[Any], account: Mapping[str, str]) -> None:
    """Hash the password here: the server logs a statement that fails, with its text."""
    verifier = session.pgconn.encrypt_password(
        account["password"].encode(), account["user"].encode(), b"scram-sha-256"
    )
    session.execute(
        SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(account["user"]), Literal(verifier.decode()))
    )


def prove(account: Mapping[str, str], old: Mapping[str, str]) -> None:
    """Check that the new password opens the database and the old one does not."""
    connect(account, account, account["name"]).close()
    refused(account, old, account["name"])


def refused(where: Mapping[str, str], old: Mapping[str, str], database: str) -> None:
    """Raise SystemExit if the old password still works."""
    try:
        connect(where, old, database).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
    else:
        raise SystemExit(f"the old password of {old['user']} still opens {database}")


def remove(admin: Mapping[str, str], account: Mapping[str, str]) -> None:
    """Remove the database, then the role, if they exist."""
    with connect(account, admin, "postgres") as session:
        session.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(account["name"])))
        session.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(account["user"])))


def _close_to_the_public(session: psycopg.Connection[Any]) -> None:
    """Close PostgreSQL's own databases, which every role may open by default."""
    for name in ("postgres", "template1"):
        open_to_all = session.execute(
            "SELECT EXISTS (SELECT FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba)))"
            " WHERE datname = %s AND grantee = 0)",
            [name],
        ).fetchone()
        if open_to_all and open_to_all[0]:
            session.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(Identifier(name)))


if __name__ == "__main__":
    act = sys.argv[1] if len(sys.argv) > 1 else "ensure"
    if act == "prove":
        prove(read(ACCOUNT), read(OLD))
    else:
        {"ensure": ensure, "db-admin": db_admin}[act](read(ADMIN), read(ACCOUNT))
