"""Smoke test of sign-on: it redirects to the issuer and rejects forged sessions. Logins: see gateway."""

from __future__ import annotations

import os
import sys
from urllib.parse import parse_qs, urlsplit

import urllib3
from probes import Probes, patiently

URL, SITE = os.environ["URL"], os.environ["SITE"]


class Refused(Exception):
    pass


def ask(path: str, **headers: str) -> urllib3.BaseHTTPResponse:
    answer = urllib3.request(
        "GET", f"{URL}{path}", headers={"Host": f"auth.{SITE}", **headers}, redirect=False, retries=False
    )
    if answer.status >= 400:
        raise Refused(str(answer.status))
    return answer


def probe(probes: Probes) -> None:
    with probes.works("a login redirects to the issuer with PKCE, state, nonce and one callback address"):
        answer = ask("/oauth2/start?rd=/")
        asked = {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
        assert asked["code_challenge_method"] == "S256" and asked["nonce"] and asked["state"], asked
        assert asked["redirect_uri"] == f"https://auth.{SITE}/oauth2/callback", asked
    with probes.works("its cookies are Secure and HttpOnly"):
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Secure-") and all(
            word in cookie for word in ("; HttpOnly", "; Secure", "; SameSite=Lax")
        ), cookie
    with probes.refused("a request without a session", Refused, "401"):
        ask("/oauth2/auth")
    forged = {"X-Forwarded-User": "mallory", "X-Auth-Request-User": "mallory", "X-Forwarded-Email": "m@x"}
    with probes.refused("a request with forged user headers", Refused, "401"):
        ask("/oauth2/auth", **forged)
    with probes.refused("an unsigned token", Refused, "403"):
        ask("/oauth2/auth", Authorization="Bearer e30.e30.e30")
    with probes.refused("an unknown code", Refused, "403", "500"):
        ask("/oauth2/callback?code=1&state=1")
    with probes.works("any other page redirects to the issuer too"):
        assert "/authorize?" in ask("/").headers["Location"]


if __name__ == "__main__":
    running = Probes()
    patiently(lambda: ask("/ready"), urllib3.exceptions.HTTPError, Refused)
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": probe}[act](running)
    running.end()
