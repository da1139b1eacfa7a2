"""The id of a folder is the one that git computes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mlops_platform.adapters.helm.git_tree import tree_id


def test_names_modes_links_and_order_are_those_of_git(tmp_path: Path) -> None:
    """Git sorts `a.b` before the folder `a`, and this before `a0`; it knows no empty folder."""
    folder, repository = tmp_path / "tree", tmp_path / "git"
    for name in ("a/z", "a.b", "a0", "déjà/vu", "B", "deep/er/file"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"contents of {name}\n")
    (folder / "a/empty").touch()
    (folder / "a0").chmod(0o755)
    (folder / "link").symlink_to("a/z")
    (folder / "folder").symlink_to("deep")
    git = ["git", f"--git-dir={repository}", f"--work-tree={folder}"]
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run([*git, *command], check=True)
    said = subprocess.run([*git, "write-tree"], check=True, capture_output=True, text=True)
    assert tree_id(folder) == said.stdout.strip()
