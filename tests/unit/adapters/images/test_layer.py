"""Tests of layers: reproducible bytes, changes and removals against a base."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

from mlops_platform.adapters.images.layer import (
    Entry,
    file,
    fingerprints,
    folder,
    pack,
    placed,
    read_texts,
    text,
    tree,
    unpacked,
    without,
)
from mlops_platform.adapters.images.store import Packed
from mlops_platform.base.cancel import Cancel

KEY = "5" * 64


def make_tree(root: Path) -> Path:
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").write_text("tool")
    (root / "usr/bin/same").hardlink_to(root / "usr/bin/tool")
    (root / "bin").symlink_to("usr/bin")
    (root / "usr/empty").mkdir(mode=0o700)
    os.mkfifo(root / "usr/pipe")
    return root


def packed(entries: list[Entry], target: Path) -> Packed:
    return pack(entries, target, KEY, Cancel())


def plain(entries: list[Entry], target: Path) -> Path:
    packed(entries, target)
    return unpacked(target, target.with_name(f"{target.name}.plain"), Cancel())


def test_layer_does_not_depend_on_file_times(tmp_path: Path) -> None:
    first, second = make_tree(tmp_path / "a"), make_tree(tmp_path / "b")
    os.utime(second / "usr/bin/tool", (1, 1))
    one, two = packed(tree(first), tmp_path / "1"), packed(tree(second)[::-1], tmp_path / "2")
    assert one == two
    (second / "usr/bin/tool").chmod(0o755)
    assert packed(tree(second), tmp_path / "3") != one


def test_layer_has_hard_links_but_no_sockets_and_pipes(tmp_path: Path) -> None:
    layer = plain(tree(make_tree(tmp_path / "tree")), tmp_path / "layer")
    with tarfile.open(layer) as tar:
        kinds = {member.name: member.type for member in tar}
        assert len({member.mtime for member in tar}) == 1
    assert kinds == {
        "bin": tarfile.SYMTYPE,
        "usr": tarfile.DIRTYPE,
        "usr/bin": tarfile.DIRTYPE,
        "usr/bin/same": tarfile.REGTYPE,
        "usr/bin/tool": tarfile.LNKTYPE,
        "usr/empty": tarfile.DIRTYPE,
    }


def test_time_of_files_depends_on_key(tmp_path: Path) -> None:
    entries = [text("/a", "x")]
    assert pack(entries, tmp_path / "1", "1" * 64, Cancel()) != pack(entries, tmp_path / "2", KEY, Cancel())


def test_upper_layer_has_changes_and_whiteouts_only(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "tree")
    below = fingerprints([plain(tree(root), tmp_path / "base")])
    assert without(tree(root), below) == []
    (root / "usr/bin/tool").write_text("TOOL")  # the same size
    (root / "usr/empty").rmdir()
    (root / "usr/new").write_text("new")
    assert {entry.path for entry in without(tree(root), below)} == {
        "usr/bin/tool",
        "usr/bin/same",
        "usr/.wh.empty",
        "usr/new",
    }


def test_fingerprints_apply_whiteouts(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "tree")
    base = plain(tree(root), tmp_path / "base")
    seen = fingerprints([base])
    (root / "usr/bin/tool").unlink()
    (root / "usr/bin/same").unlink()
    (root / "usr/bin").rmdir()
    top = plain(without(tree(root), seen), tmp_path / "top")
    assert set(fingerprints([base, top])) == {"bin", "usr", "usr/empty"}
    assert read_texts([base], ["usr/bin/same", "bin", "nowhere"]) == {"usr/bin/same": "tool"}


def test_file_is_placed_through_links_of_base(tmp_path: Path) -> None:
    """A folder `bin` in place of the link would remove all of /usr/bin."""
    below = fingerprints([plain(tree(make_tree(tmp_path / "tree")), tmp_path / "base")])
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    found = {entry.path: entry for entry in placed([file("/bin/x/script", script)], below)}
    assert list(found) == ["usr", "usr/bin", "usr/bin/x", "usr/bin/x/script"]
    assert found["usr/bin/x/script"].mode == 0o755, "a mode is what git keeps: executable or not"


def test_folder_keeps_mode_of_lower_layer(tmp_path: Path) -> None:
    below = fingerprints([plain(tree(make_tree(tmp_path / "tree")), tmp_path / "base")])
    modes: Callable[[list[Entry]], dict[str, int]] = lambda entries: {e.path: e.mode for e in entries}  # noqa: E731
    assert modes(placed([text("/usr/empty/file", "")], below))["usr/empty"] == 0o700
    assert modes(placed([folder("/usr/empty/mine", 0o750, 5)], below))["usr/empty/mine"] == 0o750
