"""The connection to one API server, as a kubeconfig describes it: the `kubernetes` package's transport.

The package reads the kubeconfig and sends the requests. Added here: exec programs with a deadline, token
files read again when they change, one new login after a 401, key files in a private folder for moments only,
proxies by kubectl's rules, and a TLS socket for port-forwards.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import urllib3

from mlops_platform.adapters.kube import exec_plugin, oidc
from mlops_platform.adapters.kube.key_files import key_folder
from mlops_platform.adapters.kube.kubeconfig import (
    KubeconfigError,
    cluster_of,
    keep_tokens,
    one_context,
    read_file,
    user_of,
)
from mlops_platform.adapters.kube.package import (
    ApiClient,
    ApiException,
    ConfigException,
    Configuration,
    KubeConfigLoader,
    load_oidc,
)
from mlops_platform.adapters.kube.proxy import proxy_of
from mlops_platform.adapters.kube.tls import SharedTls

_CONNECTIONS = 16
_UNAUTHORIZED = 401
_BROKEN = (ConfigException, OSError, ValueError, KeyError, TypeError, urllib3.exceptions.HTTPError)


@dataclass(frozen=True)
class _Live:
    """One login: a client, and when it no longer holds."""

    api: ApiClient
    tls: ssl.SSLContext
    tls_name: str
    proxy: SplitResult | None
    authorization: Callable[[], str]
    stale: Callable[[], bool]
    renewable: bool


class Connection:
    """Thread-safe; connections are kept between requests. Any use may raise PreflightError or CommandFailed
    when a login is due and fails."""

    def __init__(
        self, kubeconfig: Path, context: str, token: Callable[[], str] | None, scratch: Path | None
    ) -> None:
        self._kubeconfig, self._context = kubeconfig, context
        self._token, self._scratch = token, scratch or kubeconfig.parent
        self._lock = threading.Lock()
        self._live = self._open()
        address = urlsplit(self._live.api.configuration.host)
        self.host, self.port = address.hostname or "", address.port or 443
        self.prefix = address.path.rstrip("/")

    def __str__(self) -> str:
        return f"https://{self.host}:{self.port}"

    def request(
        self, method: str, path: str, body: object, headers: Mapping[str, str], timeout: tuple[float, Any]
    ) -> urllib3.BaseHTTPResponse:
        """Send one request; the body of the answer is not read yet. Raises HTTPError."""
        live = self._current()
        response = self._send(live, method, path, body, headers, timeout)
        if response.status == _UNAUTHORIZED and live.renewable:  # such an answer means: nothing was done
            response.drain_conn()
            response.release_conn()
            response = self._send(self._renewed(live), method, path, body, headers, timeout)
        return response

    def dial(self, seconds: float) -> ssl.SSLSocket:
        """A TLS socket of its own, through the proxy where there is one. Raises OSError."""
        live = self._current()
        if live.proxy and live.proxy.scheme != "http":
            raise OSError("a port-forward through an https:// proxy is not supported")
        if live.proxy:
            plain = HTTPConnection(live.proxy.hostname or "", live.proxy.port or 80, timeout=seconds)
            plain.set_tunnel(self.host, self.port, live.api.configuration.proxy_headers)
        else:
            plain = HTTPConnection(self.host, self.port, timeout=seconds)
        plain.connect()
        return live.tls.wrap_socket(plain.sock, server_hostname=live.tls_name or self.host)

    def headers(self) -> dict[str, str]:
        """The login of one request."""
        return _headers(self._current())

    def _send(
        self,
        live: _Live,
        method: str,
        path: str,
        body: object,
        headers: Mapping[str, str],
        timeout: tuple[float, Any],
    ) -> urllib3.BaseHTTPResponse:
        url = live.api.configuration.host + path
        sending = {**headers, **_headers(live)}
        try:
            sent = live.api.call_api(method, url, sending, body, _request_timeout=timeout)
        except ApiException as error:  # the package's word for a TLS error
            raise urllib3.exceptions.HTTPError(error.reason or str(error)) from error
        response: urllib3.BaseHTTPResponse = sent.response
        return response

    def _current(self) -> _Live:
        live = self._live
        return self._renewed(live) if live.stale() else live

    def _renewed(self, used: _Live) -> _Live:
        """A new login, made once for all threads whose login was `used`."""
        with self._lock:
            if self._live is used:
                self._live = self._open()
            return self._live

    def _open(self) -> _Live:
        """Read the kubeconfig and log in."""
        path = self._kubeconfig
        config = one_context(path, self._context)
        stale, renewable = self._resolve(config)
        sections = (cluster_of(config), user_of(config))
        with ExitStack() as stack:
            inline = any(k.endswith("-data") or k == "auth-provider" for each in sections for k in each)
            scratch = stack.enter_context(key_folder(self._scratch)) if inline else self._scratch
            configuration = self._load(config, scratch)
            tls = _tls(path, configuration)
        proxy = proxy_of(path, configuration, sections[0])
        configuration.connection_pool_maxsize = _CONNECTIONS
        configuration.retries = False  # the client repeats reads, and only those
        try:
            api = ApiClient(configuration)
        except _BROKEN as error:  # a proxy's address that urllib3 cannot parse
            raise KubeconfigError(path, _words(error)) from error
        # One context for all connections and for port-forwards; the package would read the files for each.
        api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = tls
        constant = configuration.api_key.get("BearerToken", "")
        token = self._token
        return _Live(
            api,
            tls,
            configuration.tls_server_name or "",
            proxy,
            (lambda: f"Bearer {token()}") if token else (lambda: constant),
            stale,
            renewable,
        )

    def _resolve(self, config: dict[str, Any]) -> tuple[Callable[[], bool], bool]:
        """Replace in `config` the logins that the package does not do (well) by their results.

        Returns when a login is stale, and whether another may be had after a 401.
        """
        user = user_of(config)
        if self._token:
            user.clear()
        elif "exec" in user and not user.get("token"):
            login = exec_plugin.login(self._kubeconfig, user.pop("exec"), cluster_of(config))
            user.pop("auth-provider", None)  # the package would prefer it
            user.update(login.user)
            return lambda: time.time() > login.until, True
        elif "tokenFile" in user:  # it takes precedence over `token`, and may be replaced at any time
            user.pop("auth-provider", None)
            file = Path(user.pop("tokenFile"))
            stamp = _stamp(file)
            try:
                user["token"] = read_file(file).decode().strip()
            except (OSError, ValueError) as error:
                raise KubeconfigError(self._kubeconfig, f"tokenFile: {error}") from error
            return lambda: _stamp(file) != stamp, True
        elif "auth-provider" in user:
            oidc.check(self._kubeconfig, user["auth-provider"])
            return lambda: False, True
        return lambda: False, False

    def _load(self, config: dict[str, Any], scratch: Path) -> Configuration:
        """The package's reading of one context; it refreshes an OIDC token that has expired."""
        provider = user_of(config).get("auth-provider")
        errors: tuple[type[Exception], ...] = _BROKEN
        if provider:
            errors, given = (*_BROKEN, load_oidc()), provider["config"]
        try:
            if provider:
                provider["config"] = oidc.complete(given, scratch)
            configuration = Configuration()
            loader: Any = KubeConfigLoader  # it has no types
            loader(config, temp_file_path=str(scratch)).load_and_set(configuration)
        except errors as error:
            raise KubeconfigError(self._kubeconfig, _words(error)) from error
        if provider:
            tokens = {k: v for k, v in provider["config"].items() if k in ("id-token", "refresh-token")}
            if tokens["id-token"] == oidc.EXPIRED or not configuration.api_key:
                why = "auth-provider oidc: there is no usable id-token, and the issuer gave none"
                raise KubeconfigError(self._kubeconfig, why, hint="log in to the issuer again")
            provider["config"] = {**given, **tokens}
            if provider["config"] != given:
                keep_tokens(self._kubeconfig, config)
        return configuration


def _headers(live: _Live) -> dict[str, str]:
    authorization = live.authorization()
    return {"Authorization": authorization} if authorization else {}


def _stamp(file: Path) -> tuple[int, ...]:
    """Values that change when a file is replaced or written; empty if it is missing."""
    try:
        seen = file.stat()
    except OSError:
        return ()
    return seen.st_ino, seen.st_size, seen.st_mtime_ns


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _tls(path: Path, configuration: Configuration) -> ssl.SSLContext:
    """TLS with the files of the configuration, which forgets them."""
    try:
        tls = SharedTls.of_client(configuration.ssl_ca_cert)
        if configuration.cert_file:
            # Without a password OpenSSL would ask for one at the terminal; kubectl takes no encrypted key.
            tls.load_cert_chain(configuration.cert_file, configuration.key_file, password="")
    except (OSError, ValueError) as error:
        raise KubeconfigError(path, f"a certificate or key is not usable: {_words(error)}") from error
    if not configuration.verify_ssl:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    configuration.ssl_ca_cert = configuration.cert_file = configuration.key_file = None
    return tls
