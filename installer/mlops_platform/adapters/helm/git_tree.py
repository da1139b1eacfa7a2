"""The id that git gives to a folder: it is the same in every clone, and in every archive of a commit.

Code hosts do not promise that an archive keeps its bytes; its contents do. `git rev-parse v1.2.3^{tree}`
prints the id. https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_FOLDER, _FILE, _PROGRAM, _LINK = b"40000", b"100644", b"100755", b"120000"


def tree_id(folder: Path) -> str:
    """40 hex digits for the files below a folder: their names, contents and executable bits."""
    return _tree(folder).hex()


def _tree(folder: Path) -> bytes:
    entries = []
    for entry in os.scandir(folder):
        name = os.fsencode(entry.name)
        if entry.is_dir(follow_symlinks=False):
            # Git sorts a folder as if its name ended with a slash.
            entries.append((name + b"/", _FOLDER, name, _tree(Path(entry.path))))
        elif entry.is_symlink():
            entries.append((name, _LINK, name, _object(b"blob", os.fsencode(Path(entry.path).readlink()))))
        else:
            mode = _PROGRAM if entry.stat().st_mode & 0o100 else _FILE
            entries.append((name, mode, name, _object(b"blob", Path(entry.path).read_bytes())))
    lines = (b"%s %s\0%s" % (mode, name, digest) for _, mode, name, digest in sorted(entries))
    return _object(b"tree", b"".join(lines))


def _object(kind: bytes, content: bytes) -> bytes:
    # SHA-1 because git has it: who can make two such trees is upstream itself.
    return hashlib.sha1(b"%s %d\0%s" % (kind, len(content), content), usedforsecurity=False).digest()
