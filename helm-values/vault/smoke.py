"""Smoke test of Vault: secrets are stored, it unseals itself, foreign access is rejected."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any

import platform_vault
from platform_vault import Refused, login
from probes import Probes, patiently

os.environ["VAULT_ADDR"] = os.environ["URL"]
OWN = f"secret/data/platform/{platform_vault.component()}"
DENIED = "403"


def ask(method: str, path: str, body: object = None, token: str = "") -> dict[str, Any]:
    """Send a request as platform_vault does, with any token; an empty answer is {}."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {"X-Vault-Token": token} if token else {}
    request = urllib.request.Request(f"{os.environ['URL']}/v1/{path}", data, headers, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
            return json.loads(answer.read() or b"{}")  # type: ignore[no-any-return]
    except urllib.error.HTTPError as error:
        raise Refused(error.code, error.read().decode(errors="replace").strip()) from error


def enter(role: str) -> str:
    """Log in with this pod's service account, as `role`."""
    token: str = ask("POST", "auth/kubernetes/login", {"role": role, "jwt": platform_vault._identity()})[
        "auth"
    ]["client_token"]
    return token


def probe(probes: Probes) -> None:
    _keeps(probes)
    _strangers(probes)
    _foreign(probes)
    _ends(probes)


def _keeps(probes: Probes) -> None:
    with probes.works(f"it is OpenBao {os.environ['VERSION']}, initialized and unsealed"):
        said = ask("GET", "sys/seal-status")
        assert said["version"] == os.environ["VERSION"], said["version"]
        assert said["initialized"] and not said["sealed"], said
    with probes.works("a pod logs in with its service account, for ten minutes at most"):
        auth = ask("POST", "auth/kubernetes/login", _own_login())["auth"]
        assert auth["lease_duration"] <= 600 and "root" not in auth["policies"], auth["policies"]
    with probes.works("a secret is read back, and its first version too"):
        for value in ("one", "two"):
            ask("POST", f"{OWN}/smoke", {"data": {"value": value}}, login())
        newest = platform_vault.read(f"{OWN}/smoke")
        first = platform_vault.read(f"{OWN}/smoke?version={newest['metadata']['version'] - 1}")
        assert (first["data"]["value"], newest["data"]["value"]) == ("one", "two")
    with probes.works("a removed secret is gone"):
        ask("DELETE", f"{OWN.replace('/data/', '/metadata/')}/smoke", token=login())
        try:
            platform_vault.read(f"{OWN}/smoke")
        except Refused as error:
            assert error.status == 404, error
        else:
            raise AssertionError("it is still there")


def _own_login() -> dict[str, str]:
    return {"role": platform_vault.component(), "jwt": platform_vault._identity()}


def _strangers(probes: Probes) -> None:
    """Try requests without a token and with an unknown token."""
    with probes.refused("reading without a token", Refused, DENIED):
        ask("GET", f"{OWN}/smoke")
    with probes.refused("reading with an unknown token", Refused, DENIED):
        ask("GET", f"{OWN}/smoke", token="s.AAAAAAAAAAAAAAAAAAAAAAAA")  # noqa: S106
    with probes.refused("initialising it again", Refused, "already initialized"):
        ask("PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})
    with probes.refused("creating a root token", Refused, "400", "403", "404", "405"):
        ask("PUT", "sys/generate-root/attempt", {})
    with probes.refused("a login without a token of the cluster", Refused, "400", DENIED):
        ask("POST", "auth/kubernetes/login", {**_own_login(), "jwt": "nothing"})
    with probes.refused("a login with a token with a foreign signature", Refused, "400", DENIED):
        head, body, signature = platform_vault._identity().split(".")
        forged = ".".join([head, body, signature[::-1]])
        ask("POST", "auth/kubernetes/login", {**_own_login(), "jwt": forged})


def _foreign(probes: Probes) -> None:
    """Try this pod's token on foreign paths."""
    with probes.refused("a login as the installer", Refused, "400", DENIED):
        enter("mlops-platform")
    with probes.refused("a login in an unknown role", Refused, "400", DENIED):
        enter("unknown")
    for what, path in (
        ("another component's secrets", "secret/data/platform/other/admin"),
        ("names of secrets", "secret/metadata/platform?list=true"),
        ("policies", "sys/policies/acl/mlops-platform"),
        ("who is in the store", "sys/auth"),
        ("a backup of everything", "sys/storage/raft/snapshot"),
        ("another component's database password", "database/static-creds/other"),
    ):
        with probes.refused(f"reading {what}", Refused, DENIED):
            ask("GET", path, token=login())
    with probes.refused("writing another component's secrets", Refused, DENIED):
        ask("POST", "secret/data/platform/other/admin", {"data": {"password": "mine"}}, login())
    with probes.refused("sealing it", Refused, DENIED):
        ask("PUT", "sys/seal", {}, login())


def _ends(probes: Probes) -> None:
    """Check that a revoked token no longer works."""
    ask("POST", f"{OWN}/smoke", {"data": {"value": "here"}}, login())
    token = enter(platform_vault.component())
    with probes.works("a token works until it is revoked"):
        ask("GET", f"{OWN}/smoke", token=token)
        ask("POST", "auth/token/revoke-self", {}, token)
    with probes.refused("a token that was revoked", Refused, DENIED):
        ask("GET", f"{OWN}/smoke", token=token)
    ask("DELETE", f"{OWN.replace('/data/', '/metadata/')}/smoke", token=login())


def write(probes: Probes) -> None:
    with probes.works("a secret is acknowledged, then the pod is deleted"):
        ask("POST", f"{OWN}/kept", {"data": {"value": os.environ["RUN"]}}, login())


def read(probes: Probes) -> None:
    with probes.works("it unsealed itself, and no secret is lost"):
        found = platform_vault.read(f"{OWN}/kept")["data"]["value"]
        assert found == os.environ["RUN"], "another value"
        ask("DELETE", f"{OWN.replace('/data/', '/metadata/')}/kept", token=login())


if __name__ == "__main__":
    running = Probes()
    patiently(lambda: ask("GET", "sys/seal-status"), OSError, Refused)
    for act in sys.argv[1:]:
        {"probe": probe, "write": write, "read": read}[act](running)
    running.end()
