"""The proxy on the way to an API server, by kubectl's rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import urllib3

from mlops_platform.adapters.kube.kubeconfig import KubeconfigError
from mlops_platform.adapters.kube.package import Configuration, should_bypass_proxies


def proxy_of(path: Path, configuration: Configuration, cluster: Mapping[str, Any]) -> SplitResult | None:
    """The proxy in use, set as kubectl would: `proxy-url` always counts; HTTPS_PROXY not for loopback
    addresses and not for those of NO_PROXY.

    https://pkg.go.dev/net/http#ProxyFromEnvironment
    """
    if "proxy-url" in cluster:
        configuration.no_proxy = ""
    elif _loopback(urlsplit(configuration.host).hostname or ""):
        configuration.proxy = None
    proxy = configuration.proxy
    if not proxy or should_bypass_proxies(configuration.host, configuration.no_proxy or ""):
        return None
    configuration.proxy = proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 80)
    except ValueError:
        usable = None
    if not usable:
        raise KubeconfigError(
            path,
            f"the proxy must be an http:// or https:// address, not {proxy.rpartition('@')[2]}",
            hint="set proxy-url of the cluster or HTTPS_PROXY to such an address",
        )
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        configuration.proxy_headers = urllib3.make_headers(proxy_basic_auth=login)
    return parts


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
