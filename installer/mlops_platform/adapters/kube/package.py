"""The parts of the `kubernetes` package in use, imported without the rest (ADR 26 has the figures).

The package's own `__init__` loads its dynamic client, watches, informers and websocket-client; its kubeconfig
reader loads requests and oauthlib, which only an OIDC refresh needs, and google-auth where it is installed,
for a login that kubectl 1.26 removed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_OIDC = ("requests_oauthlib", "oauthlib", "oauthlib.oauth2")
_REMOVED = ("google.auth",)


@contextmanager
def _light() -> Iterator[None]:
    """Empty modules in place of the heavy ones, for the duration of an import."""
    held = {name: sys.modules.get(name) for name in (*_OIDC, *_REMOVED)}
    for name in _OIDC:
        sys.modules.setdefault(name, _empty(name))
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(_REMOVED))  # None: an import of it is an ImportError
    try:
        yield
    finally:
        for name, module in held.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _empty(name: str) -> ModuleType:
    module = ModuleType(name)
    vars(module)["OAuth2Session"] = None
    return module


def _without_init() -> None:
    """Register the parent package, so that its submodules can be imported, and leave its code unrun."""
    spec = importlib.util.find_spec("kubernetes")
    assert spec, "kubernetes is among the requirements"
    sys.modules["kubernetes"] = importlib.util.module_from_spec(spec)


if "kubernetes" not in sys.modules:
    _without_init()
with _light():
    from kubernetes.client.api_client import ApiClient
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.exceptions import ApiException
    from kubernetes.client.rest import should_bypass_proxies
    from kubernetes.config import kube_config
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.kube_config import KubeConfigLoader


def load_oidc() -> type[Exception]:
    """Load what a refresh of an OIDC token needs; returns the class of its errors."""
    reader = vars(kube_config)
    reader["OAuth2Session"] = importlib.import_module("requests_oauthlib").OAuth2Session
    reader["oauthlib"] = importlib.import_module("oauthlib")
    errors: type[Exception] = importlib.import_module("oauthlib.oauth2").OAuth2Error
    return errors


__all__ = [
    "ApiClient",
    "ApiException",
    "ConfigException",
    "Configuration",
    "KubeConfigLoader",
    "load_oidc",
    "should_bypass_proxies",
]
