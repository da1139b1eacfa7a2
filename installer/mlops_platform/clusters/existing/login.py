"""Owns tokens of a kubeconfig whose user logs in by a program."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlops_platform.adapters import process

_EARLY_SECONDS = 60.0  # a token is made anew this long before it ends
_EXEC_SECONDS = 60


class Asked:
    """Tokens of a kubeconfig's `exec` program, asked anew when the last one ends; thread-safe.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    """

    def __init__(self, run: Mapping[str, Any]) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def token(self) -> str:
        """Raises CommandFailed when the program does, PreflightError when it is not here."""
        with self._lock:
            if not self._token or time.time() > self._until - _EARLY_SECONDS:
                self._ask()
            return self._token

    def _ask(self) -> None:
        asked = json.dumps({"apiVersion": self._run["apiVersion"], "kind": "ExecCredential", "spec": {}})
        given = {each["name"]: each["value"] for each in self._run.get("env") or ()}
        said = process.run(
            [self._run["command"], *(self._run.get("args") or ())],
            env={**given, "KUBERNETES_EXEC_INFO": asked},
            seconds=_EXEC_SECONDS,
            what="logging in to the cluster",
            hint=str(self._run.get("installHint") or ""),
        ).stdout
        status = json.loads(said)["status"]
        ends = status.get("expirationTimestamp")
        self._token = status["token"]
        self._until = datetime.fromisoformat(ends).timestamp() if ends else float("inf")
