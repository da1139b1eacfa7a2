"""Logins by a program that a kubeconfig names (`exec`), run with a deadline.

The `kubernetes` package would run it without one, and reports its failure only in a log.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlops_platform.adapters import process
from mlops_platform.adapters.kube.kubeconfig import KubeconfigError, read_file

_GROUP = "client.authentication.k8s.io"
_VERSIONS = (f"{_GROUP}/v1", f"{_GROUP}/v1beta1")
_MODES = ("Never", "IfAvailable", "Always")
_SECONDS = 60
_EARLY_SECONDS = 60.0  # a login is renewed this long before its end, or in the last half of a short life
_CLUSTER = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority-data",
    "proxy-url",
)


@dataclass(frozen=True)
class Login:
    """Keys of a kubeconfig's user that replace its `exec`, and the time (of `time.time`) to ask again."""

    user: Mapping[str, str]
    until: float


def login(path: Path, plugin: Any, cluster: Mapping[str, Any]) -> Login:
    """Run the program of one user.

    Raises CommandFailed when it fails, PreflightError when it is missing or cannot be used.
    """
    _check(path, plugin)
    info = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": {"interactive": False}}
    if plugin.get("provideClusterInfo"):
        info["spec"]["cluster"] = _cluster_info(path, cluster)
    env = {each["name"]: each["value"] for each in plugin.get("env") or ()}
    command = plugin["command"]
    try:
        printed = process.run(
            [command, *(plugin.get("args") or ())],
            env={**env, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            seconds=_SECONDS,
            what=f"login to the cluster with {command}",
            hint=str(plugin.get("installHint") or "").strip(),
        ).stdout
    except (OSError, ValueError) as error:  # there, but not to be run, or not to be named
        raise KubeconfigError(path, f"the exec program {command} cannot be run: {error}") from error
    return _parse(path, plugin, printed)


def _check(path: Path, plugin: Any) -> None:
    """Raises KubeconfigError for a section that kubectl refuses, or that needs a terminal."""

    def wrong(why: str, hint: str = "") -> KubeconfigError:
        return KubeconfigError(path, f"exec of the user: {why}", hint=hint)

    if not isinstance(plugin, dict):
        raise wrong("must be a mapping")
    if not isinstance(plugin.get("command"), str) or not plugin["command"].strip("\0"):
        raise wrong("command is missing")
    if plugin.get("apiVersion") not in _VERSIONS:
        raise wrong(f"apiVersion must be one of {', '.join(_VERSIONS)}", "update the program and its section")
    arguments, env = plugin.get("args") or [], plugin.get("env") or []
    if not isinstance(arguments, list) or not all(isinstance(each, str) for each in arguments):
        raise wrong("args must be a list of strings")
    pairs = isinstance(env, list) and all(
        isinstance(each, dict) and all(isinstance(each.get(key), str) for key in ("name", "value"))
        for each in env
    )
    if not pairs:
        raise wrong("env must be a list of a name and a value each, both strings")
    if plugin.get("interactiveMode", "IfAvailable") not in _MODES:
        raise wrong(f"interactiveMode must be one of {', '.join(_MODES)}")
    if plugin.get("interactiveMode") == "Always":
        why = "interactiveMode is Always, and here the program gets no terminal"
        raise wrong(why, "set it to IfAvailable and log in beforehand, or give a token")


def _cluster_info(path: Path, cluster: Mapping[str, Any]) -> Mapping[str, Any]:
    info = {key: cluster[key] for key in _CLUSTER if key in cluster}
    authority = cluster.get("certificate-authority")
    if authority and "certificate-authority-data" not in info:
        try:
            info["certificate-authority-data"] = base64.b64encode(read_file(Path(authority))).decode()
        except OSError as error:
            raise KubeconfigError(path, str(error)) from error
    extensions = cluster.get("extensions")
    for extension in extensions if isinstance(extensions, list) else ():
        if isinstance(extension, dict) and extension.get("name") == f"{_GROUP}/exec":
            info["config"] = extension.get("extension")
    return info


def _parse(path: Path, plugin: Mapping[str, Any], printed: str) -> Login:
    """The status of an ExecCredential; an error never shows what the program printed: it may be a token."""
    why = f"the exec program {plugin['command']} printed no ExecCredential of {plugin['apiVersion']}"
    try:
        credential = json.loads(printed)
        if credential["apiVersion"] != plugin["apiVersion"] or credential["kind"] != "ExecCredential":
            raise KubeconfigError(path, why)
        status = credential["status"]
        ends = status.get("expirationTimestamp")
        until = _renewal(datetime.fromisoformat(ends).timestamp()) if ends else float("inf")
        user = {"token": status["token"].strip()} if status.get("token") else {}
        if status.get("clientCertificateData") or not user:
            pair = {"client-certificate-data": "clientCertificateData", "client-key-data": "clientKeyData"}
            user |= {key: base64.b64encode(status[name].encode()).decode() for key, name in pair.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KubeconfigError(path, f"{why}: {type(error).__name__}") from error
    return Login(user, until)


def _renewal(ends: float) -> float:
    now = time.time()
    return ends - min(_EARLY_SECONDS, max(0.0, ends - now) / 2)
