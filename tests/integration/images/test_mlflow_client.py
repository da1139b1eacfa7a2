"""MLflow's own client, as pip installs it, with the provider of the image `python`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from tests import ROOT
from tests.fakes.served import served

pytestmark = pytest.mark.integration

IMAGE = ROOT / "images/python"
CLIENT = """
import sys, mlflow
from pathlib import Path
client = mlflow.MlflowClient(tracking_uri=sys.argv[1])
for token in ("first", "second"):
    Path(sys.argv[2]).write_text(token + "\\n")
    client.search_experiments()
"""


@contextmanager
def server() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A tracking server without experiments: its address, and path and token of each request."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append((self.path, self.headers.get("Authorization", "")))
            body = json.dumps({"experiments": [], "store_type": "", "workspaces_enabled": True}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as made, served(made):
        yield f"http://127.0.0.1:{made.server_port}", seen


def installed(folder: Path) -> Path:
    """The provider's files as in the image."""
    recipe = yaml.safe_load((IMAGE / "image.yaml").read_text())
    for place, source in recipe["files"].items():
        target = folder / Path(place).name
        if (IMAGE / source).is_dir():
            shutil.copytree(IMAGE / source, target)
        else:
            shutil.copy(IMAGE / source, target)
    return folder


def run(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(installed(folder)),
        "MLFLOW_TRACKING_AUTH": "platform",
        "PLATFORM_MLFLOW_TOKEN": str(folder / "token"),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    return subprocess.run(
        [sys.executable, "-c", *argv], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_client_sends_the_token_of_now_with_every_request(tmp_path: Path) -> None:
    with server() as (address, seen):
        done = run(tmp_path, CLIENT, address, str(tmp_path / "token"))
    assert done.returncode == 0, done.stderr
    found = [token for path, token in seen if "experiments/search" in path]
    assert found == ["Bearer first", "Bearer second"], (seen, done.stderr)
    assert "Could not find any registered plugin" not in done.stderr


def test_missing_token_names_the_file(tmp_path: Path) -> None:
    done = run(tmp_path, "import platform_mlflow; platform_mlflow.token()")
    assert f"no token for MLflow: {tmp_path / 'token'} is not there" in done.stderr
