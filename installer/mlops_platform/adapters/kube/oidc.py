"""Logins by the auth-provider `oidc` of a kubeconfig; the `kubernetes` package refreshes their tokens."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_platform.adapters.kube.kubeconfig import KubeconfigError

# The package refreshes a token that says it has expired, and fails on a missing one: {"exp": 0}, unsigned.
EXPIRED = "e30.eyJleHAiOjB9.e30"


def check(path: Path, provider: Any) -> None:
    if not isinstance(provider, dict) or provider.get("name") != "oidc":
        raise KubeconfigError(
            path,
            "the user's auth-provider must be oidc: kubectl 1.26 removed the others",
            hint="use an exec program, such as gke-gcloud-auth-plugin or kubelogin",
        )
    given = provider.get("config")
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        raise KubeconfigError(path, "the config of auth-provider oidc must be a mapping of strings")
    if not (given.get("id-token") or given.get("refresh-token")):
        raise KubeconfigError(path, "the config of auth-provider oidc has no id-token and no refresh-token")


def complete(given: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """With what the package needs to refresh a token, and what keeps that safe."""
    import certifi  # a requirement of `requests`, which the refresh needs

    full = {"client-secret": "", **given}  # a public client has none
    full["id-token"] = given.get("id-token") or EXPIRED
    if data := full.pop("idp-certificate-authority-data", ""):  # the package would write it to /tmp
        file = scratch / "idp.crt"
        file.write_bytes(base64.b64decode(data))
        full["idp-certificate-authority"] = str(file)
    # Without one the package reads the issuer's configuration from any server.
    trusted = ssl.get_default_verify_paths().cafile or certifi.where()
    full["idp-certificate-authority"] = full.get("idp-certificate-authority") or trusted
    return full
