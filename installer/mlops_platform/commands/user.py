"""`user` and `token`: local users and machines, if the environment's OIDC issuer is its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlops_platform.base.errors import UsageError
from mlops_platform.base.groups import GROUPS
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.adapters.vault.users import User, Users
    from mlops_platform.run.context import Context

_LEAST = 12  # characters of a given password


def add(console: Console, name: str, groups: Sequence[str], email: str, *, machine: bool, stdin: bool) -> int:
    """Make a user; an existing user keeps the password and gets these groups."""
    from secrets import token_urlsafe

    from mlops_platform.adapters.vault.users import User

    _check_name_and_groups(name, groups)
    if machine and stdin:
        raise UsageError(
            "a machine has no password", hint=f"get a token for it: `mlops-platform token {name}`"
        )
    given = _given_password() if stdin else ""
    with _users(console) as (context, known):
        existing = known.find(name)
        kind = "machine" if machine else "person"
        if existing and existing.kind != kind:
            raise UsageError(
                f"{name} is a {existing.kind} already", hint="choose another name, or remove it first"
            )
        address = email or (existing.email if existing else f"{name}@{context.environment.domain}")
        made = "" if machine or existing or given else token_urlsafe(18)
        user = User(name, kind, tuple(g for g in GROUPS if g in groups), address)
        known.put(user, given or made)
        site = context.environment.site
    lines = [f"{name} is in {', '.join(user.groups)}"]
    lines += [f"password, shown this once: {made}"] if made else []
    lines += [f"get a token for it: mlops-platform token {name}"] if machine else []
    lines += [f"log in at any UI below https://….{site}"] if made or given else []
    return console.done({**_row(user), "password": made}, "\n  ".join(lines))


def passwd(console: Console, name: str, *, stdin: bool) -> int:
    """Set a new password; open sessions stay valid until they end."""
    from secrets import token_urlsafe

    given = _given_password() if stdin else ""
    with _users(console) as (_, known):
        if _found(known, name).kind != "person":
            raise UsageError(f"{name} is a machine and has no password")
        made = "" if given else token_urlsafe(18)
        known.set_password(name, given or made)
    text = f"password of {name}, shown this once: {made}" if made else f"{name} has the password you gave"
    return console.done({"name": name, "password": made}, text)


def remove(console: Console, name: str) -> int:
    with _users(console) as (_, known):
        _found(known, name)
        known.remove(name)
    text = (
        f"{name} is removed: logins are rejected; open sessions end within 15 minutes, tokens within an hour"
    )
    return console.done({"name": name}, text)


def list_(console: Console) -> int:
    from mlops_platform.base.humanize import table

    with _users(console) as (_, known):
        users = [user for user in known.list() if user.kind != "trial"]
    rows = [(u.name, u.kind, ", ".join(u.groups), u.email) for u in users]
    text = (
        table(("name", "kind", "groups", "e-mail"), rows)
        if rows
        else "no users yet; `mlops-platform user add`"
    )
    return console.done({"users": [_row(user) for user in users]}, text)


def token(console: Console, name: str) -> int:
    """Print a bearer token, and nothing else, on stdout; it is valid for an hour."""
    with _users(console) as (_, known):
        _found(known, name)
        made = known.token(name)
    return console.done({"token": made, "seconds": 3600}, made)


@contextmanager
def _users(console: Console) -> Iterator[tuple[Context, Users]]:
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment
    from mlops_platform.steps.access.users import require_own_issuer, users

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    context = read_only(opened)
    require_own_issuer(context)
    reach(context)
    with users(context) as known:
        yield context, known


def _found(known: Users, name: str) -> User:
    user = known.find(name)
    if user is None:
        names = ", ".join(u.name for u in known.list() if u.kind != "trial") or "none yet"
        raise UsageError(f"no user {name}", why=f"known: {names}", command="mlops-platform user list")
    return user


def _check_name_and_groups(name: str, groups: Sequence[str]) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9._-]{1,62}", name) or name.startswith("smoke-"):
        raise UsageError(
            f"{name}: not a valid user name",
            hint="use lower-case letters, digits and ._-; start with a letter",
        )
    unknown = [group for group in groups if group not in GROUPS]
    if unknown or not groups:
        what = f"no group {unknown[0]}" if unknown else "a user needs a group"
        raise UsageError(
            what, why=f"known: {', '.join(GROUPS)}", command=f"mlops-platform user add {name} -g viewers"
        )


def _given_password() -> str:
    import sys

    given = sys.stdin.readline().rstrip("\n")
    if len(given) < _LEAST:
        raise UsageError(f"the password has fewer than {_LEAST} characters")
    return given


def _row(user: User) -> dict[str, object]:
    return {"name": user.name, "kind": user.kind, "groups": list(user.groups), "email": user.email}
