"""Owns bringing the database to the schema of this version, before a server of this version starts.

The server refuses an older schema. Called in-process: `mlflow db upgrade` takes the URI, and with it
the password, as an argument that everybody on the node could read.
"""

from __future__ import annotations

from pathlib import Path

from mlflow.cli import cli

if __name__ == "__main__":
    cli(["db", "upgrade", Path("/run/secrets/database/uri").read_text()])
