"""`env list`, `env show` and `env schema`."""

from __future__ import annotations

from mlops_platform.console import Console


def run_list(console: Console) -> int:
    """List all environments that have a file, and those made on this machine whose file is gone."""
    from mlops_platform.base.humanize import table
    from mlops_platform.base.paths import Paths
    from mlops_platform.environment.file import available
    from mlops_platform.run.open import RECORDED, shipped_environments

    home = Paths.default().home
    files = {name: str(path) for name, path in available(shipped_environments()).items()}
    made = {p.parent.name: str(p) for p in sorted(home.glob(f"*/{RECORDED}"))}
    rows = []
    for name, file in sorted((made | files).items()):
        up = (home / name / "kubeconfig").exists()
        rows.append({"name": name, "state": "up" if up else "-", "file": file})
    cells = [(row["name"], row["state"], row["file"]) for row in rows]
    return console.done({"environments": rows}, table(("name", "here", "file"), cells))


def run_remote(console: Console, region: str) -> int:
    """List all environments found by their tags, from any machine."""
    from datetime import UTC, datetime

    from mlops_platform.console.screens import environments
    from mlops_platform.run.remote import remotes

    found = remotes(region)
    rows = [{key: value for key, value in vars(each).items() if key != "file"} for each in found]
    return console.done({"environments": rows}, environments(found, datetime.now(UTC)))


def run_show(console: Console) -> int:
    from mlops_platform.base.yaml import dump
    from mlops_platform.environment.file import as_data
    from mlops_platform.run.open import open_environment

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    data = as_data(opened.environment)
    head = [f"# {opened.file}"]
    if console.verbose:
        head.append(f"# state: {opened.state}")
    return console.done(data, "\n".join([*head, dump(data).rstrip()]))


def run_schema(console: Console) -> int:
    import json

    from mlops_platform.clusters import options_models
    from mlops_platform.environment.file import schema

    found = schema(options_models().values())
    if console.json:
        return console.done(found)
    console.raw(json.dumps(found, indent=2) + "\n")
    return 0
