"""`kubeconfig`: the path of a kubeconfig, and logins of a project's members with theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_platform.base.errors import NotUp, UsageError
from mlops_platform.console import Console

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_platform.adapters.oidc import Token

_SPARE_SECONDS = 60


def run(console: Console) -> int:
    """Print the path from the state folder, fast enough for a prompt; the environment file is not read."""
    from pathlib import Path

    from mlops_platform.base.paths import Paths

    name = console.environment = Path(console.environment).name.partition(".")[0]
    path = Paths.default().environment(name) / "kubeconfig"
    if not path.is_file():
        raise NotUp(name)
    return console.done({"path": str(path)}, str(path))


def for_project(console: Console, project: str, user: str, *, stdin: bool) -> int:
    """Write the kubeconfig of a project's members, and print its path. With `user`: log that user in."""
    from mlops_platform.adapters.oidc import Issuer
    from mlops_platform.adapters.vault.password import log_in
    from mlops_platform.commands._run import running
    from mlops_platform.commands.project import require_project
    from mlops_platform.engine.graph import Graph, chain
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment
    from mlops_platform.steps.access.kubernetes import TrustIssuer, require_sign_in, write_kubeconfig

    if bool(user) != stdin:
        raise UsageError("--user and --password-stdin go together", hint="give both, or none")
    opened = open_environment(console.environment)
    name = console.environment = opened.environment.name
    look = read_only(opened)
    require_sign_in(look)
    reach(look)
    require_project(look, project)
    if TrustIssuer(look).observe():
        with running(console, opened) as run:
            reach(run.context)
            run.engine(Graph.of(chain(TrustIssuer(run.context))))
    path = write_kubeconfig(look, project)
    if user:
        trusted = look.cluster.trusted_issuer()
        assert trusted, "TrustIssuer ran"
        issuer = Issuer(trusted.url, trusted.authority)
        _keep(
            _cache(name, trusted.url, trusted.audience), log_in(issuer, trusted.audience, user, _password())
        )
    return console.done({"path": str(path), "user": user}, str(path))


def login(console: Console, issuer: str, client: str, authority: str) -> int:
    """Print a credential for kubectl: a token that was kept, or that of a login in a browser.

    https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
    """
    import json
    from base64 import b64decode
    from datetime import UTC, datetime
    from ssl import SSLError

    from mlops_platform.adapters.oidc import Issuer, in_browser

    try:
        there = Issuer(issuer, b64decode(authority, validate=True).decode())
    except (ValueError, SSLError) as error:
        raise UsageError(
            "--authority: not a certificate in base64", hint="write the kubeconfig again"
        ) from error
    cache = _cache(console.environment, issuer, client)
    token = _kept(cache)
    if token is None:
        token = in_browser(there, client, lambda url: _show(console, url))
        _keep(cache, token)
    status = {
        "token": token.text,
        "expirationTimestamp": datetime.fromtimestamp(token.expires, UTC).isoformat(),
    }
    kind = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    console.raw(json.dumps({**kind, "status": status}) + "\n")
    return 0


def _show(console: Console, url: str) -> None:
    import webbrowser

    console.say(f"Log in with a browser on this machine: {url}")
    webbrowser.open(url)


def _cache(environment: str, issuer: str, client: str) -> Path:
    from mlops_platform.base.digest import short_digest
    from mlops_platform.base.paths import Paths

    return Paths.default().environment(environment) / "logins" / f"{short_digest([issuer, client])}.json"


def _kept(path: Path) -> Token | None:
    """A kept token that is valid for another minute."""
    import json
    import time

    from mlops_platform.adapters.oidc import Token

    try:
        found = Token(**json.loads(path.read_text()))
        valid = found.expires - time.time() > _SPARE_SECONDS
    except (OSError, ValueError, TypeError):
        return None
    return found if valid else None


def _keep(path: Path, token: Token) -> None:
    import json
    from dataclasses import asdict

    from mlops_platform.base.files import write_private

    write_private(path, json.dumps(asdict(token)))


def _password() -> str:
    import sys

    return sys.stdin.readline().rstrip("\n")
