"""Local users: people with a password, machines without one, and their groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.vault.issuer import (
    KEY,
    MACHINE,
    MACHINE_POLICY,
    USER_POLICY,
    USERS,
    write_policy,
)
from mlops_platform.adapters.vault.session import client
from mlops_platform.base.groups import GROUPS

if TYPE_CHECKING:
    import hvac

_MARK = "mlops-platform"  # in the metadata of entities created here: only those are listed and removed
_TRIAL = "platform-smoke"
# Tokens for negative tests: one that expires after a second, one for another audience.
_TRIAL_ROLES = {"smoke-brief": ("mlops-platform", "1s"), "smoke-foreign": ("somebody-else", "10m")}


@dataclass(frozen=True)
class User:
    """`kind` is 'person', 'machine' (no password), or 'trial': a person for as long as a smoke test."""

    name: str
    kind: str
    groups: tuple[str, ...]
    email: str


class Users:
    """Entities of Vault with an alias for each of their logins."""

    def __init__(self, api: hvac.Client) -> None:
        self._api = api

    def list(self) -> list[User]:
        found = self._api.list("identity/entity/name")
        names = found["data"]["keys"] if found else []
        members = {group: set(self._group(group)["member_entity_ids"] or []) for group in GROUPS}
        users = []
        for name in sorted(names):
            entity = self._entity(name)
            kind = ((entity or {}).get("metadata") or {}).get(_MARK)
            if entity and kind:
                groups = tuple(group for group, ids in members.items() if entity["id"] in ids)
                users.append(User(name, kind, groups, entity["metadata"].get("email", "")))
        return users

    def find(self, name: str) -> User | None:
        return next((user for user in self.list() if user.name == name), None)

    def put(self, user: User, password: str = "") -> None:
        """Create or change a user; set the password if one is given."""
        path = f"identity/entity/name/{user.name}"
        self._api.write_data(
            path, data={"metadata": {_MARK: user.kind, "email": user.email}, "disabled": False}
        )
        entity = self._entity(user.name)
        assert entity is not None, path
        if password:
            self.set_password(user.name, password, also=[_TRIAL] if user.kind == "trial" else [])
        mounts = ["token", *([USERS] if user.kind != "machine" else [])]
        methods = self._api.sys.list_auth_methods()["data"]
        held = {alias["mount_accessor"] for alias in entity.get("aliases") or []}
        for mount in mounts:
            accessor = methods[f"{mount}/"]["accessor"]
            if accessor not in held:
                self._api.write_data(
                    "identity/entity-alias",
                    data={"name": user.name, "canonical_id": entity["id"], "mount_accessor": accessor},
                )
        for group in GROUPS:
            self._member(group, entity["id"], wanted=group in user.groups)

    def set_password(self, name: str, password: str, also: Sequence[str] = ()) -> None:
        data = {"password": password, "token_policies": [USER_POLICY, *also]}
        self._api.write_data(f"auth/{USERS}/users/{name}", data=data)

    def remove(self, name: str) -> None:
        """Remove a user with its logins, and end its tokens."""
        entity = self._entity(name)
        self._api.delete(f"auth/{USERS}/users/{name}")
        if entity is None:
            return
        # Disabling first ends live tokens now; deleting alone leaves them valid until they expire.
        self._api.write_data(f"identity/entity/name/{name}", data={"disabled": True})
        for group in GROUPS:
            self._member(group, entity["id"], wanted=False)
        self._api.delete(f"identity/entity/name/{name}")

    def token(self, name: str) -> str:
        """Issue a bearer token of a user for a program, valid for an hour."""
        made = self._api.write_data(
            f"auth/token/create/{MACHINE}", data={"entity_alias": name, "policies": [MACHINE_POLICY]}
        )
        with client(self._api.url, made["auth"]["client_token"]) as own:
            token: str = own.read(f"identity/oidc/token/{MACHINE}")["data"]["token"]
            own.auth.token.revoke_self()
        return token

    def begin_trial(self, run: str) -> dict[str, dict[str, str]]:
        """Create users for one smoke test, by group ('' is none), each with `name` and `password`."""
        self.end_trial()
        template = self._api.read(f"identity/oidc/role/{MACHINE}")["data"]["template"]
        for role, (audience, ttl) in _TRIAL_ROLES.items():
            data = {"key": KEY, "client_id": audience, "ttl": ttl, "template": template}
            self._api.write_data(f"identity/oidc/role/{role}", data=data)
        write_policy(self._api, _TRIAL, {f"identity/oidc/token/{role}": ["read"] for role in _TRIAL_ROLES})
        people = {}
        for group in (*GROUPS, ""):
            name, password = f"smoke-{run}-{group or 'nobody'}", token_urlsafe(24)
            groups = (group,) if group else ()
            self.put(User(name, "trial", groups, f"{name}@smoke.invalid"), password)
            people[group] = {"name": name, "password": password}
        return people

    def end_trial(self) -> None:
        """Remove the users of smoke tests, also of killed runs."""
        for user in self.list():
            if user.kind == "trial":
                self.remove(user.name)
        for role in _TRIAL_ROLES:
            self._api.delete(f"identity/oidc/role/{role}")
        self._api.delete(f"sys/policies/acl/{_TRIAL}")

    def _entity(self, name: str) -> dict[str, Any] | None:
        found = self._api.read(f"identity/entity/name/{name}")
        return found["data"] if found else None

    def _group(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._api.read(f"identity/group/name/{name}")["data"]
        return found

    def _member(self, group: str, entity: str, *, wanted: bool) -> None:
        held: Sequence[str] = self._group(group)["member_entity_ids"] or []
        if (entity in held) != wanted:
            ids = [each for each in held if each != entity] + [entity] * wanted
            self._api.write_data(f"identity/group/name/{group}", data={"member_entity_ids": ids})
