"""Kubeconfigs of every broken shape: an error that names the mistake, a hint and a command, no traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.connection import Connection
from mlops_platform.adapters.kube.kubeconfig import KubeconfigError, one_context

GOOD: dict[str, Any] = {
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    "clusters": [{"name": "k", "cluster": {"server": "https://10.0.0.1:6443/prefix/"}}],
    "users": [{"name": "u", "user": {}}],
}


OIDC = {"id-token": "e30.eyJleHAiOjB9.e30", "idp-certificate-authority-data": "a"}


def write(folder: Path, config: Any) -> Path:
    file = folder / "kubeconfig"
    file.write_text(config if isinstance(config, str) else json.dumps(config))
    return file


def cluster(**section: Any) -> dict[str, Any]:
    described = {"server": "https://10.0.0.1", **{k.replace("_", "-"): v for k, v in section.items()}}
    return {**GOOD, "clusters": [{"name": "k", "cluster": described}]}


def user(section: Any) -> dict[str, Any]:
    return {**GOOD, "users": [{"name": "u", "user": section}]}


def test_address_and_prefix_are_read(tmp_path: Path) -> None:
    connection = Kube(write(tmp_path, GOOD)).connection
    assert isinstance(connection, Connection)
    assert (connection.host, connection.port, connection.prefix) == ("10.0.0.1", 6443, "/prefix")


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("", "must be a mapping"),
        ("[]", "must be a mapping"),
        ("text", "must be a mapping"),
        ("[", "not YAML"),
        ("a: &a [*a]", "kubeconfig:1"),
        ("\0", "kubeconfig:1"),
        ("[" * 200_000, "kubeconfig:1"),
        ({}, "current-context is missing"),
        ({"current-context": 1}, "current-context is missing"),
        ({"current-context": "c"}, "no context c; the file has: none"),
        ({**GOOD, "current-context": "d"}, "no context d; the file has: c"),
        ({**GOOD, "contexts": {}}, "no context c"),
        ({**GOOD, "contexts": {"c": {}}}, "contexts must be a list"),
        ({**GOOD, "contexts": ["c"]}, "each of contexts must be a mapping"),
        ({**GOOD, "contexts": [{"name": "c"}]}, "context c names no cluster"),
        ({**GOOD, "contexts": [{"name": "c", "context": {"cluster": ["k"]}}]}, "must be a string"),
        ({**GOOD, "contexts": [{"name": "c", "context": "k"}]}, "context c must be a mapping"),
        ({**GOOD, "clusters": None}, "no cluster k"),
        ({**GOOD, "users": []}, "no user u"),
        (user("t"), "user u must be a mapping"),
        (user({"token": 7}), "token of a user must be a string"),
        (user({"client-certificate": "absent.crt"}), "absent.crt"),
        (user({"client-certificate-data": "!"}), "Error"),
        (user({"tokenFile": "absent"}), "tokenFile"),
        (user({"tokenFile": "."}), "tokenFile"),
        (user({"tokenFile": "\0"}), "NUL byte"),
        (user({"tokenFile": "/dev/zero"}), "is not a file"),
        (user({"auth-provider": "oidc"}), "must be oidc"),
        (user({"auth-provider": {"name": "oidc"}}), "mapping of strings"),
        (user({"auth-provider": {"name": "oidc", "config": {"id-token": 1}}}), "mapping of strings"),
        (user({"auth-provider": {"name": "oidc", "config": {}}}), "no id-token"),
        (user({"auth-provider": {"name": "oidc", "config": {"id-token": "a.!.c"}}}), "no usable id-token"),
        (cluster(server=None), "https:// address"),
        (cluster(server="http://10.0.0.1"), "https:// address, not http://10.0.0.1"),
        (cluster(server="https://"), "https:// address"),
        (cluster(server="https://[::1"), "https:// address"),
        (cluster(server="https://a:port"), "https:// address"),
        (cluster(server=[]), "server of a cluster must be a string"),
        (cluster(certificate_authority="absent.crt"), "absent.crt"),
        (cluster(certificate_authority="."), "does not exist"),
        (cluster(certificate_authority="\0"), "NUL byte"),
        (cluster(certificate_authority_data="!"), "Error"),
        (cluster(certificate_authority_data="YWJj"), "Error"),
        (cluster(insecure_skip_tls_verify="yes"), "must be true or false"),
        (cluster(proxy_url="a b"), "invalid character"),
        (user({"auth-provider": {"name": "oidc", "config": OIDC}}), "Error"),
        (cluster(insecure_skip_tls_verify=True, certificate_authority="ca.crt"), "exclude each other"),
    ],
)
def test_broken_kubeconfig_names_its_mistake(tmp_path: Path, config: Any, why: str) -> None:
    file = write(tmp_path, config)
    with pytest.raises(KubeconfigError) as wrong:
        Kube(file)
    assert wrong.value.what == f"{file}: cannot be used as a kubeconfig"
    assert why in wrong.value.why
    assert wrong.value.hint and wrong.value.command.startswith(f"kubectl --kubeconfig {file}")


@pytest.mark.parametrize("kind", ["absent", "folder", "fifo", "loop", "nul"])
def test_path_that_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a\0b" if kind == "nul" else kind)
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    with pytest.raises(KubeconfigError):
        one_context(path, "c")


def test_context_without_user_is_anonymous_and_paths_become_absolute(tmp_path: Path) -> None:
    section = {"certificate-authority": "pki/ca.crt"}
    config = {**cluster(**section), "contexts": [{"name": "c", "context": {"cluster": "k"}}]}
    chosen = one_context(write(tmp_path, config))
    assert chosen["users"] == []
    assert chosen["clusters"][0]["cluster"]["certificate-authority"] == f"{tmp_path}/pki/ca.crt"
    exec_user = user({"exec": {"command": "./bin/login"}, "tokenFile": "/abs"})
    section = one_context(write(tmp_path, exec_user))["users"][0]["user"]
    assert section == {"exec": {"command": f"{tmp_path}/bin/login"}, "tokenFile": "/abs"}
