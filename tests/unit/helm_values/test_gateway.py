"""Proves what the gateway makes of its routes: what is asked of whom, what is open, what it refuses."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from tests import ROOT

FOLDER = ROOT / "helm-values/gateway"
RESOLV = "search gateway.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n"
PROOFS = {"flows": "proof_of-flows0"}


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script of its pod, with the folder's files in place of the mounted ones."""
    spec = importlib.util.spec_from_file_location("gateway_launch", FOLDER / "launch.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FILES", FOLDER)
    return module


def plan() -> dict[str, object]:
    found: dict[str, object] = json.loads((ROOT / "tests/cases/gateway/routes.json").read_text())
    return found


def test_the_hosts_are_as_they_were(launch: ModuleType, tmp_path: Path, update_golden: bool) -> None:
    seen = launch.written(plan(), RESOLV, PROOFS, tmp_path).replace(str(tmp_path), "PAGES")
    golden = ROOT / "tests/golden/gateway/hosts.conf"
    if update_golden:
        golden.write_text(seen)
    assert seen == golden.read_text()


def test_a_page_for_those_who_leave_is_allowed_its_own_script_and_no_other(
    launch: ModuleType, tmp_path: Path
) -> None:
    text = launch.written(plan(), RESOLV, PROOFS, tmp_path)
    assert (tmp_path / "login.html").read_text() == "<script>leave()</script>"
    assert "default-src 'none'" in text and "script-src 'sha256-" in text


@pytest.mark.parametrize("proof", ["a'; return 200; '", "a b", "a\nb", "$host"])
def test_a_proof_that_would_be_configuration_is_refused(
    launch: ModuleType, tmp_path: Path, proof: str
) -> None:
    with pytest.raises(SystemExit):
        launch.written(plan(), RESOLV, {"flows": proof}, tmp_path)


def test_without_a_cluster_it_says_so(launch: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no DNS of a cluster"):
        launch.written(plan(), "nameserver 192.0.2.1\n", {}, tmp_path)


def test_every_header_a_client_could_forge_is_overwritten_in_every_location_that_passes_on() -> None:
    """nginx inherits these only where a location has none of its own: each must include them."""
    names = [
        line.split()[1] for line in (FOLDER / "upstream.conf").read_text().splitlines() if line[:5] == "proxy"
    ]
    assert len(names) == len(set(names)) > 30
    code = (FOLDER / "launch.py").read_text() + (FOLDER / "signed-in.conf").read_text()
    assert code.count("proxy_pass http") == code.count("include /files/upstream.conf;")
