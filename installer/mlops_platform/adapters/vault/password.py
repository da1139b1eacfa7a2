"""A login at the issuer with name and password, without a browser."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from mlops_platform.adapters.oidc import REDIRECT, Flow, Issuer, Token
from mlops_platform.adapters.vault.issuer import PROVIDER, USERS


def log_in(issuer: Issuer, client: str, user: str, password: str) -> Token:
    """Log in as the issuer's page does, and end the login at once. Raises StepError."""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(issuer.url))
    made = issuer.send("POST", f"{origin}/v1/auth/{USERS}/login/{user}", body={"password": password})
    header = {"X-Vault-Token": str(made["auth"]["client_token"])}
    flow = Flow(issuer, client, REDIRECT)
    path = f"/v1/identity/oidc/provider/{PROVIDER}/authorize"
    try:
        answer = issuer.send("GET", f"{origin}{path}?{urlencode(flow.query)}", headers=header)
        return flow.redeem(str(answer.get("code", "")))
    finally:
        issuer.send("POST", f"{origin}/v1/auth/token/revoke-self", headers=header)
