"""cgroup hierarchies of version 1, 2 and both are parsed."""

from __future__ import annotations

from pathlib import Path

from mlops_platform.clusters.host.node.cgroups import ROOT, Hierarchy, parse

_HYBRID = """\
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
"""
_PURE = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
_ELSEWHERE = "30 23 0:26 / /run/somewhere rw - cgroup2 cgroup2 rw\n"


def test_version_1_beside_version_2_is_parsed() -> None:
    assert parse(_HYBRID) == (
        Hierarchy(ROOT / "cpu,cpuacct", 1, "cpu,cpuacct"),
        Hierarchy(ROOT / "systemd", 1, "xattr,name=systemd"),
        Hierarchy(ROOT / "unified", 2, ""),
    )


def test_version_2_alone_is_parsed() -> None:
    assert parse(_PURE) == (Hierarchy(ROOT, 2, ""),)


def test_hierarchy_mounted_elsewhere_is_ignored() -> None:
    assert parse(_ELSEWHERE) == ()


def test_version_2_beside_version_1_enables_no_controllers() -> None:
    """A write to the root's subtree_control would change the machine."""
    assert Hierarchy(Path("/sys/fs/cgroup/unified"), 2, "").controllers == ()
    assert Hierarchy(ROOT / "cpu", 1, "cpu").controllers == ()
