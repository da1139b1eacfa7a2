"""Smoke test of the gateway: real logins work, and every way around the login is rejected.

The installer creates users for this run, one per group and one without a group, and removes them afterwards.
With an external issuer there are none, and only requests without login are tested.
"""

from __future__ import annotations

import sys
from urllib.parse import parse_qs, urlsplit

import attacks
import urllib3
from browser import PAGE, Refused
from entering import (
    CLOSED,
    DOMAIN,
    ISSUER,
    OWN,
    PLAN,
    SESSION,
    SITE,
    browser,
    door,
    enter,
    login,
    people,
    token,
    url,
)
from probes import Probes, patiently


def probe(probes: Probes) -> None:
    attacks.transport(probes)
    _strangers(probes)
    if not ISSUER:
        return
    _login(probes)
    attacks.codes(probes)
    attacks.forgeries(probes)
    attacks.bearers(probes)
    _leaving(probes)


def _strangers(probes: Probes) -> None:
    for route in CLOSED:
        with probes.works(
            f"{route['host']}: a page leads a stranger to the issuer, with PKCE, state and nonce"
        ):
            led = browser().page(url(route, "/some/page?and=query"))
            asked = {k: v[0] for k, v in parse_qs(urlsplit(led.location).query).items()}
            assert led.location.startswith(ISSUER), led.location
            assert asked["code_challenge_method"] == "S256" and asked["code_challenge"], asked
            assert asked["state"] and asked["nonce"] and asked["response_type"] == "code", asked
        with probes.refused(f"{route['host']}: a request without login, not for a page", Refused, "401"):
            browser().must(url(route))
        with probes.refused(f"{route['host']}: a write without login", Refused, "401"):
            browser().must(url(route), "POST", data={})
        if route["ownTokens"]:
            with probes.refused(f"{route['host']}: a token that it does not know either", Refused, "401"):
                browser().must(url(route), headers={"Authorization": "Bearer nonsense"})
        for path in route["bearerPaths"]:
            with probes.refused(f"{route['host']}: {path} without a header to check", Refused, "401"):
                browser().must(url(route, path))
    with probes.works(
        "an unknown name below the domain: a page, with a link to the home page if there is one"
    ):
        unknown = browser().ask(f"https://nothing.{SITE}/", headers=PAGE)
        linked = f'href="https://{SITE}/"' in unknown.text
        assert unknown.status == 404 and "Nothing has this name" in unknown.text, unknown.status
        assert linked == any(not route["host"] for route in PLAN["routes"]), unknown.text
    for route in (r for r in PLAN["routes"] if r["public"]):
        for path in ("/nothing", "/..%2f", "/%2e%2e/nothing"):
            with probes.refused(f"{route['host']}: {path}, which is not public", Refused, "40"):
                browser().must(url(route, path))


def _login(probes: Probes) -> None:
    person, without_group = people()["data-scientists"], people()[""]
    page = door("data-scientists")
    with probes.works("a login by authorization code ends at the requested page"):
        who = browser()
        done = enter(who, person, f"{page}?from=login")
        assert done.status == 302 and done.location == f"{page}?from=login", (done.status, done.location)
        assert who.page(done.location).status < 400
    with probes.works("a login at one UI is valid at all UIs"):
        for other in (r for r in CLOSED if "data-scientists" in r["groups"]):
            assert not who.page(url(other)).location.startswith(ISSUER), other["host"]
    for other in (r for r in CLOSED if "data-scientists" not in r["groups"]):
        with probes.refused(f"{other['host']}: a user of another group", Refused, "403"):
            who.page(url(other))
    with probes.refused("a wrong password", Refused, "400"):
        login.token_of(browser(), ISSUER, person["name"], "wrong-" + person["password"])
    with probes.refused("a code for a user without a group", Refused, "access_denied"):
        enter(browser(), without_group, page)
    with probes.refused(
        "a write led here by a page of another host, with the person's cookie", Refused, "403"
    ):
        who.must(page, "POST", data={}, headers={"Origin": f"https://elsewhere.{SITE}"})
    with probes.refused("a changed session cookie", Refused, "401"):
        thief = who.copy()
        held = thief.cookies[DOMAIN]
        held[SESSION] = held[SESSION][:12] + ("A" if held[SESSION][12] != "A" else "B") + held[SESSION][13:]
        thief.must(page)


def _leaving(probes: Probes) -> None:
    person, page = people()["viewers"], door("viewers")
    who = browser()
    with probes.works("the sign-out ends the session and clears the data of UIs"):
        enter(who, person, page)
        stolen = who.copy()
        stolen.must(page)
        led = who.page(f"{OWN}/sign-out")
        assert led.status == 302 and led.location == f"{ISSUER}/sign-out", led.location
        assert led.headers.get("Clear-Site-Data") == '"cookies"', led.headers
        assert SESSION not in who.cookies.get(DOMAIN, {}), who.cookies
        assert "<script>" in who.page(led.location).text
    with probes.refused("a copy of the cookie after the sign-out", Refused, "401"):
        stolen.must(page)
    with probes.refused("the issuer's token after the sign-out", Refused, "403"):
        kept = token(who, person)
        login.forget(who, ISSUER, kept)
        login.machine_token(who, ISSUER, kept)
    for route in CLOSED:
        for path in route["logoutPaths"]:
            with probes.works(f"{route['host']}: its own sign-out is that of the gateway"):
                assert browser().page(url(route, path)).location == f"{OWN}/sign-out"


if __name__ == "__main__":
    running = Probes()
    patiently(lambda: browser().ask(f"{OWN}/", headers=PAGE), OSError, urllib3.exceptions.HTTPError)
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": _login if ISSUER else _strangers}[act](running)
    running.end()
