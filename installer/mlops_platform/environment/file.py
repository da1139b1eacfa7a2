"""Environment files: found by name, read and checked against the catalogue; their JSON Schema."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from pydantic import BaseModel, create_model

from mlops_platform.base.errors import ConfigurationError, Problem, UsageError
from mlops_platform.base.files import is_there
from mlops_platform.base.yaml import Document, check, load
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.environment.checks import bundle_problems, cross_problems, named_provider
from mlops_platform.environment.model import AnyCluster, Environment, OptionsModel


@dataclass(frozen=True)
class Loaded:
    """Environment and the document it was read from."""

    environment: Environment
    document: Document


def folders(shipped: Path) -> tuple[Path, ...]:
    """Return the folders of environment files; the first with the file wins, the user's own come first."""
    own = os.environ.get("MLOPS_PLATFORM_ENVIRONMENTS")
    return (*((Path(own),) if own else ()), Path("environments"), shipped)


def find(name: str, shipped: Path) -> Path:
    """Find an environment's file by name or path. Raises UsageError with the names that exist."""
    if name.endswith((".yaml", ".yml")):
        if is_there(Path(name)):
            return Path(name)
        raise UsageError(f"{name}: no such file")
    for folder in folders(shipped):
        if is_there(folder / f"{name}.yaml"):
            return folder / f"{name}.yaml"
    known = ", ".join(available(shipped)) or "none"
    raise UsageError(
        f"no environment named {name}",
        why=f"known: {known}",
        hint=f"write environments/{name}.yaml; `mlops-platform env schema` prints its schema",
    )


def available(shipped: Path) -> Mapping[str, Path]:
    """Return every environment's name and file."""
    found: dict[str, Path] = {}
    for folder in reversed(folders(shipped)):
        found.update({path.stem: path for path in sorted(folder.glob("*.yaml"))})
    return dict(sorted(found.items()))


def read(
    path: Path,
    catalog: Catalog,
    cluster_providers: Mapping[str, OptionsModel],
    earlier: tuple[Problem, ...] = (),
    expected_name: str = "",
    beside: Path | None = None,
    *,
    ignore_unknown: bool = False,
) -> Loaded:
    """Read and check one file against the catalogue. Raises ConfigurationError with every problem.

    `cluster_providers` are the models of the providers' options. `earlier` are the problems of the
    catalogue, reported together with those of the file. `beside` is the folder of relative paths in the
    file; None: they are not checked. With `ignore_unknown`, components in no catalogue are no problem.
    """
    document = load(path)
    raw = document.data if isinstance(document.data, dict) else {}
    environment, problems = check(document, _model(raw, cluster_providers))
    broken = frozenset(Path(p.file).parent.name for p in earlier)
    if ignore_unknown and isinstance(raw.get("components"), dict):
        broken |= raw["components"].keys() - catalog.entries.keys()
    found = [
        *earlier,
        *problems,
        *cross_problems(document, raw, expected_name or path.stem, catalog, cluster_providers, broken),
        *bundle_problems(document, raw, catalog, beside),
    ]
    if found or environment is None:
        raise ConfigurationError(tuple(dict.fromkeys(found)))
    return Loaded(environment, document)


def _model(raw: Mapping[str, Any], providers: Mapping[str, OptionsModel]) -> type[Environment]:
    """Return the model of the file with the options of its provider, or of one with a close name."""
    meant = difflib.get_close_matches(named_provider(raw), list(providers), 1)
    return _with_cluster(providers[meant[0]]() if meant else AnyCluster)


def _with_cluster(cluster: Any) -> type[Environment]:
    return create_model("Environment", __base__=Environment, cluster=(cluster, ...))


def schema(providers: Iterable[OptionsModel]) -> dict[str, Any]:
    """Return the JSON Schema of an environment file, for editors."""
    clusters = tuple(model() for model in providers)
    result: dict[str, Any] = _with_cluster(Union[clusters]).model_json_schema()  # noqa: UP007 - of a tuple
    result["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    result["title"] = "mlops-platform environment"
    return result


def as_data(environment: BaseModel) -> dict[str, Any]:
    """Return plain data for digests and for `env show`."""
    return environment.model_dump(mode="json", exclude_none=True)
