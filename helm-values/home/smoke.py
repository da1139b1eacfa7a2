"""Smoke test of the home page, through the gateway, with logins of people who exist for this test.

The project PROJECT exists for this test: data-scientists have `edit` in it, viewers `view`, administrators
nothing.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from apiserver import PROJECT
from browser import PAGE, Browser, Refused
from probes import Probes, patiently

SITE, GATEWAY, INSIDE = (os.environ[name] for name in ("SITE", "GATEWAY", "INSIDE"))
HOME = f"https://{SITE}"
MEMBER, VIEWER, ADMINISTRATOR = "data-scientists", "viewers", "platform-admins"
_HERE = Path(__file__).parent
_UIS = [each["name"] for each in json.loads((_HERE / "catalogue.json").read_text())["uis"]]
_LARGEST = 60_000  # bytes of the page with its files


class NotYetError(Exception):
    """A list that the page cannot read yet."""


def people() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(Path("/run/secrets/people/people.json").read_text())
    return found


def browser() -> Browser:
    return Browser(GATEWAY, str(_HERE / "authority.crt"))


def enter(who: Browser, person: Mapping[str, str]) -> None:
    """Log in from the home page, and come back to it."""
    login: Any = importlib.import_module("login")  # of the component that is the issuer
    led = who.page(f"{HOME}/")
    issuer = "://".join(urlsplit(led.location)[:2])
    token = login.token_of(who, issuer, person["name"], person["password"])
    back = who.page(login.consent(who, led.location, token))
    assert back.status == 302 and back.location == f"{HOME}/", (back.status, back.location)


def probe(probes: Probes) -> None:
    strangers(probes)
    known = people()
    if not known:  # another issuer: the test cannot log in
        return
    member = browser()
    with probes.works("a member logs in, and gets a page of at most 60 kB without inline scripts"):
        enter(member, known[MEMBER])
        answers = [member.page(f"{HOME}{path}") for path in ("/", "/home.css", "/home.js", "/icon.svg")]
        assert sum(len(each.body) for each in answers) <= _LARGEST
        policies = {each.headers["Content-Security-Policy"] for each in answers}
        assert all("default-src 'none'" in each and "unsafe" not in each for each in policies), policies
        assert "<style" not in answers[0].text and "<script>" not in answers[0].text
    with probes.works("it has every UI with its state, and the project with the role and the quota"):
        patiently(lambda: overview(member, "edit"), NotYetError, Refused)
    with probes.works("the account of the page may read every list of the project"):
        patiently(lambda: lists(member), NotYetError, Refused)
    with probes.refused("a project of others, for a member", Refused, "403"):
        member.must(f"{HOME}/v1/projects/kube-system")
    with probes.refused("a question of a page of another address", Refused, "403"):
        member.must(f"{HOME}/v1/home", headers={"Sec-Fetch-Site": "same-site"})
    others(probes, known)


def others(probes: Probes, known: Mapping[str, Mapping[str, str]]) -> None:
    viewer, stranger = browser(), browser()
    with probes.works("a member with `view` sees the same project with this role"):
        enter(viewer, known[VIEWER])
        patiently(lambda: overview(viewer, "view"), NotYetError, Refused)
    with probes.works("a person who is no member sees no project"):
        enter(stranger, known[ADMINISTRATOR])
        seen = stranger.must(f"{HOME}/v1/home").json
        assert seen["uis"] and PROJECT not in [each["name"] for each in seen["projects"]], seen
    with probes.refused("the project, for a person who is no member", Refused, "403"):
        stranger.must(f"{HOME}/v1/projects/{PROJECT}")


def strangers(probes: Probes) -> None:
    with probes.works("the home page leads a stranger to the login"):
        led = browser().page(f"{HOME}/")
        assert led.status == 302 and urlsplit(led.location).hostname, led.status
    with probes.refused("a question without login", Refused, "401"):
        browser().must(f"{HOME}/v1/home")
    forged = {"X-Forwarded-User": "mallory", "X-Forwarded-Groups": MEMBER, "X-Platform-Proxy": "guess"}
    for name, headers in (
        ("headers of the gateway with a wrong secret", forged),
        ("headers of the gateway without a secret", {**forged, "X-Platform-Proxy": ""}),
        ("a bearer token", {"Authorization": "Bearer guess"}),
    ):
        with probes.refused(f"{name}, past the gateway", Refused, "401"):
            past(headers)


def past(headers: Mapping[str, str]) -> None:
    """Ask the server itself, past the gateway."""
    answer = urllib3.request("GET", f"http://{INSIDE}/v1/home", headers=headers, retries=False, timeout=10)
    if answer.status >= 400:
        raise Refused(f"{answer.status} {answer.data[:200].decode()}")


def overview(who: Browser, role: str) -> None:
    """Raise NotYetError unless every UI is there, and the project with its quota.

    Some UIs may be installed after this test.
    """
    seen = who.must(f"{HOME}/v1/home").json
    states = {each["name"]: each["state"] for each in seen["uis"]}
    mine = next((each for each in seen["projects"] if each["name"] == PROJECT), None)
    if set(states) != set(_UIS) or "unknown" in states.values() or "ready" not in states.values():
        raise NotYetError(f"UIs: {states}, of {_UIS}")
    if not mine or mine["role"] != role or not mine["quota"]:
        raise NotYetError(f"project: {mine}")


def lists(who: Browser) -> None:
    """Raise NotYetError if a list is denied: the rights in a new project may not be there yet.

    A kind of a component that is installed after this test is not there: 404.
    """
    seen = who.must(f"{HOME}/v1/projects/{PROJECT}").json
    unread = {each["title"]: each["why"] for each in seen["lists"] if each["why"]}
    if any(not each.endswith(" 404") for each in unread.values()):
        raise NotYetError(str(unread))


def read(probes: Probes) -> None:
    """The page answers again after its pods were deleted."""
    with probes.works("the page answers after its pods were replaced"):
        who = browser()
        if known := people():
            enter(who, known[MEMBER])
            patiently(lambda: overview(who, "edit"), NotYetError, Refused)
        else:
            assert who.page(f"{HOME}/").status == 302
    with probes.refused("a question without login, after that", Refused, "401"):
        browser().must(f"{HOME}/v1/home")


if __name__ == "__main__":
    running = Probes()
    patiently(lambda: browser().ask(f"{HOME}/", headers=PAGE), OSError, urllib3.exceptions.HTTPError)
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": read}[act](running)
    running.end()
