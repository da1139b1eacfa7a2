"""Logs of long-running programs are shortened and keep their recent part."""

from __future__ import annotations

from pathlib import Path

from mlops_platform.clusters.host.node.init import shorten


def test_long_log_is_rotated_during_writes(tmp_path: Path) -> None:
    file = tmp_path / "etcd.log"
    with file.open("ab", buffering=0) as log:
        log.write(b"x" * 100)
        shorten(tmp_path, 100)
        assert not (tmp_path / "etcd.log.1").exists()
        log.write(b"y")
        shorten(tmp_path, 100)
        log.write(b"z")
    assert (tmp_path / "etcd.log.1").read_bytes() == b"x" * 100 + b"y"
    assert file.read_bytes() == b"z"
