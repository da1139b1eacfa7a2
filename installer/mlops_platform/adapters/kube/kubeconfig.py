"""One context of a kubeconfig: its cluster and its user, with shapes checked and paths made absolute.

https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlops_platform.base.errors import ConfigurationError, PreflightError
from mlops_platform.base.files import write_private
from mlops_platform.base.yaml import dump, load_kubernetes

_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_TEXTS = {
    "context": ("cluster", "user"),
    "cluster": ("server", "certificate-authority-data", "tls-server-name", "proxy-url", *_FILES),
    "user": ("token", "username", "password", "client-certificate-data", "client-key-data", *_FILES),
}
_INSECURE = "insecure-skip-tls-verify"


class KubeconfigError(PreflightError):
    """A kubeconfig, or a login that it describes, that cannot be used."""

    def __init__(self, path: Path, why: str, *, hint: str = "", context: str = "") -> None:
        chosen = ("--context", context) if context else ()
        super().__init__(
            f"{path}: cannot be used as a kubeconfig",
            why=why,
            hint=hint or "correct the file; run up again for one in a state folder: it writes a new file",
            command=shlex.join(["kubectl", "--kubeconfig", str(path), *chosen, "get", "--raw", "/readyz"]),
        )


class _Wrong(Exception):
    """A mistake in the file, in words."""


def one_context(path: Path, context: str = "") -> dict[str, Any]:
    """A kubeconfig of one context (default: the current one), its cluster and its user.

    Raises KubeconfigError with the first mistake found.
    """
    try:
        data = _mapping(_load(path), "the file")
        name = context or data.get("current-context") or ""
        if not isinstance(name, str) or not name:
            raise _Wrong("current-context is missing")
        chosen = _entry(data, "context", name, path.parent)
        if not chosen["context"].get("cluster"):
            raise _Wrong(f"context {name} names no cluster")
        cluster = _entry(data, "cluster", chosen["context"]["cluster"], path.parent)
        user = chosen["context"].get("user")
        users = [_entry(data, "user", user, path.parent)] if user else []
        _check_cluster(cluster["cluster"])
    except _Wrong as error:
        raise KubeconfigError(path, str(error), context=context) from error
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": users,
        "contexts": [chosen],
        "current-context": name,
    }


def cluster_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The cluster section of what `one_context` returns."""
    found: dict[str, Any] = config["clusters"][0]["cluster"]
    return found


def user_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The user section of what `one_context` returns; empty for an anonymous context."""
    return config["users"][0]["user"] if config["users"] else {}


def read_file(path: Path) -> bytes:
    """Read a file that a kubeconfig names. Raises OSError, also for a FIFO or device, which may never end."""
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is not a file")
    return path.read_bytes()


def keep_tokens(path: Path, config: Mapping[str, Any]) -> None:
    """Write refreshed OIDC tokens of a context's user into its file, as kubectl does."""
    entry = config["users"][0]
    try:
        data = _load(path)
    except _Wrong as error:
        raise KubeconfigError(path, str(error)) from error
    for each in data["users"]:
        if each["name"] == entry["name"]:
            each["user"]["auth-provider"] = entry["user"]["auth-provider"]
    write_private(path.resolve(), dump(data))


def _load(path: Path) -> Any:
    try:
        return load_kubernetes(path)
    except ConfigurationError as error:
        raise _Wrong("\n".join(str(each) for each in error.problems)) from error
    except ValueError as error:  # a NUL byte in the path
        raise _Wrong(str(error)) from error


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{what} must be a mapping")
    return value


def _entry(data: Mapping[str, Any], kind: str, name: str, folder: Path) -> dict[str, Any]:
    """The entry of that name in the list of its kind."""
    items = data.get(f"{kind}s") or []
    if not isinstance(items, list):
        raise _Wrong(f"{kind}s must be a list")
    for item in items:
        if _mapping(item, f"each of {kind}s").get("name") == name:
            return {**item, kind: _section(_mapping(item.get(kind) or {}, f"{kind} {name}"), kind, folder)}
    names = ", ".join(str(item.get("name")) for item in items) or "none"
    raise _Wrong(f"no {kind} {name}; the file has: {names}")


def _section(section: Mapping[str, Any], kind: str, folder: Path) -> dict[str, Any]:
    """Without empty values, which count as absent; paths start from the kubeconfig's folder."""
    found = {key: value for key, value in section.items() if value not in (None, "")}
    for key in _TEXTS[kind]:
        if not isinstance(found.get(key, ""), str):
            raise _Wrong(f"{key} of a {kind} must be a string")
    if not isinstance(found.get(_INSECURE, False), bool):
        raise _Wrong(f"{_INSECURE} must be true or false")
    for key in (key for key in _FILES if key in found):
        if "\0" in found[key]:
            raise _Wrong(f"{key} of a {kind} has a NUL byte")
        found[key] = str(folder.absolute() / found[key])
    run = found.get("exec")
    if isinstance(run, dict) and isinstance(run.get("command"), str) and "/" in run["command"]:
        found["exec"] = {**run, "command": str(folder.absolute() / run["command"])}
    return found


def _check_cluster(cluster: Mapping[str, Any]) -> None:
    server = cluster.get("server", "")
    try:
        address = urlsplit(server)
        usable = address.scheme == "https" and address.hostname and (address.port or 443)
    except ValueError:
        usable = None
    if not usable:
        raise _Wrong(f"the server must be an https:// address, not {server or 'empty'}")
    if cluster.get(_INSECURE) and any(key.startswith("certificate-authority") for key in cluster):
        raise _Wrong(f"{_INSECURE} and a certificate-authority exclude each other, in kubectl too")
