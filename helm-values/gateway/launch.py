"""Start of the gateway: a server block per host from routes.json, then nginx replaces this process."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

FILES, PROXY_SECRETS = Path("/files"), Path("/run/secrets/proofs")
WRITTEN = Path("/dev/shm")  # noqa: S108 - the pod's own memory
RESOLV = Path("/etc/resolv.conf")
MIRROR = "127.0.0.1:8081"
OWN = "auth"  # below the domain: where people come back to from the issuer, and where they leave

Route = Mapping[str, Any]

_SERVER = """\
server {{
  listen 8443 ssl http2;
  server_name {host};
  set $upstream {upstream};
  set $sign_on {sign_on};
  set $secret_of_host '{proxy_secret}';
  set $login ''; set $email ''; set $groups ''; set $proxy_secret '';
{locations}\
}}
"""

_OWN_LOCATIONS = """\
  location ~ ^/oauth2/(start|callback)$ {{
    include /files/upstream.conf;
    proxy_set_header Authorization "";
    proxy_pass http://$sign_on;
  }}
  location = /sign-out {{
    include /files/headers.conf;
    include /files/upstream.conf;
    proxy_hide_header Cache-Control;
    # Cookies of every UI, not only ours: some keep a login of their own.
    add_header Clear-Site-Data '"cookies"' always;
    add_header Cache-Control no-store always;
    proxy_set_header Authorization "";
    proxy_pass http://$sign_on/oauth2/sign_out?rd={logout_page};
  }}
  location = /signed-out {{
    include /files/headers.conf;
    default_type text/html;
    return 200 '<!doctype html><title>Signed out</title><p>You are signed out.';
  }}
  # The user's headers exactly as a UI gets them; the smoke test reads them here.
  location = /whoami {{ include /files/signed-in.conf; }}
  location / {{ return 404; }}
"""

_SIGN_ON = """\
  location = /.sign-on {{
    internal;
    include /files/upstream.conf;
    proxy_set_header Connection "";
    proxy_set_header Upgrade "";
    proxy_set_header Content-Length "";
    proxy_pass_request_body off;
    proxy_pass http://$sign_on/oauth2/auth?allowed_groups={groups};
  }}
  location @sign-in {{
    include /files/headers.conf;
    include /files/upstream.conf;
    proxy_hide_header Cache-Control;
    add_header WWW-Authenticate Bearer always;
    add_header Cache-Control no-store always;
    if ($http_authorization) {{ return 403; }}
    if ($page = '') {{ return 401; }}
    proxy_set_header Authorization "";
    proxy_set_header X-Auth-Request-Redirect https://$http_host$request_uri;
    proxy_pass http://$sign_on/oauth2/start;
  }}
"""
# Sign-on answers 403 to a bearer token that it does not know: here such a token is the UI's to check. The
# request gets no identity; with the proxy secret the UI can believe X-Forwarded-For.
_OWN_TOKENS = """\
  location @own-token {
    if ($foreign) { return 403; }
    if ($http_authorization = '') { return 403; }
    set $login ''; set $email ''; set $groups ''; set $proxy_secret $secret_of_host;
    include /files/headers.conf;
    include /files/upstream.conf;
    proxy_set_header Cookie "";
    proxy_pass http://$upstream;
  }
  location / {
    error_page 403 = @own-token;
    include /files/signed-in.conf;
  }
"""
_PAGES = "  location / { include /files/signed-in.conf; }\n"

_LOGOUT = "  location = {path} {{ return 302 https://{own}/sign-out; }}\n"

# A request with a header of its own is the UI's to judge: it gets no identity, and its cookies stay here.
_MACHINES = """\
  location {path} {{
    if ($http_authorization) {{ return 418; }}
    error_page 418 = @machine;
    include /files/signed-in.conf;
  }}
"""
_MACHINE = """\
  location @machine {
    include /files/headers.conf;
    include /files/upstream.conf;
    proxy_set_header Cookie "";
    proxy_pass http://$upstream;
  }
"""

_OPEN = """\
  location {path} {{
    if ($foreign) {{ return 403; }}
    include /files/headers.conf;
    include /files/upstream.conf;
    proxy_set_header Cookie $cookies_of_theirs;
    proxy_pass http://$upstream;
  }}
"""
# What arrives behind the gateway, a name with underscores too. Nothing else listens on the pod's loopback.
_MIRROR = """\
server {{
  listen {mirror} default_server;
  server_name _;
  underscores_in_headers on;
  access_log off;
  default_type text/plain;
  return 200 "{lines}";
}}
"""
# Any other name below the domain. nginx prefers the exact names of the other servers.
_UNKNOWN = """\
server {{
  listen 8443 ssl http2;
  server_name {names};
  include /files/headers.conf;
  add_header Content-Security-Policy "default-src 'none'; base-uri 'none'; frame-ancestors 'none'" always;
  add_header Cache-Control no-store always;
  types {{ }}   # else the type would follow from the name in the path
  default_type "text/html; charset=utf-8";
  return 404 '{page}';
}}
"""
_UNKNOWN_PAGE = (
    '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark"><title>Not found</title>'
    "<h1>Nothing has this name</h1><p>{link}</p></html>"
)
_LOGOUT_PAGE = """\
  location = /sign-out {{
    include /files/headers.conf;
    add_header Content-Security-Policy "default-src 'none'; connect-src 'self'; script-src '{script}'" always;
    add_header Cache-Control no-store always;
    default_type text/html;
    alias {file};
  }}
"""


def written(plan: Mapping[str, Any], resolv: str, proxy_secrets: Mapping[str, str], pages: Path) -> str:
    """The configuration of the hosts. Sign-out pages are written into `pages`."""
    server, suffix = _cluster_dns(resolv)
    routes: list[Route] = plan["routes"]
    leaving = [r for r in routes if r["logoutPage"]]
    logout_page = f"https://{leaving[0]['host']}.{plan['site']}/sign-out" if leaving else ""
    site, domain = plan["site"], plan["domain"]
    common = {"sign_on": f"{plan['sign_on']['service']}.{suffix}:{plan['sign_on']['port']}"}
    last = quote(logout_page or f"https://{OWN}.{site}/signed-out", safe="")
    blocks = [f"resolver {server} valid=10s ipv6=off;\n"]
    sign_on = _SIGN_ON.format(groups=",".join(plan["groups"]))
    own = {
        "upstream": MIRROR,
        "proxy_secret": "",
        "locations": sign_on + _OWN_LOCATIONS.format(logout_page=last),
    }
    blocks += [_mirror(), _SERVER.format(host=f"{OWN}.{domain}", **own, **common), _unknown(plan)]
    for route in routes:
        locations = _public(route, pages) if route["public"] else _signed_in(route, f"{OWN}.{site}")
        blocks.append(
            _SERVER.format(
                host=f"{route['host']}.{domain}" if route["host"] else domain,
                upstream=f"{route['service']}.{suffix}:{route['port']}",
                proxy_secret=_require_plain(proxy_secrets.get(route["component"], "")),
                locations=locations,
                **common,
            )
        )
    return "".join(blocks)


def _signed_in(route: Route, own: str) -> str:
    parts = [_SIGN_ON.format(groups=",".join(route["groups"]))]
    parts += [_LOGOUT.format(path=path, own=own) for path in route["logoutPaths"]]
    parts += [_MACHINES.format(path=_location(path)) for path in route["bearerPaths"]]
    return "".join(
        [*parts, _MACHINE if route["bearerPaths"] else "", _OWN_TOKENS if route["ownTokens"] else _PAGES]
    )


def _unknown(plan: Mapping[str, Any]) -> str:
    """The answer to names that no UI has; it links to the home page, whose host is the domain itself."""
    home = any(not route["host"] for route in plan["routes"])
    link = f'<a href="https://{plan["site"]}/">Home page</a>' if home else "There is no home page."
    names = f"*.{plan['domain']}" if home else f".{plan['domain']}"
    return _UNKNOWN.format(names=names, page=_UNKNOWN_PAGE.format(link=link))


def _mirror() -> str:
    names = re.findall(r"^proxy_set_header (\S+)", (FILES / "upstream.conf").read_text(), re.MULTILINE)
    lines = [f"{n}: $http_{n.lower().replace('-', '_')}\\n" for n in [*names, "Authorization", "Cookie"]]
    return _MIRROR.format(mirror=MIRROR, lines="".join(lines))


def _public(route: Route, pages: Path) -> str:
    parts = [_OPEN.format(path=_location(path)) for path in route["paths"]]
    if route["logoutPage"]:
        file = pages / f"{route['host']}.html"
        file.write_text(route["logoutPage"])
        script = re.search(r"<script>(.*?)</script>", route["logoutPage"], re.DOTALL)
        digest = hashlib.sha256((script[1] if script else "").encode()).digest()
        parts.append(_LOGOUT_PAGE.format(file=file, script=f"sha256-{base64.b64encode(digest).decode()}"))
    return "".join([*parts, "  location / { return 404; }\n"])


def _location(path: str) -> str:
    """A location: '/api/' includes paths below it; '/api' and '/' are exact, else '/' would open all."""
    return path if path.endswith("/") and path != "/" else f"= {path}"


def _cluster_dns(resolv: str) -> tuple[str, str]:
    """The DNS server and the cluster's domain, since nginx has no search list."""
    server = re.search(r"^nameserver\s+(\S+)", resolv, re.MULTILINE)
    domain = re.search(r"^search\s.*?\bsvc\.(\S+)", resolv, re.MULTILINE)
    if not server or not domain:
        raise SystemExit(f"no DNS of a cluster in {RESOLV}:\n{resolv}")
    return (f"[{server[1]}]" if ":" in server[1] else server[1]), domain[1]


def _require_plain(secret: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
        raise SystemExit("a proxy secret has characters with a meaning in nginx.conf")
    return secret


if __name__ == "__main__":
    held = {file.name: file.read_text() for file in PROXY_SECRETS.iterdir() if not file.name.startswith(".")}
    hosts = written(json.loads((FILES / "routes.json").read_text()), RESOLV.read_text(), held, WRITTEN)
    os.umask(0o077)
    (WRITTEN / "hosts.conf").write_text(hosts)
    os.execvp("nginx", ["nginx", "-c", str(FILES / "nginx.conf"), "-e", "stderr"])  # noqa: S606
