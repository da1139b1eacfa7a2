"""Attacks on the gateway: old TLS, forged names, foreign tokens, parts of a login."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3
from browser import Answer, Refused
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15
from entering import (
    AUTHORITY,
    DOMAIN,
    GATEWAY,
    OWN,
    SESSION,
    SITE,
    bearer,
    browser,
    door,
    enter,
    login,
    people,
    token,
    whoami,
)
from probes import Probes, patiently

FORGED = {
    **{
        f"X-Forwarded-{n}": "mallory" for n in ("User", "Preferred-Username", "Email", "Access-Token", "Host")
    },
    **{f"X-Auth-Request-{n}": "mallory" for n in ("User", "Preferred-Username", "Email", "Groups")},
    **dict.fromkeys(
        ("Remote-User", "X-Remote-User", "X-Webauth-User", "Kubeflow-Userid", "Proxy"), "mallory"
    ),
    **dict.fromkeys(
        ("X_Forwarded_User", "X_Auth_Request_User", "Remote_User", "X_Platform_Proxy"), "mallory"
    ),
    **dict.fromkeys(("X_Forwarded_Groups", "X-Forwarded-Groups"), "platform-admins"),
    "X-Platform-Proxy": "mallory",
    "X-Real-IP": "mallory",
    "X-Original-URL": "/mallory",
    "Forwarded": "for=mallory",
}


def transport(probes: Probes) -> None:
    host, _, port = GATEWAY.rpartition(":")

    def hello(name: str, context: ssl.SSLContext) -> ssl.SSLSocket:
        return context.wrap_socket(socket.create_connection((host, int(port)), 10), server_hostname=name)

    with probes.works("TLS 1.3 and HTTP/2, with a certificate of this environment's CA"):
        modern = ssl.create_default_context(cafile=AUTHORITY)
        modern.set_alpn_protocols(["h2", "http/1.1"])
        with hello(f"auth.{DOMAIN}", modern) as open_:
            assert (open_.version(), open_.selected_alpn_protocol()) == ("TLSv1.3", "h2"), open_.version()
    with probes.refused("a client without the CA", ssl.SSLCertVerificationError):
        hello(f"auth.{DOMAIN}", ssl.create_default_context())
    with probes.refused("the certificate for a foreign name", ssl.SSLCertVerificationError, "mismatch"):
        hello("mlops.example.com", ssl.create_default_context(cafile=AUTHORITY))
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = version
        with probes.refused(version.name.replace("_", "."), ssl.SSLError, "PROTOCOL_VERSION"):
            hello(f"auth.{DOMAIN}", old)
    with probes.refused("plain HTTP", Refused, "400"), urllib3.PoolManager(retries=False) as plain:
        answer = plain.request("GET", f"http://{GATEWAY}/", headers={"Host": f"auth.{SITE}"})
        raise Refused(str(answer.status))
    with probes.refused("a known TLS server name with a foreign Host header", Refused, "421"):
        browser().must(f"{OWN}/whoami", headers={"Host": "mlops.example.com"})


def codes(probes: Probes) -> None:
    """Try parts of a login: codes, verifiers, cookies."""
    person, page = people()["viewers"], door("viewers")
    with probes.refused("a code that was used already", Refused, "403", "500"):
        who = browser()
        back = login.consent(who, who.page(page).location, token(who, person))
        again = who.copy()  # with the cookie that goes with the code
        assert who.page(back).status == 302
        again.page(back)
    with probes.refused("a code in another browser", Refused, "403"):
        who = browser()
        back = login.consent(who, who.page(page).location, token(who, person))
        browser().page(back)
    with probes.refused("a code with the verifier of another login", Refused, "500", "403"):
        who = browser()
        first = login.consent(who, who.page(page).location, token(who, person))
        second = login.consent(who, who.page(page).location, token(who, person))
        code = parse_qs(urlsplit(first).query)["code"][0]
        state = urlsplit(second).query.partition("state=")[2]
        who.page(f"{OWN}/oauth2/callback?code={code}&state={state}")
    with probes.works("a login redirects to no foreign page"):
        who = browser()
        led = who.page(f"{OWN}/oauth2/start?rd=https://evil.example.com/")
        done = who.page(login.consent(who, led.location, token(who, person)))
        assert done.location == f"{OWN}/", done.location


def forgeries(probes: Probes) -> None:
    person = people()["data-scientists"]
    with probes.works("a UI gets the user's name, e-mail and groups"):
        who = browser()
        enter(who, person, f"{OWN}/whoami")
        shown = whoami(who)
        assert shown["X-Forwarded-User"] == shown["X-Forwarded-Preferred-Username"] == person["name"], shown
        assert shown["X-Forwarded-Groups"] == "data-scientists" and "@" in shown["X-Forwarded-Email"], shown
    with probes.works("forged headers do not arrive, with underscores neither"):
        forged = whoami(who, **FORGED)
        assert "mallory" not in str(forged) and "platform-admins" not in str(forged), forged
        assert {k: v for k, v in forged.items() if v} == {k: v for k, v in shown.items() if v}, forged
    with probes.works("the session cookie stays at the gateway, a UI's own cookie arrives"):
        who.cookies[f"auth.{DOMAIN}"] = {"theirs": "1"}
        kept = whoami(who)["Cookie"]
        assert "theirs=1" in kept and SESSION + "=" not in kept, kept


def bearers(probes: Probes) -> None:
    person, page = people()["data-scientists"], door("data-scientists")

    def ask(value: str) -> Answer:
        return browser().must(f"{OWN}/whoami", headers={"Authorization": f"Bearer {value}"})

    with probes.works("a machine logs in with a bearer token, which is not passed on"):
        good = bearer(person)
        shown = ask(good).text
        assert f"X-Forwarded-User: {person['name']}\n" in shown and good not in shown, shown
        assert browser().must(page, headers={"Authorization": f"Bearer {good}"})
    with probes.refused("the token of a user without a group", Refused, "403"):
        ask(bearer(people()[""]))
    with probes.refused("a token that has expired", Refused, "403"):
        brief = bearer(person, "smoke-brief")
        ends = json.loads(base64.urlsafe_b64decode(brief.split(".")[1] + "=="))["exp"]
        patiently(lambda: _past(ends), TooEarly)
        ask(brief)
    with probes.refused("a token for another audience", Refused, "403"):
        ask(bearer(person, "smoke-foreign"))
    head, body, sign = good.split(".")
    with probes.refused("a token without a signature (alg none)", Refused, "403"):
        ask(f"{_part({'alg': 'none', 'typ': 'JWT'})}.{body}.")
    with probes.refused("a token signed with another key in the issuer's name", Refused, "403"):
        ask(f"{head}.{body}.{_signed(f'{head}.{body}')}")
    with probes.refused("a token with changed groups and the old signature", Refused, "403"):
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        ask(f"{head}.{_part({**claims, 'groups': ['platform-admins']})}.{sign}")
    with probes.refused("nonsense as a token", Refused, "403"):
        ask("nonsense")
    with probes.refused("a password instead of a token", Refused, "403"):
        pair = base64.b64encode(f"{person['name']}:{person['password']}".encode()).decode()
        browser().must(f"{OWN}/whoami", headers={"Authorization": f"Basic {pair}"})


class TooEarly(Exception):
    pass


def _past(moment: float) -> None:
    if time.time() < moment + 1:
        raise TooEarly


def _part(data: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def _signed(text: str) -> str:
    made = pkcs1_15.new(RSA.generate(2048)).sign(SHA256.new(text.encode()))
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
