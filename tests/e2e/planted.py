"""Owns the search for secrets: every value there is or was, wherever a run leaves something."""

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
_SHORTEST = 16  # what is generated is longer; users' names and ports stand in the same Secrets
# Not secret: addresses, names, dates, and a client's name at its issuer, which stands in every link to it.
_PLAIN = ("host", "user", "name", "uri", "endpoint", "region", "port", "client-id", "ends", "domain")

# Values, and which secret each is of: a failure names that, never the value.
Words = dict[bytes, str]
# What the tests have seen, for the search after `down`.
SEEN: Words = {}


def door(platform: Platform) -> VaultConnection:
    return VaultConnection(Kube(platform.state / "kubeconfig"), _STORE, _STORE, _PORT)


def words(platform: Platform) -> Words:
    """Values in the store, of every version; in the cluster's Secrets; and passwords the store rotates."""
    found: Words = {}
    with door(platform).session() as vault:
        for component in ALL:
            found |= _kept(vault, component)
        for role in (vault.client.list("database/static-roles") or {"data": {"keys": []}})["data"]["keys"]:
            password = (vault.read(f"database/static-creds/{role}") or {})["password"]
            found[password.encode()] = f"database of {role}"
    for secret in door(platform).kube.list("v1", "Secret"):
        if secret["type"] == "Opaque":
            data = {k: base64.b64decode(v).decode() for k, v in (secret.get("data") or {}).items()}
            found |= _generated(data, f"Secret {secret['metadata']['name']}")
    SEEN.update(found)
    return found


def _kept(vault: Vault, component: str) -> Words:
    listed = vault.client.list(f"secret/metadata/platform/{component}")
    values: Words = {}
    for name in listed["data"]["keys"] if listed else []:
        path = f"platform/{component}/{name}"
        newest = vault.get(path)
        for version in range(1, newest.version + 1) if newest else ():
            kept = vault.get(path, version=version)
            values |= _generated(kept.values if kept else {}, path)
    return values


def _generated(data: Mapping[str, str], whose: str) -> Words:
    """Of a private key one line; whole files with a secret in them have it as a key of its own beside."""
    found: Words = {}
    for key, value in data.items():
        lines = value.strip().splitlines()
        if "PRIVATE KEY" in value:
            found[lines[1].encode()] = f"{whose}: {key}"
        elif key not in _PLAIN and len(lines) == 1 and len(value) >= _SHORTEST:
            found[value.encode()] = f"{whose}: {key}"
    return found


def left(state: Path) -> dict[str, bytes]:
    """Files of runs: journals, logs, evidence; Terraform's state; what Helm was given."""
    folders = ("runs", "terraform", "helm")
    return {
        str(file): file.read_bytes()
        for folder in folders
        for file in (state / folder).rglob("*")
        if file.is_file() and not file.is_symlink()
    }


def processes(platform: Platform) -> dict[str, bytes]:
    """What anybody on the machine can read of a process, and what it was given as environment."""
    found: dict[str, bytes] = {}
    for pid in cgroups.processes(platform.place.group):
        for what in ("cmdline", "environ"):
            found[f"{pid} {what}"] = proc.read(pid, what)
    return found


def inside(platform: Platform) -> dict[str, bytes]:
    """Helm's records, events, logs, and what Jobs and pods are made of."""
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


def nowhere(wanted: Words, places: Mapping[str, bytes]) -> None:
    hits = {
        (place, whose)
        for place, content in places.items()
        for word, whose in wanted.items()
        if word in content
    }
    assert not hits, sorted(hits)
