"""The credential plugin of kubectl: kept logins, their end, wrong arguments."""

from __future__ import annotations

import io
import json
import time
from base64 import b64encode
from pathlib import Path

import pytest
from mlops_platform.adapters.oidc import Token
from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.commands import kubeconfig
from mlops_platform.console import Console

ISSUER, CLIENT = "https://127.0.0.1:9/issuer", "client"
AUTHORITY = b64encode(b"").decode()


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path))
    return Console("kubernetes-login", "test", out=io.StringIO(), err=io.StringIO())


def keep(seconds: float) -> Path:
    path = kubeconfig._cache("test", ISSUER, CLIENT)
    kubeconfig._keep(path, Token("a.b.c", int(time.time() + seconds)))
    return path


def test_kept_login_is_printed_as_a_credential(console: Console) -> None:
    path = keep(600)
    assert kubeconfig.login(console, ISSUER, CLIENT, AUTHORITY) == 0
    assert isinstance(console._out, io.StringIO)
    credential = json.loads(console._out.getvalue())
    assert credential["kind"] == "ExecCredential"
    assert credential["apiVersion"] == "client.authentication.k8s.io/v1"
    assert credential["status"]["token"] == "a.b.c"
    assert credential["status"]["expirationTimestamp"].endswith("+00:00")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("seconds", [-1, 30])
def test_login_that_ends_soon_is_not_used(console: Console, seconds: float) -> None:
    keep(seconds)
    with pytest.raises(StepError, match="does not answer"):  # it logs in again
        kubeconfig.login(console, ISSUER, CLIENT, AUTHORITY)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"text": 1}', "\ufffd"])
def test_damaged_file_is_no_login(console: Console, text: str) -> None:
    path = keep(600)
    path.write_text(text)
    assert kubeconfig._kept(path) is None


def test_login_at_another_client_is_not_used(console: Console) -> None:
    keep(600)
    with pytest.raises(StepError, match="does not answer"):
        kubeconfig.login(console, ISSUER, "another", AUTHORITY)


@pytest.mark.parametrize("authority", ["?", b64encode(b"\xff\xfe").decode(), b64encode(b"no PEM").decode()])
def test_authority_that_is_no_certificate_is_refused(console: Console, authority: str) -> None:
    with pytest.raises(UsageError, match="--authority"):
        kubeconfig.login(console, ISSUER, CLIENT, authority)


@pytest.mark.parametrize(("user", "stdin"), [("ann", False), ("", True)])
def test_user_and_password_go_together(console: Console, user: str, stdin: bool) -> None:
    with pytest.raises(UsageError, match="go together"):
        kubeconfig.for_project(console, "churn", user, stdin=stdin)
