"""The part of the bucket that belongs to a workspace."""

from __future__ import annotations

_DEFAULT, _FOLDER = "default", "workspaces"


def inside(path: str, workspace: str | None) -> bool:
    """Tell whether a path below the bucket's root belongs to a workspace.

    The workspace `default` has what was there before workspaces: all but the folder of the others.
    """
    parts = path.split("/")
    if not workspace or {"", ".", ".."} & set(parts):
        return False
    if workspace == _DEFAULT:
        return parts[0] != _FOLDER
    return parts[:2] == [_FOLDER, workspace]


def path_of(uri: str, root: str) -> str | None:
    """Return the path of a URI below the bucket's root, '' for the root itself, None for another place."""
    uri, root = uri.rstrip("/"), root.rstrip("/")
    if uri == root:
        return ""
    return uri.removeprefix(f"{root}/") if uri.startswith(f"{root}/") else None
