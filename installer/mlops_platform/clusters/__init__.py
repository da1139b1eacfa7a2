"""The cluster providers: one package each, found by its name, each with `make`, and with
`options_model` where it can be asked for more than a version."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_platform.adapters.programs import Programs
    from mlops_platform.clusters.base import ClusterProvider, RemoteEnvironment
    from mlops_platform.environment.model import ClusterSpec, OptionsModel


def names() -> tuple[str, ...]:
    """What `cluster.provider` may say, without importing any of them."""
    return tuple(m.name for m in pkgutil.iter_modules(__path__) if m.ispkg)


def options_models() -> Mapping[str, OptionsModel]:
    """For each provider what gives its options model; calling it imports that provider."""
    return {name: partial(options_model, name) for name in names()}


def options_model(name: str) -> type[ClusterSpec]:
    """The strict model of an environment's `cluster:` section for one provider."""
    from mlops_platform.environment.model import ClusterSpec

    module = importlib.import_module(f"{__name__}.{name}")
    chosen = getattr(module, "options_model", None)
    model: type[ClusterSpec] = chosen() if chosen else ClusterSpec
    return model


def make(
    spec: ClusterSpec, environment: str, state: Path, programs: Programs, run: str = ""
) -> ClusterProvider:
    """The provider an environment asks for; the environment file has been checked against names().

    `spec` is of the provider's options model; `run` the id of the run this is for, '' when there is none.
    """
    module = importlib.import_module(f"{__name__}.{spec.provider}")
    provider: ClusterProvider = module.make(spec, environment, state, programs, run)
    return provider


def remotes() -> tuple[Callable[[str], Sequence[RemoteEnvironment]], ...]:
    """For each provider that can find environments made from elsewhere: what finds those of a region."""
    modules = (importlib.import_module(f"{__name__}.{name}") for name in names())
    return tuple(module.remotes for module in modules if hasattr(module, "remotes"))
