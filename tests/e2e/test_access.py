"""Login and sign-out with a real browser: the login page, every UI, sign-out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.browser import Window, chromium
from tests.e2e.conftest import WORKSPACE
from tests.e2e.platform import Platform

pytestmark = pytest.mark.e2e

NAME = "ada"


@pytest.fixture(scope="module")
def password(platform: Platform, machine: None) -> Iterator[str]:
    """Password of a user of this module."""
    made = platform.ok("user", "add", NAME, "--group", "data-scientists", "--output", "json").envelope
    yield made["data"]["password"]
    platform.ok("user", "remove", NAME)


@pytest.fixture(scope="module")
def uis(platform: Platform) -> dict[str, str]:
    """Addresses of all UIs by component, as `up` prints them."""
    said = platform.ok("up", "--yes", "--output", "json").envelope["data"]["endpoints"]
    return {door["what"]: door["where"] for door in said if door["where"].startswith("https://")}


def log_in(window: Window, password: str) -> None:
    window.field("input[name=username]").send_keys(NAME)
    window.field("input[name=password]").send_keys(password)
    window.field("button[type=submit]").click()


def test_one_login_opens_every_ui_and_sign_out_closes_all(
    platform: Platform, password: str, uis: dict[str, str], tmp_path: Path
) -> None:
    """Screenshots are in the test's folder evidence/."""
    hosts = {name: urlsplit(where).hostname or "" for name, where in uis.items()}
    domain = hosts["mlflow"].partition(".")[2]
    with platform.opened("mlflow") as url, chromium(tmp_path, platform.state / "authority.crt") as window:
        window.go(url)
        window.at(f"login.{domain}")
        window.keep("login")
        log_in(window, password)
        window.at(hosts["mlflow"])
        window.says("Select a workspace")
        window.go(f"{url}/#/experiments?workspace={WORKSPACE}")
        window.says("Experiments")
        window.keep("mlflow")
        for name in sorted(set(uis) - {"mlflow"}):
            window.go(uis[name])
            window.at(hosts[name])
            window.says(MARKS[name])
            window.keep(name)
        site = urlsplit(url).netloc.partition(".")[2]
        window.go(f"https://nothing.{site}/")
        window.says("Nothing has this name")
        window.field("a").click()
        window.at(domain)
        window.go(f"https://auth.{site}/whoami")
        window.says(f"X-Forwarded-User: {NAME}")
        window.go(f"https://auth.{site}/sign-out")
        window.at(f"login.{domain}")
        window.says("You are signed out.")
        window.keep("signed-out")
        for (
            name,
            where,
        ) in uis.items():  # the login page appears: neither the UI nor the issuer has a session
            window.go(where)
            window.at(f"login.{domain}")
            window.field("input[name=password]")
            assert "__Secure-mlops_platform" not in {c["name"] for c in window.driver.get_cookies()}, name


MARKS = {
    "airflow": "Dags",
    "home": "experiments, models and traces",
    "job-logs": "Logs of jobs",
    "model-routes": "no project has this name",
}
