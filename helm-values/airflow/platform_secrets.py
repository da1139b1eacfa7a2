"""Connections and variables: the platform's own from mounted files, all others from Vault."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path

from airflow.secrets import BaseSecretsBackend

SECRETS, TOKEN = Path("/run/secrets"), "/run/secrets/identity/token"
STORE = "http://vault.vault.svc:8200"
PATH = "platform/airflow"


def _logs() -> dict[str, object]:
    """The connection to the bucket of the logs."""
    bucket = {f.name: f.read_text() for f in (SECRETS / "bucket").iterdir() if not f.name.startswith(".")}
    where = {"endpoint_url": bucket["endpoint"], "region_name": bucket["region"]}
    return {"conn_type": "aws", "login": bucket["user"], "password": bucket["password"], "extra": where}


def _bundle() -> dict[str, object] | None:
    """The connection to the DAGs' repository, if it needs an account; keys are named as in git-sync."""
    held = SECRETS / "bundle"
    if not held.is_dir():
        return {"conn_type": "git"}
    user, password = ((held / f"GITSYNC_{key}").read_text() for key in ("USERNAME", "PASSWORD"))
    return {"conn_type": "git", "login": user, "password": password}


def store(connections: str, variables: str) -> BaseSecretsBackend:
    """A client of Vault, logged in with the pod's token. The role has the namespace's name."""
    from airflow.providers.hashicorp.secrets.vault import VaultBackend

    return VaultBackend(
        url=os.environ.get("VAULT_ADDR", STORE),
        auth_type="kubernetes",
        kubernetes_role="airflow",
        kubernetes_jwt_path=TOKEN,
        mount_point="secret",
        connections_path=connections,
        variables_path=variables,
        config_path=None,
    )


OWN = {"platform_logs": _logs, "platform_bundle": _bundle}


class Secrets(BaseSecretsBackend):
    """Connections below `secret/platform/airflow/connections`, variables below `…/variables`.

    Where no store is they come from Airflow's database alone.
    """

    @cached_property
    def _store(self) -> BaseSecretsBackend | None:
        # Where there is one it has the password of the database, and the Secret has none.
        if (SECRETS / "database/password").read_text():
            return None
        return store(f"{PATH}/connections", f"{PATH}/variables")

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        if conn_id in OWN:
            return json.dumps(OWN[conn_id]())
        return self._store.get_conn_value(conn_id) if self._store else None

    def get_variable(self, key: str, team_name: str | None = None) -> str | None:
        return self._store.get_variable(key) if self._store else None
