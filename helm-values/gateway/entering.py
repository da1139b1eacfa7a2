"""Shared by the smoke tests of the gateway: users, UIs and the login."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from browser import Answer, Browser

GATEWAY, SECRETS = os.environ["GATEWAY"], Path(os.environ.get("SECRETS", "/run/secrets"))
PLAN: dict[str, Any] = json.loads(Path(__file__).with_name("routes.json").read_text())
SITE, DOMAIN = PLAN["site"], PLAN["domain"]
AUTHORITY = str(SECRETS / "certificate/ca.crt")
OWN = f"https://auth.{SITE}"
# '' with another issuer: then the smoke test can neither make users nor log in.
ISSUER = next((f"https://{r['host']}.{SITE}" for r in PLAN["routes"] if r["logoutPage"]), "")
login: Any = importlib.import_module("login") if ISSUER else None  # comes with a component that is an issuer
# Those that are installed after the gateway have tests of their own.
CLOSED = [r for r in PLAN["routes"] if not (r["public"] or r["late"])]
SESSION = "__Secure-mlops_platform"


def people() -> dict[str, dict[str, str]]:
    """The test's users by group; '' is the one without a group."""
    found: dict[str, dict[str, str]] = json.loads((SECRETS / "people/people.json").read_text())
    return found


def door(group: str) -> str:
    """The URL of a page that a group may open: without a UI, the gateway's own page for signed-in users."""
    return next((url(route) for route in CLOSED if group in route["groups"]), f"{OWN}/whoami")


def url(route: Mapping[str, Any], path: str = "/") -> str:
    return f"https://{route['host']}.{SITE}{path}" if route["host"] else f"https://{SITE}{path}"


def browser() -> Browser:
    return Browser(GATEWAY, AUTHORITY)


def enter(who: Browser, person: Mapping[str, str], page: str) -> Answer:
    """Log in from a page at the issuer, up to the redirect with the code. Returns its URL."""
    led = who.page(page)
    assert led.status == 302 and led.location.startswith(ISSUER), (led.status, led.location)
    back = login.consent(who, led.location, token(who, person))
    return who.page(back)


def token(who: Browser, person: Mapping[str, str]) -> str:
    return str(login.token_of(who, ISSUER, person["name"], person["password"]))


def bearer(person: Mapping[str, str], role: str = "machine") -> str:
    who = browser()
    return str(login.machine_token(who, ISSUER, token(who, person), role))


def whoami(who: Browser, **headers: str) -> dict[str, str]:
    lines = who.must(f"{OWN}/whoami", headers=headers).text.splitlines()
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}
