"""Configuration of the hub: login, roles, servers, the proxy, and the culler."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import access
import notebook
import tokens
from kubernetes_asyncio.client import ApiClient, CoreV1Api
from kubespawner.clients import load_config
from sizes import number

_SECRETS, _FILES = Path("/run/secrets"), "/files"
_PROJECT_LABEL = "mlops-platform/project"
_ADMINISTRATORS = "platform-admins"
_LEAST_IDLE, _MOST_IDLE = 600, 30 * 24 * 3600  # a notebook reports its activity every two minutes


def secret(path: str) -> str:
    return (_SECRETS / path).read_text().strip()


def installer() -> tuple[str, str]:
    """Name and token of the service of the installer's Jobs.

    The hub keeps all tokens of a service in its database, and deletes services that it no longer has: with
    another name for each token, a rotated one ends.
    """
    token = hashlib.sha256(f"installer {secret('keys/routes')}".encode()).hexdigest()
    return f"installer-{hashlib.sha256(token.encode()).hexdigest()[:12]}", token


def database(config: Any) -> None:
    """Connect with the password of now, which Vault may rotate."""
    if not secret("database/password"):
        from platform_vault import database_password, follow
        from sqlalchemy import Engine

        follow(Engine)
        # The migration of the schema is a process of its own (jupyterhub/dbutil.py), which does not follow.
        os.environ["PGPASSWORD"] = database_password()
    config.JupyterHub.db_url = secret("database/uri").replace("postgresql://", "postgresql+psycopg2://", 1)
    config.JupyterHub.upgrade_db = True


async def projects() -> list[str]:
    """The names of all projects."""
    async with ApiClient() as client:
        found = await CoreV1Api(client).list_namespace(label_selector=_PROJECT_LABEL)
        return [each.metadata.name for each in found.items]


def addresses(config: Any) -> None:
    hub, proxy = config.JupyterHub, config.ConfigurableHTTPProxy
    hub.hub_bind_url = "http://0.0.0.0:8081"
    hub.hub_connect_url = os.environ["HUB"]
    hub.cookie_secret = hashlib.sha256(secret("keys/cookie").encode()).digest()
    # A pod of its own: a new hub does not end the connections of open notebooks.
    proxy.should_start = False
    proxy.api_url = os.environ["ROUTES"]
    proxy.auth_token = secret("keys/routes")
    hub.cleanup_proxy = hub.cleanup_servers = False
    hub.last_activity_interval = 10  # it also gives a restarted proxy its routes again


def people(config: Any) -> None:
    """Login by the gateway; administrators see and stop servers, and open none."""
    hub, authenticator = config.JupyterHub, config.GatewayAuthenticator
    hub.authenticator_class = access.GatewayAuthenticator
    authenticator.auto_login = authenticator.allow_all = authenticator.manage_groups = True
    authenticator.auth_refresh_age = -1  # each request names its person
    # No tokens of people: a server is started in a session, with the groups of now.
    own = ["read:users!user", "servers!user", "access:servers!user", "users:activity!user"]
    stops = ["admin-ui", "list:users", "read:users", "read:servers", "delete:servers"]
    idle = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    hub.load_roles = [
        {"name": "user", "scopes": own},
        {"name": "administrators", "groups": [_ADMINISTRATORS], "scopes": stops},
        {"name": "culler", "services": ["culler"], "scopes": idle},
        {
            "name": "installer",
            "services": [installer()[0]],
            "scopes": ["list:users", "read:servers", "delete:servers"],
        },
    ]
    found = access.Projects(projects)
    hub.template_paths = [_FILES]
    # The hub calls it for every page, and the template only calls what it gets on the page of projects.
    hub.template_vars = {"projects": lambda user: lambda: found.of(user)}


def servers(config: Any) -> None:
    hub = config.JupyterHub
    hub.spawner_class = notebook.ProjectSpawner
    notebook.configure(config.ProjectSpawner)
    hub.allow_named_servers = True  # a name is a project
    hub.default_url = "/hub/home"
    hub.extra_handlers = [(r"/api/platform/token", tokens.TokenHandler)]
    name, token = installer()
    idle = number(os.environ, "IDLE_SECONDS", _LEAST_IDLE, _MOST_IDLE)
    culler = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={idle}", "--cull-every=60"]
    hub.services = [
        # Not by the Service of this pod: some networks do not lead a pod to itself that way.
        {"name": "culler", "command": [*culler, "--url=http://127.0.0.1:8081/hub/api"]},
        {"name": name, "api_token": token},
    ]


def configure(config: Any) -> None:
    database(config)
    addresses(config)
    people(config)
    servers(config)


load_config()
configure(get_config())  # type: ignore[name-defined] # noqa: F821 - JupyterHub gives it to this file
