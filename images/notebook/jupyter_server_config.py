"""Configuration of a person's server."""

from __future__ import annotations

c = get_config()  # type: ignore[name-defined] # noqa: F821 - Jupyter gives it to this file

c.ServerApp.root_dir = "/home/work"
c.ServerApp.jpserver_extensions = {"platform_notebook": True}
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash"]}
c.FileContentsManager.delete_to_trash = False  # the trash would be on the same volume, and hidden
