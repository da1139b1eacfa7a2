"""Owns the files and command lines of a node as they should be: read the golden files, not this."""

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


def test_configuration_files(golden: Golden) -> None:
    for name, text in config.render(a_node()).items():
        golden(GOLDEN / "config" / name.replace("/", "-"), text)


def test_command_lines(golden: Golden) -> None:
    lines = [" \\\n  ".join((f"# {d.name}", *d.argv)) for d in daemons(a_node())]
    golden(GOLDEN / "daemons.txt", "\n".join(lines).replace(sys.executable, "python") + "\n")


def test_addons(golden: Golden) -> None:
    manifests = addons.manifests(a_node(), "docker.io/local/coredns:1")
    golden(GOLDEN / "addons.json", json.dumps(manifests, indent=1) + "\n")


def test_coredns_is_built_with_the_plugins_of_its_corefile() -> None:
    manifests = addons.manifests(a_node(), "docker.io/local/coredns:1")
    (corefile,) = [m["data"]["Corefile"] for m in manifests if m["kind"] == "ConfigMap"]
    # The outermost blocks are servers, the lines in them plugins, deeper ones properties of a plugin.
    used = set(re.findall(r"^ {4}(\w+)", corefile, re.MULTILINE))
    main = (COREDNS.module / "main.go").read_text()
    assert used == set(re.findall(r'_ "github.com/coredns/coredns/plugin/(\w+)"', main)) != set()


def test_images_are_never_collected() -> None:
    """Above 85 % of the disk kubelet would delete the pause image, and no pod would ever start again."""
    kubelet = json.loads(config.render(a_node())["kubelet.json"])
    assert kubelet["imageGCHighThresholdPercent"] == 100


def test_no_secret_is_in_what_everybody_can_read() -> None:
    text = json.dumps([d.argv for d in daemons(a_node())]) + a_node().text()
    assert "PRIVATE KEY" not in text and "password" not in text
