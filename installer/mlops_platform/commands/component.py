"""`component new` and `component schema`."""

from __future__ import annotations

from pathlib import Path

from mlops_platform.console import Console


def run_new(console: Console, name: str, target: str) -> int:
    from mlops_platform.base.errors import UsageError
    from mlops_platform.base.paths import Paths
    from mlops_platform.catalogue.scaffold import new_component

    shipped = Paths.default().assets / "helm-values"
    if (shipped / name / "component.yaml").is_file():
        raise UsageError(f"{name}: a shipped component has this name", hint="choose another name")
    files = new_component(name, Path(target))
    folder = files[0].parent
    text = "\n".join(
        [
            f"{folder}: {', '.join(file.name for file in files)}",
            f"Add `{name}: {{}}` to `components` of an environment, then run `mlops-platform plan`.",
        ]
    )
    return console.done({"name": name, "folder": str(folder), "files": [str(file) for file in files]}, text)


def run_schema(console: Console) -> int:
    import json

    from mlops_platform.catalogue.reference import schema

    if console.json:
        return console.done(schema())
    console.raw(json.dumps(schema(), indent=2) + "\n")
    return 0
