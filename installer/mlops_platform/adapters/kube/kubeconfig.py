"""Owns reading a kubeconfig: where the API server is, how it proves itself, how we prove ourselves."""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlops_platform.base.errors import ConfigurationError, StepError
from mlops_platform.base.yaml import load_kubernetes


@dataclass(frozen=True)
class Server:
    """One API server: address, TLS with its authority and our certificate, headers with our token."""

    host: str
    port: int
    prefix: str
    tls: ssl.SSLContext
    tls_name: str | None
    token: Callable[[], str] | None

    @property
    def headers(self) -> Mapping[str, str]:
        """What logs a request in; asked for each, because a token may live for minutes only."""
        return {"Authorization": f"Bearer {self.token()}"} if self.token else {}


def read(path: Path, token: Callable[[], str] | None = None) -> Server:
    """The current context of a kubeconfig. `token` is asked instead of what is said there of logging in.

    Raises StepError, saying what it lacks.
    """
    try:
        data = load_kubernetes(path)
        context = _named(data, "context", data["current-context"])
        cluster, user = _named(data, "cluster", context["cluster"]), _named(data, "user", context["user"])
        address = urlsplit(cluster["server"])
        if address.scheme != "https" or not address.hostname:
            raise StepError(f"{path}: the server must be an https:// address", why=cluster["server"])
        return Server(
            host=address.hostname,
            port=address.port or 443,
            prefix=address.path.rstrip("/"),
            tls=_tls(path, cluster, user),
            tls_name=cluster.get("tls-server-name"),
            token=token or _token(path, user),
        )
    except (OSError, ConfigurationError, binascii.Error, KeyError, TypeError, AttributeError) as error:
        raise StepError(
            f"{path}: cannot be used as a kubeconfig",
            why=getattr(error, "why", "") or f"{type(error).__name__}: {error}",
            hint="run up again: it writes the file anew",
        ) from error


def _named(data: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    for item in data[f"{kind}s"]:
        if item["name"] == name:
            found: Mapping[str, Any] = item[kind]
            return found
    raise KeyError(f"no {kind} {name!r}")


def _tls(path: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    """An authority is optional (a public one may have signed), an unverified server is refused."""
    if cluster.get("insecure-skip-tls-verify"):
        raise StepError(f"{path}: insecure-skip-tls-verify is refused", hint="give certificate-authority")
    with ExitStack() as files:
        authority = _file(files, path, cluster, "certificate-authority")
        tls = ssl.create_default_context(cafile=authority)
        certificate = _file(files, path, user, "client-certificate")
        if certificate:
            # `ssl` takes files only; a temporary one is 0600 and gone before this function ends.
            tls.load_cert_chain(certificate, _file(files, path, user, "client-key"))
    return tls


def _file(files: ExitStack, path: Path, section: Mapping[str, Any], key: str) -> str | None:
    """The file a key names, relative to the kubeconfig, or a temporary one with its `-data`."""
    if section.get(f"{key}-data"):
        file = files.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115 - the stack closes it
        file.write(base64.b64decode(section[f"{key}-data"]))
        file.flush()
        return file.name
    return str(path.parent / section[key]) if section.get(key) else None


def _token(path: Path, user: Mapping[str, Any]) -> Callable[[], str] | None:
    if user.get("exec"):
        raise StepError(f"{path}: users with `exec` are not supported", hint="give a token or a certificate")
    held = user.get("token") or (user.get("tokenFile") and Path(user["tokenFile"]).read_text().strip())
    return (lambda: str(held)) if held else None
