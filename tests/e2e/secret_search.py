"""Searches all traces of runs for values of secrets, current and old ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from mlops_platform.adapters.helm.release import decode
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.vault import VaultConnection
from mlops_platform.adapters.vault.session import Vault
from mlops_platform.clusters.host.node import cgroups

from tests import proc
from tests.e2e.platform import ALL, Platform

_STORE, _PORT = "vault", 8200
_SHORTEST = 16  # generated values are longer; user names and ports are in the same Secrets
# Not secret: addresses, names, dates, and a client's id at its issuer, which is in every login link.
_PLAIN = ("host", "user", "name", "uri", "endpoint", "region", "port", "client-id", "ends", "domain")

# Values with the name of their secret. A failure shows the name, never the value.
Values = dict[bytes, str]
# All values that the tests have read, for the search after `down`.
SEEN: Values = {}


def vault_connection(platform: Platform) -> VaultConnection:
    return VaultConnection(Kube(platform.state / "kubeconfig"), _STORE, _STORE, _PORT)


def secret_values(platform: Platform) -> Values:
    """Values in Vault (every version), in Secrets of the cluster, and passwords that Vault rotates."""
    found: Values = {}
    with vault_connection(platform).session() as vault:
        for component in ALL:
            found |= _all_versions(vault, component)
        for role in (vault.client.list("database/static-roles") or {"data": {"keys": []}})["data"]["keys"]:
            password = (vault.read(f"database/static-creds/{role}") or {})["password"]
            found[password.encode()] = f"database of {role}"
    for secret in vault_connection(platform).kube.list("v1", "Secret"):
        if secret["type"] == "Opaque":
            data = {k: base64.b64decode(v).decode() for k, v in (secret.get("data") or {}).items()}
            found |= _generated(data, f"Secret {secret['metadata']['name']}")
    SEEN.update(found)
    return found


def _all_versions(vault: Vault, component: str) -> Values:
    listed = vault.client.list(f"secret/metadata/platform/{component}")
    values: Values = {}
    for name in listed["data"]["keys"] if listed else []:
        path = f"platform/{component}/{name}"
        newest = vault.get(path)
        for version in range(1, newest.version + 1) if newest else ():
            secret = vault.get(path, version=version)
            values |= _generated(secret.values if secret else {}, path)
    return values


def _generated(data: Mapping[str, str], name: str) -> Values:
    """Generated values of a Secret, without files; of a private key one line."""
    found: Values = {}
    for key, value in data.items():
        lines = value.strip().splitlines()
        if "PRIVATE KEY" in value:
            found[lines[1].encode()] = f"{name}: {key}"
        elif key not in _PLAIN and len(lines) == 1 and len(value) >= _SHORTEST:
            found[value.encode()] = f"{name}: {key}"
    return found


def run_files(state: Path) -> dict[str, bytes]:
    """Files of runs: journals, logs, evidence, Terraform's state, values of Helm."""
    folders = ("runs", "terraform", "helm")
    return {
        str(file): file.read_bytes()
        for folder in folders
        for file in (state / folder).rglob("*")
        if file.is_file() and not file.is_symlink()
    }


def processes(platform: Platform) -> dict[str, bytes]:
    """Command lines and environments of all processes of the node."""
    found: dict[str, bytes] = {}
    for pid in cgroups.processes(platform.place.group):
        for what in ("cmdline", "environ"):
            found[f"{pid} {what}"] = proc.read(pid, what)
    return found


def cluster_objects(platform: Platform) -> dict[str, bytes]:
    """Helm's records, events, logs, ConfigMaps and pods of the cluster."""
    kube = Kube(platform.state / "kubeconfig")
    found: dict[str, bytes] = {}
    for secret in kube.list("v1", "Secret"):
        if secret["type"] == "helm.sh/release.v1":
            found[secret["metadata"]["name"]] = json.dumps(decode(secret)).encode()
    for namespace in ALL:
        found[f"events of {namespace}"] = json.dumps(kube.events(namespace)).encode()
        found[f"files of {namespace}"] = json.dumps(kube.list("v1", "ConfigMap", namespace)).encode()
        for pod in kube.list("v1", "Pod", namespace):
            name = pod["metadata"]["name"]
            found[f"pod {name}"] = json.dumps(pod).encode()
            found[f"log of {name}"] = kube.logs(namespace, name).encode()
    return found


def assert_absent(wanted: Values, places: Mapping[str, bytes]) -> None:
    hits = {
        (place, name)
        for place, content in places.items()
        for value, name in wanted.items()
        if value in content
    }
    assert not hits, sorted(hits)
