"""The configuration files and command lines of a node, in golden files."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from mlops_platform.clusters.host import addons, config
from mlops_platform.clusters.host.cluster import COREDNS
from mlops_platform.clusters.host.daemons import daemons

from tests.unit.clusters.host.made import a_node

GOLDEN = Path(__file__).parent / "golden"
Golden = Callable[[Path, str], None]


def test_configuration_files_match_golden(golden: Golden) -> None:
    for name, text in config.render(a_node()).items():
        golden(GOLDEN / "config" / name.replace("/", "-"), text)


def test_command_lines_match_golden(golden: Golden) -> None:
    lines = [" \\\n  ".join((f"# {d.name}", *d.argv)) for d in daemons(a_node())]
    golden(GOLDEN / "daemons.txt", "\n".join(lines).replace(sys.executable, "python") + "\n")


def test_addons_match_golden(golden: Golden) -> None:
    manifests = addons.manifests(a_node(), "docker.io/local/coredns:1")
    golden(GOLDEN / "addons.json", json.dumps(manifests, indent=1) + "\n")


def test_coredns_is_built_with_the_plugins_of_its_corefile() -> None:
    manifests = addons.manifests(a_node(), "docker.io/local/coredns:1")
    (corefile,) = [m["data"]["Corefile"] for m in manifests if m["kind"] == "ConfigMap"]
    # The outermost blocks are servers, their lines plugins, deeper lines properties of a plugin.
    used = set(re.findall(r"^ {4}(\w+)", corefile, re.MULTILINE))
    main = (COREDNS.module / "main.go").read_text()
    assert used == set(re.findall(r'_ "github.com/coredns/coredns/plugin/(\w+)"', main)) != set()


def test_image_garbage_collection_is_disabled() -> None:
    """Above 85 % disk use kubelet would delete the pause image, and no pod could start."""
    kubelet = json.loads(config.render(a_node())["kubelet.json"])
    assert kubelet["imageGCHighThresholdPercent"] == 100


def test_configuration_has_no_secret() -> None:
    text = json.dumps([d.argv for d in daemons(a_node())]) + a_node().text()
    assert "PRIVATE KEY" not in text and "password" not in text
