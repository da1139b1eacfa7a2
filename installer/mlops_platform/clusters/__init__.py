"""The cluster providers: one package each, found by its name.

Every package has `cluster.make`; where an environment can ask for more than a version, `options.Options`;
where environments of other machines can be found, `environments.remotes`.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_platform.adapters.programs import Programs
    from mlops_platform.clusters.base import Cluster
    from mlops_platform.clusters.leftovers import RemoteEnvironment
    from mlops_platform.environment.model import ClusterSpec, OptionsModel


def names() -> tuple[str, ...]:
    """The values that `cluster.provider` may have; imports none of them."""
    return tuple(m.name for m in pkgutil.iter_modules(__path__) if m.ispkg)


def options_models() -> Mapping[str, OptionsModel]:
    """For each provider a function that returns its options model; calling it imports that provider."""
    return {name: partial(options_model, name) for name in names()}


def options_model(name: str) -> type[ClusterSpec]:
    """The strict model of an environment's `cluster:` section for one provider."""
    from mlops_platform.environment.model import ClusterSpec  # imported at use: start-up time

    module = _module(name, "options")
    model: type[ClusterSpec] = module.Options if module else ClusterSpec
    return model


def make(spec: ClusterSpec, environment: str, state: Path, programs: Programs, run: str = "") -> Cluster:
    """The cluster an environment asks for; the environment file has been checked against names().

    `spec` is an instance of the provider's options model; `run` is the run's id, '' without a run.
    """
    cluster: Cluster = _module(spec.provider, "cluster").make(spec, environment, state, programs, run)
    return cluster


def remotes() -> tuple[Callable[[str], Sequence[RemoteEnvironment]], ...]:
    """For each provider that can find environments of other machines: the function that lists a region's."""
    modules = (_module(name, "environments") for name in names())
    return tuple(module.remotes for module in modules if module)


def _module(provider: str, part: str) -> Any:
    """A module of a provider's package; None when it has none."""
    full = f"{__name__}.{provider}.{part}"
    return importlib.import_module(full) if importlib.util.find_spec(full) else None
