"""Owns the search for secrets: every value there is or was, wherever a run leaves something."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from installer.adapters.helm.release import decode
from installer.adapters.kube import Kube
from installer.adapters.vault import Door
from installer.adapters.vault.session import Vault
from installer.clusters.host.node import cgroups
from tests.e2e.platform import ALL, Platform

_STORE, _PORT = "vault", 8200
_SHORTEST = 16  # what is generated is longer; users' names and ports stand in the same Secrets
_PLAIN = ("host", "user", "name", "uri", "endpoint", "region", "port")

# What the tests have seen, for the search after `down`.
SEEN: set[bytes] = set()


def door(platform: Platform) -> Door:
    return Door(Kube(platform.state / "kubeconfig"), _STORE, _STORE, _PORT)


def words(platform: Platform) -> set[bytes]:
    """Values in the store, of every version; in the cluster's Secrets; and passwords the store rotates."""
    found: set[str] = set()
    with door(platform).session() as vault:
        for component in ALL:
            found |= _kept(vault, component)
        for role in (vault.client.list("database/static-roles") or {"data": {"keys": []}})["data"]["keys"]:
            found.add((vault.read(f"database/static-creds/{role}") or {})["password"])
    for secret in door(platform).kube.list("v1", "Secret"):
        if secret["type"] == "Opaque":
            data = {k: base64.b64decode(v).decode() for k, v in (secret.get("data") or {}).items()}
            found |= set(_generated(data))
    SEEN.update(word.encode() for word in found)
    return {word.encode() for word in found}


def _kept(vault: Vault, component: str) -> set[str]:
    listed = vault.client.list(f"secret/metadata/platform/{component}")
    values: set[str] = set()
    for name in listed["data"]["keys"] if listed else []:
        path = f"platform/{component}/{name}"
        newest = vault.get(path)
        for version in range(1, newest.version + 1) if newest else ():
            kept = vault.get(path, version=version)
            values |= set(_generated(kept.values if kept else {}))
    return values


def _generated(data: Mapping[str, str]) -> Iterable[str]:
    """A certificate is for everybody; its key is not, and is searched for by one line of it."""
    for key, value in data.items():
        if key in _PLAIN or "BEGIN CERTIFICATE" in value or len(value) < _SHORTEST:
            continue
        lines = value.strip().splitlines()
        yield lines[1] if "PRIVATE KEY" in value else value if len(lines) == 1 else max(lines, key=len)


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
            try:
                found[f"{pid} {what}"] = Path(f"/proc/{pid}/{what}").read_bytes()
            except (FileNotFoundError, ProcessLookupError):  # it has ended since
                continue
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


def nowhere(wanted: Iterable[bytes], places: Mapping[str, bytes]) -> None:
    """Which words were found is not said: this goes to a log."""
    hits = {place for place, content in places.items() for word in wanted if word and word in content}
    assert not hits, sorted(hits)
