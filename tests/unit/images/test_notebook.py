"""The image of notebooks: its packages, no second version of one of them, and the extension of its server."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from tornado.httpclient import HTTPClientError

from tests import ROOT
from tests.unit.helm_values.pods import modules


def pins(path: str) -> dict[str, str]:
    text = (ROOT / path).read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def test_no_package_of_the_bases_is_installed_again() -> None:
    """Its layer would hide the version of training and serving."""
    own = pins("images/notebook/requirements.txt").keys()
    assert not own & pins("images/ml/requirements.txt").keys()
    assert not own & pins("images/pipeline/requirements.txt").keys()


def test_overridden_versions_are_those_of_the_base() -> None:
    base, overridden = pins("images/ml/requirements.txt"), pins("images/notebook/overrides.txt")
    assert overridden and {name: base[name] for name in overridden} == overridden


def test_server_program_has_the_version_of_the_hub() -> None:
    name = "jupyterhub"
    hub = pins("helm-values/jupyterhub/requirements.txt")[name]
    assert pins("images/notebook/requirements.txt")[name] == hub


@pytest.fixture(scope="module")
def extension() -> Iterator[ModuleType]:
    with modules(ROOT / "images/notebook", ["platform_notebook"]) as found:
        yield found["platform_notebook"]


@pytest.mark.parametrize(
    ("states", "counts"), [(["idle", "busy"], True), (["idle", "starting"], False), ([], False)]
)
def test_busy_kernel_counts_as_activity(extension: ModuleType, states: list[str], counts: bool) -> None:
    kernels = [{"id": str(index), "execution_state": state} for index, state in enumerate(states)]
    times: dict[str, datetime] = {}
    extension.note(
        SimpleNamespace(
            kernel_manager=SimpleNamespace(list_kernels=lambda: kernels),
            web_app=SimpleNamespace(settings={"last_activity_times": times}),
        )
    )
    assert bool(times) == counts
    assert all((datetime.now(UTC) - each).total_seconds() < 60 for each in times.values())


def test_page_has_no_token_of_the_server(extension: ModuleType) -> None:
    """A browser that sends it gets 403 of the gateway: a script would not notice."""
    settings = {"page_config_data": {"token": "of-the-server", "appName": "JupyterLab"}}
    extension.forget_token(settings)
    assert settings == {"page_config_data": {"token": "", "appName": "JupyterLab"}}


class Hub(BaseHTTPRequestHandler):
    """A hub that gives a token to the notebook's own token only."""

    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == "token own" and self.path.endswith("?audience=store")
        body = b'{"token": "of-the-project"}' if allowed else b"{}"
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def test_token_for_the_data_is_stored_for_the_owner_only(
    extension: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    file = tmp_path / "platform/data-token"
    monkeypatch.setenv("JUPYTERHUB_API_URL", f"http://127.0.0.1:{server.server_port}/hub/api")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "own")
    monkeypatch.setenv("DATA_TOKEN_AUDIENCE", "store")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(file))
    try:
        asyncio.run(extension.store_token())
        assert file.read_text() == "of-the-project"
        assert file.stat().st_mode & 0o777 == 0o600
        monkeypatch.setenv("DATA_TOKEN_AUDIENCE", "api")
        with pytest.raises(HTTPClientError, match="403"):
            asyncio.run(extension.store_token())
        assert file.read_text() == "of-the-project"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
