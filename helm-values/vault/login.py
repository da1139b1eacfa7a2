"""Owns how somebody logs in at this issuer: what its page does, without one, for probes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


def token_of(browser: Any, issuer: str, name: str, password: str) -> str:
    """The issuer's own token, as its page keeps it. `issuer` is its origin."""
    answer = browser.must(f"{issuer}/v1/auth/userpass/login/{name}", "POST", data={"password": password})
    token: str = answer.json["auth"]["client_token"]
    return token


def consent(browser: Any, authorize: str, token: str) -> str:
    """The address the issuer sends the browser back to, with its code. `authorize` is where it was led to."""
    asked = urlsplit(authorize)
    path = asked.path.removeprefix("/ui/vault")
    answer = browser.must(
        f"{asked.scheme}://{asked.netloc}/v1{path}?{asked.query}", headers={"X-Vault-Token": token}
    )
    back = parse_qs(asked.query)["redirect_uri"][0]
    return f"{back}?{urlencode({key: answer.json[key] for key in ('code', 'state')})}"


def machine_token(browser: Any, issuer: str, token: str, role: str = "machine") -> str:
    """A bearer token in the name of whoever `token` belongs to."""
    answer = browser.must(f"{issuer}/v1/identity/oidc/token/{role}", headers={"X-Vault-Token": token})
    bearer: str = answer.json["data"]["token"]
    return bearer


def forget(browser: Any, issuer: str, token: str) -> None:
    """What its sign-out page does."""
    browser.must(f"{issuer}/v1/auth/token/revoke-self", "POST", headers={"X-Vault-Token": token})
