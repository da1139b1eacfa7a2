"""Login at this issuer for smoke tests: the requests of its login page."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


def token_of(browser: Any, issuer: str, name: str, password: str) -> str:
    """Log in. Returns the issuer's own token. `issuer` is its origin."""
    answer = browser.must(f"{issuer}/v1/auth/userpass/login/{name}", "POST", data={"password": password})
    token: str = answer.json["auth"]["client_token"]
    return token


def consent(browser: Any, authorize: str, token: str) -> str:
    """Authorize. Returns the redirect with the code. `authorize` is the URL of the login page."""
    asked = urlsplit(authorize)
    path = asked.path.removeprefix("/ui/vault")
    answer = browser.must(
        f"{asked.scheme}://{asked.netloc}/v1{path}?{asked.query}", headers={"X-Vault-Token": token}
    )
    back = parse_qs(asked.query)["redirect_uri"][0]
    return f"{back}?{urlencode({key: answer.json[key] for key in ('code', 'state')})}"


def machine_token(browser: Any, issuer: str, token: str, role: str = "machine") -> str:
    """Return a bearer token for the user of `token`."""
    answer = browser.must(f"{issuer}/v1/identity/oidc/token/{role}", headers={"X-Vault-Token": token})
    bearer: str = answer.json["data"]["token"]
    return bearer


def forget(browser: Any, issuer: str, token: str) -> None:
    """Sign out as the sign-out page does."""
    browser.must(f"{issuer}/v1/auth/token/revoke-self", "POST", headers={"X-Vault-Token": token})
