"""Clients of the issuer without a secret: programs on users' machines, which log in with PKCE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.vault.issuer import KEY, PROVIDER

if TYPE_CHECKING:
    import hvac

_TTL = "1h"  # there is no refresh token, and a removed user's token works until it ends


def find(api: hvac.Client, name: str) -> str:
    """The id of a client; '' if there is none."""
    held = api.read(f"identity/oidc/client/{name}")
    return str(held["data"]["client_id"]) if held else ""


def ensure(api: hvac.Client, name: str, redirect: str) -> str:
    """Create or correct a client, and allow it at the provider. Returns its id."""
    wanted: dict[str, Any] = {
        "key": KEY,
        "redirect_uris": [redirect],
        "assignments": ["members"],
        "client_type": "public",
        "id_token_ttl": _TTL,
        "access_token_ttl": _TTL,
    }
    api.write_data(f"identity/oidc/client/{name}", data=wanted)
    made = find(api, name)
    path = f"identity/oidc/provider/{PROVIDER}"
    held: dict[str, Any] = api.read(path)["data"]
    if made not in held["allowed_client_ids"]:
        kept = {key: held[key] for key in ("issuer", "scopes_supported")}
        # The answer has the path in the issuer; a write takes only its origin.
        kept["issuer"] = kept["issuer"].split("/v1/")[0]
        api.write_data(path, data={**kept, "allowed_client_ids": [*held["allowed_client_ids"], made]})
    return made
