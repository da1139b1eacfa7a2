"""A module proxy as a folder, for Go's GOPROXY=file://…"""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path


def publish(proxy: Path, name: str, version: str, files: Mapping[str, str]) -> tuple[str, ...]:
    """Publish a module with these files, besides its go.mod; return its lines of go.sum.

    https://go.dev/ref/mod#goproxy-protocol, https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash#Hash1
    """
    folder = proxy / name / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    go_mod = f"module {name}\n\ngo 1.24\n"
    (folder / "list").write_text(f"{version}\n")
    (folder / f"{version}.info").write_text(json.dumps({"Version": version}))
    (folder / f"{version}.mod").write_text(go_mod)
    contents = {f"{name}@{version}/{path}": text for path, text in {"go.mod": go_mod, **files}.items()}
    with zipfile.ZipFile(folder / f"{version}.zip", "w") as packed:
        for path, text in contents.items():
            packed.writestr(path, text)
    return (
        f"{name} {version} {_hash(contents)}",
        f"{name} {version}/go.mod {_hash({'go.mod': go_mod})}",
    )


def _hash(files: Mapping[str, str]) -> str:
    lines = (f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in sorted(files.items()))
    return "h1:" + base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()
