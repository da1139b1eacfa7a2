"""Kubeconfigs that cannot be used, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.kube import kubeconfig
from mlops_platform.base.errors import StepError


def write(folder: Path, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Path:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [
            {"name": "k", "cluster": {"server": "https://10.0.0.1:6443/prefix/", **(cluster or {})}}
        ],
        "users": [{"name": "u", "user": user or {}}],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    return file


def test_address_prefix_and_token_are_read(tmp_path: Path) -> None:
    server = kubeconfig.read(write(tmp_path, user={"token": "t"}))
    assert (server.host, server.port, server.prefix) == ("10.0.0.1", 6443, "/prefix")
    assert server.headers == {"Authorization": "Bearer t"}
    assert server.tls.check_hostname


@pytest.mark.parametrize(
    ("cluster", "user", "what", "why"),
    [
        ({"server": "http://10.0.0.1"}, {}, "must be an https:// address", "http://10.0.0.1"),
        ({"insecure-skip-tls-verify": True}, {}, "insecure-skip-tls-verify is refused", ""),
        ({}, {"exec": {"command": "x"}}, "`exec` are not supported", ""),
        ({"certificate-authority": "absent.crt"}, {}, "cannot be used", "No such file"),
        ({"certificate-authority-data": "!"}, {}, "cannot be used", ""),
    ],
)
def test_what_cannot_be_used_says_why(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], what: str, why: str
) -> None:
    with pytest.raises(StepError) as refused:
        kubeconfig.read(write(tmp_path, cluster, user))
    assert what in refused.value.what
    assert why in refused.value.why


@pytest.mark.parametrize("text", ["", "[", "current-context: c", "current-context: c\ncontexts: []"])
def test_a_file_that_is_none_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(StepError, match="cannot be used as a kubeconfig"):
        kubeconfig.read(tmp_path / "kubeconfig")


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StepError) as refused:
        kubeconfig.read(tmp_path / "absent")
    assert "No such file" in refused.value.why
