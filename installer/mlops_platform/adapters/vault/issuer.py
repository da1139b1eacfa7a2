"""Vault as OIDC issuer: keys, scopes, groups, clients and login; every function can be repeated."""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mlops_platform.base.digest import short_digest
from mlops_platform.base.groups import GROUPS

if TYPE_CHECKING:
    import hvac

PROVIDER, KEY, MACHINE, USERS = "platform", "platform", "machine", "userpass"
AUDIENCE = "mlops-platform"  # of tokens of machines
USER_POLICY = "platform-user"
MACHINE_POLICY = "platform-machine"
# A browser session renews its token this often; so a removed user's session ends after this time.
ID_TOKEN_TTL = "15m"  # noqa: S105
_MACHINE_TTL = "1h"
_LOGIN_TTL, _LOGIN_MAX_TTL = "8h", "12h"
# Claim names need quotes; values do not, because the template inserts them quoted.
_CLAIMS = {
    "groups": '{"groups": {{identity.entity.groups.names}}}',
    "email": '{"email": {{identity.entity.metadata.email}}, "email_verified": true}',
    "profile": '{"preferred_username": {{identity.entity.name}}, "name": {{identity.entity.name}}}',
}


@dataclass(frozen=True)
class Endpoints:
    """URLs of an issuer: tokens name `issuer`; programs in the cluster use the others."""

    issuer: str
    redeem: str
    keys: str
    machines: str


@dataclass(frozen=True)
class Wanted:
    """A client of the issuer, whose origin is `public` for browsers and `inside` in the cluster."""

    name: str
    public: str
    inside: str
    redirects: tuple[str, ...]

    @property
    def digest(self) -> str:
        """A digest of the wanted client and of the code that makes it."""
        source = inspect.getsource(sys.modules[__name__])
        return short_digest([asdict(self), source])


@dataclass(frozen=True)
class Client:
    id: str
    secret: str


def endpoints(public: str, inside: str) -> Endpoints:
    path = f"/v1/identity/oidc/provider/{PROVIDER}"
    return Endpoints(
        issuer=public + path,
        redeem=f"{inside}{path}/token",
        keys=f"{inside}{path}/.well-known/keys",
        # Tokens of machines name this issuer; only the sign-on proxy in the cluster asks it.
        machines=f"{inside}/v1/identity/oidc",
    )


def configure(api: hvac.Client, wanted: Wanted) -> Client:
    """Configure the issuer and the client; the issuer chooses id and secret."""
    _users(api)
    api.write_data(
        f"identity/oidc/key/{KEY}",
        data={
            "algorithm": "RS256",
            "allowed_client_ids": "*",
            "rotation_period": "24h",
            "verification_ttl": "24h",
        },
    )
    _machines(api, wanted.inside)
    for scope, template in _CLAIMS.items():
        api.write_data(f"identity/oidc/scope/{scope}", data={"template": template})
    group_ids = [_group(api, name) for name in GROUPS]
    # A user in none of the groups gets no code.
    api.write_data("identity/oidc/assignment/members", data={"entity_ids": [], "group_ids": group_ids})
    client = _client(api, wanted)
    api.write_data(
        f"identity/oidc/provider/{PROVIDER}",
        data={
            "issuer": wanted.public,
            "allowed_client_ids": _allowed(api, client.id),
            "scopes_supported": list(_CLAIMS),
        },
    )
    return client


def _client(api: hvac.Client, wanted: Wanted) -> Client:
    path = f"identity/oidc/client/{wanted.name}"
    api.write_data(
        path,
        data={
            "key": KEY,
            "redirect_uris": list(wanted.redirects),
            "assignments": ["members"],
            "client_type": "confidential",
            "id_token_ttl": ID_TOKEN_TTL,
            "access_token_ttl": ID_TOKEN_TTL,
        },
    )
    made = _data(api.read(path))
    return Client(made["client_id"], made["client_secret"])


def _allowed(api: hvac.Client, client: str) -> list[str]:
    held = api.read(f"identity/oidc/provider/{PROVIDER}")
    return sorted({client, *(_data(held)["allowed_client_ids"] if held else [])})


def _users(api: hvac.Client) -> None:
    """Configure login by name and password, its page, and the policy of users that are logged in."""
    if f"{USERS}/" not in _data(api.sys.list_auth_methods()):
        api.sys.enable_auth_method(USERS)
    accessor = _data(api.sys.list_auth_methods())[f"{USERS}/"]["accessor"]
    tuned = {
        "listing_visibility": "unauth",  # else the login page opens on "Token", which users do not have
        "default_lease_ttl": _LOGIN_TTL,
        "max_lease_ttl": _LOGIN_MAX_TTL,
    }
    api.write_data(f"sys/mounts/auth/{USERS}/tune", data=tuned)
    own = f"auth/{USERS}/users/{{{{identity.entity.aliases.{accessor}.name}}}}/password"
    rules = {
        f"identity/oidc/provider/{PROVIDER}/authorize": ["read", "update"],
        f"identity/oidc/token/{MACHINE}": ["read"],
        own: ["update"],
    }
    write_policy(api, USER_POLICY, rules)


def _machines(api: hvac.Client, inside: str) -> None:
    """Tokens for programs, in the name of an entity: made for a moment's login, good for an hour."""
    api.write_data("identity/oidc/config", data={"issuer": inside})
    body = ", ".join(template[1:-1] for template in _CLAIMS.values())
    api.write_data(
        f"identity/oidc/role/{MACHINE}",
        data={"key": KEY, "client_id": AUDIENCE, "ttl": _MACHINE_TTL, "template": f"{{{body}}}"},
    )
    rules = {f"identity/oidc/token/{MACHINE}": ["read"], "auth/token/revoke-self": ["update"]}
    write_policy(api, MACHINE_POLICY, rules)
    api.write_data(
        f"auth/token/roles/{MACHINE}",
        data={
            "allowed_entity_aliases": ["*"],
            "allowed_policies": [MACHINE_POLICY],
            "token_no_default_policy": True,
            "orphan": True,
            "renewable": False,
            "token_explicit_max_ttl": "5m",
        },
    )


def write_policy(api: hvac.Client, name: str, rules: dict[str, list[str]]) -> None:
    text = json.dumps({"path": {path: {"capabilities": can} for path, can in rules.items()}})
    api.write_data(f"sys/policies/acl/{name}", data={"policy": text})


def _group(api: hvac.Client, name: str) -> str:
    """Make a group, return its id; an existing group keeps its members."""
    path = f"identity/group/name/{name}"
    if not api.read(path):
        api.write_data(path, data={"type": "internal"})
    return str(_data(api.read(path))["id"])


def _data(answer: Any) -> dict[str, Any]:
    """The `data` of an answer: some calls of hvac return the whole answer."""
    found: dict[str, Any] = answer["data"]
    return found
