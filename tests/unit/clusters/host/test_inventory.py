"""The inventory lists leftovers of a node, and marks foreign objects."""

from __future__ import annotations

from pathlib import Path

from mlops_platform.clusters.host.inventory import look, mounts_below
from mlops_platform.clusters.host.node.network import Link, judge

from tests.unit.clusters.host.made import a_node

_MOUNTS = r"""
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /state/demo/node rw - tmpfs none rw
31 27 0:41 / /state/demo/node/held rw - tmpfs none rw
32 27 0:42 / /state/demo/node/with\040space\134 rw shared:1 - tmpfs none rw
33 27 0:43 / /state/demo/node-two/held rw - tmpfs none rw
""".strip()


def test_only_mounts_below_the_folder_are_listed() -> None:
    assert mounts_below(Path("/state/demo/node"), _MOUNTS) == (
        Path("/state/demo/node/held"),
        Path("/state/demo/node/with space\\"),
    )


def test_interface_is_ours_by_its_alias() -> None:
    node = a_node()
    other: dict[str, object] = {"ifname": "eth0", "ifalias": node.alias}
    assert judge([other], node) is Link.NONE
    assert judge([other, {"ifname": node.interface}], node) is Link.FOREIGN
    assert judge([{"ifname": node.interface, "ifalias": "theirs"}], node) is Link.FOREIGN
    assert judge([{"ifname": node.interface, "ifalias": node.alias}], node) is Link.OURS


def test_files_and_empty_folders_are_listed(tmp_path: Path) -> None:
    node = a_node(tmp_path / "node")
    kubeconfig = tmp_path / "kubeconfig"
    assert look(node, kubeconfig) == ()
    node.folder.mkdir()
    assert [found.id for found in look(node, kubeconfig)] == [str(node.folder)]
    node.write()
    kubeconfig.write_text("")
    assert [(f.kind, f.id) for f in look(node, kubeconfig)] == [
        ("file", str(node.file)),
        ("file", str(kubeconfig)),
    ]
