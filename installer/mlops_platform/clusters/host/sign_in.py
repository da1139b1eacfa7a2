"""The OIDC issuer whose tokens the node's API server accepts, changed without a restart.

The issuer is not known when the node is made, so it is not among the files whose digest decides on a restart
(config.py). The API server reads its AuthenticationConfiguration again when the file changes.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.files import write_private
from mlops_platform.clusters.base import TrustedIssuer
from mlops_platform.clusters.host.layout import Place

_FILE = "issuer.json"
_SECONDS = 120.0  # without a notice of the kernel, the API server looks at the file every minute
_LOADED = re.compile(
    r'\napiserver_authentication_config_controller_last_config_info\{[^}]*hash="sha256:([0-9a-f]+)"'
)
# A name with a colon is one of Kubernetes (system:masters) or of this program; a token must not have it.
_NO_COLON = "{what} of a token must not contain a colon"


def read(place: Place) -> TrustedIssuer | None:
    """The issuer that was written last."""
    file = place.folder / _FILE
    return TrustedIssuer(**json.loads(file.read_text())) if file.exists() else None


def authentication(base: dict[str, Any], issuer: TrustedIssuer | None) -> dict[str, Any]:
    """The AuthenticationConfiguration, with the issuer if there is one."""
    return {**base, "jwt": [_authenticator(issuer)]} if issuer else base


def hosts(base: str, issuer: TrustedIssuer | None) -> str:
    """The node's hosts file; the API server looks there for the issuer."""
    return f"{base}{issuer.address} {urlsplit(issuer.url).hostname}\n" if issuer else base


def write(place: Place, issuer: TrustedIssuer, authentication: str, hosts: str) -> None:
    """Write the files of a running node."""
    # In place: the file is mounted, and a new one would not be seen.
    with (place.config / "hosts").open("r+") as file:
        file.write(hosts)
        file.truncate()
    write_private(place.config / "authentication.json", authentication, mode=0o644)
    write_private(place.folder / _FILE, json.dumps(asdict(issuer)))


def wait_loaded(kube: Kube, authentication: str, cancel: Cancel) -> None:
    """Wait until the API server uses the file, by the digest in its metrics."""
    wanted = hashlib.sha256(authentication.encode()).hexdigest()

    def loaded() -> bool | Pending:
        return wanted in _LOADED.findall(kube.metrics()) or Pending(
            "the API server has not read the new issuer"
        )

    wait_until("the API server accepts the issuer", loaded, seconds=_SECONDS, cancel=cancel)


def _authenticator(issuer: TrustedIssuer) -> dict[str, Any]:
    groups = f"has(claims.{issuer.groups_claim}) && type(claims.{issuer.groups_claim}) == list"
    return {
        "issuer": {
            "url": issuer.url,
            "audiences": [issuer.audience],
            "certificateAuthority": issuer.authority,
        },
        "claimMappings": {
            "username": {"expression": f"claims.{issuer.name_claim}"},
            "groups": {"expression": f"{groups} ? claims.{issuer.groups_claim} : []"},
        },
        "userValidationRules": [
            {"expression": "!user.username.contains(':')", "message": _NO_COLON.format(what="the user")},
            {
                "expression": "user.groups.all(g, !g.contains(':'))",
                "message": _NO_COLON.format(what="a group"),
            },
        ],
    }
