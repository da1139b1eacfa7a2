"""The gateway's nginx configuration from its routes: login, public paths, rejected requests."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from tests import ROOT

FOLDER = ROOT / "helm-values/gateway"
RESOLV = "search gateway.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n"
SECRETS = {"flows": "secret_of-flows0"}


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


def test_hosts_match_the_golden_file(launch: ModuleType, tmp_path: Path, update_golden: bool) -> None:
    seen = launch.written(plan(), RESOLV, SECRETS, tmp_path).replace(str(tmp_path), "PAGES")
    golden = ROOT / "tests/golden/gateway/hosts.conf"
    if update_golden:
        golden.write_text(seen)
    assert seen == golden.read_text()


def test_sign_out_page_may_run_only_its_own_script(launch: ModuleType, tmp_path: Path) -> None:
    text = launch.written(plan(), RESOLV, SECRETS, tmp_path)
    assert (tmp_path / "login.html").read_text() == "<script>leave()</script>"
    assert "default-src 'none'" in text and "script-src 'sha256-" in text


def test_unknown_names_below_the_domain_get_a_page_that_links_to_the_home_page(
    launch: ModuleType, tmp_path: Path
) -> None:
    without = {**plan(), "routes": []}
    assert "server_name *.mlops.localhost;" in launch.written(plan(), RESOLV, SECRETS, tmp_path)
    assert 'href="https://mlops.localhost:8443/"' in launch.written(plan(), RESOLV, SECRETS, tmp_path)
    assert "server_name .mlops.localhost;" in launch.written(without, RESOLV, {}, tmp_path)
    assert "There is no home page." in launch.written(without, RESOLV, {}, tmp_path)


@pytest.mark.parametrize("secret", ["a'; return 200; '", "a b", "a\nb", "$host"])
def test_proxy_secret_with_configuration_characters_is_refused(
    launch: ModuleType, tmp_path: Path, secret: str
) -> None:
    with pytest.raises(SystemExit):
        launch.written(plan(), RESOLV, {"flows": secret}, tmp_path)


def test_start_without_cluster_dns_fails_with_a_message(launch: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no DNS of a cluster"):
        launch.written(plan(), "nameserver 192.0.2.1\n", {}, tmp_path)


def test_every_location_that_proxies_overwrites_forgeable_headers() -> None:
    """nginx inherits headers only into a location without its own: each location must include them."""
    names = [
        line.split()[1] for line in (FOLDER / "upstream.conf").read_text().splitlines() if line[:5] == "proxy"
    ]
    assert len(names) == len(set(names)) > 30
    code = (FOLDER / "launch.py").read_text() + (FOLDER / "signed-in.conf").read_text()
    assert code.count("proxy_pass http") == code.count("include /files/upstream.conf;")
