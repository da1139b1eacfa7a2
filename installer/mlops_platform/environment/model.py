"""Owns the environment file: what `--env staging` means; strict, all problems in one pass."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SerializeAsAny, create_model

from mlops_platform.base.errors import ConfigurationError, Problem, UsageError
from mlops_platform.base.files import is_there
from mlops_platform.base.yaml import Document, Strict, check, load
from mlops_platform.catalogue.bundle import Bundle
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.catalogue.component import Outside
from mlops_platform.catalogue.fields import Cpu, Memory, Name, Pinned, Port
from mlops_platform.environment.checks import bundle_problems, cross_problems, named_provider


def _environment_name(value: str) -> str:
    """Names become interface, cgroup, namespace and bucket names: the shortest limit holds."""
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?", value):
        raise ValueError("not a name | lower-case letters, digits and dashes, at most 20, a letter first")
    return value


def _domain(value: str) -> str:
    label = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
    if len(value) > 200 or not re.fullmatch(rf"{label}(\.{label})+", value):
        raise ValueError("not a domain | such as mlops.example.com, lower case")
    return value


class ClusterSpec(Strict):
    """Which cluster provider, and what it is asked for; a provider's own keys are in a model of its own,
    made of this one (`options_model` in installer/clusters/__init__.py)."""

    provider: Name = Field(description="a folder or module in installer/mlops_platform/clusters/")
    version: Pinned | None = Field(default=None, description="Kubernetes version; default: the provider's")

    @classmethod
    def managed(cls, raw: Mapping[str, Any]) -> frozenset[str]:  # noqa: ARG003 - for models made of this one
        """Capabilities such a cluster brings with it, by the file's words, which may be wrong elsewhere."""
        return frozenset()


class _AnyCluster(ClusterSpec):
    """Of a provider nobody knows: what it is asked for cannot be checked."""

    model_config = ConfigDict(extra="ignore")


class ComponentSpec(Strict):
    """What an environment changes of one component."""

    cpu: Cpu | None = Field(default=None, description="CPU request, such as 250m")
    memory: Memory | None = Field(default=None, description="memory request and limit, such as 1Gi")
    disk: Memory | None = Field(default=None, description="size of its data volume, such as 20Gi")
    bundle: Bundle | None = Field(default=None, description="your own code that it runs")
    egress: list[Outside] = Field(default_factory=list, description="what its pods may reach outside")
    values: dict[str, Any] = Field(default_factory=dict, description="chart values, merged last")


def _url(value: str) -> str:
    if not re.fullmatch(r"https://[a-z0-9.-]+(:\d+)?(/[A-Za-z0-9._~/-]*)?", value):
        raise ValueError("not an issuer | an https URL without query, as in its tokens' `iss`")
    return value


class SecretKey(Strict):
    """A key of a Kubernetes Secret somebody else has made."""

    namespace: Name
    name: Name
    key: str


class Machines(Strict):
    """An issuer whose tokens machines may come with: Kubernetes, or a CI system."""

    issuer: Annotated[str, AfterValidator(_url)]
    audience: str = Field(min_length=1)


class OidcSpec(Strict):
    """An OIDC provider that is there already; who people are comes from it, and local users are not made."""

    issuer: Annotated[str, AfterValidator(_url)]
    client_id: str = Field(alias="clientId", min_length=1)
    client_secret_from: SecretKey = Field(alias="clientSecretFrom")
    groups_claim: str = Field(default="groups", alias="groupsClaim", min_length=1)
    machines: list[Machines] = Field(default_factory=list)


class SmokeChoice(Strict):
    """How far smoke tests may go here."""

    disruptive: bool = Field(default=False, description="may pods be deleted to prove that data survives?")


class Environment(Strict):
    """One environment file."""

    name: Annotated[str, AfterValidator(_environment_name)]
    summary: str = ""
    domain: Annotated[str, AfterValidator(_domain)]
    cluster: SerializeAsAny[ClusterSpec]
    port: Port = Field(default=443, description="where people enter, as in their browsers' addresses")
    oidc: OidcSpec | None = Field(default=None, description="default: whichever component is an issuer")
    components: dict[Name, ComponentSpec] = Field(min_length=1, description="what runs here")
    smoke: SmokeChoice = SmokeChoice()

    @property
    def issuer_ports(self) -> tuple[int, ...]:
        """Of the OIDC providers the environment names, its own and those of machines."""
        issuers = [self.oidc.issuer, *(m.issuer for m in self.oidc.machines)] if self.oidc else []
        return tuple(sorted({urlsplit(issuer).port or 443 for issuer in issuers}))

    @property
    def site(self) -> str:
        """The domain as browsers write it after a component's name: with its port, if that is not 443."""
        return self.domain if self.port == 443 else f"{self.domain}:{self.port}"


# Asked only of the provider that is named: the models of the others need not be loaded.
OptionsModel = Callable[[], type[ClusterSpec]]


@dataclass(frozen=True)
class Loaded:
    """An environment, the file it came from, and that file's name for people."""

    environment: Environment
    document: Document


def folders(shipped: Path) -> tuple[Path, ...]:
    """Where environment files are looked for; the first hit wins, so a user's own comes first."""
    own = os.environ.get("MLOPS_PLATFORM_ENVIRONMENTS")
    return (*((Path(own),) if own else ()), Path("environments"), shipped)


def find(name: str, shipped: Path) -> Path:
    """The file of an environment given by name or by path. Raises UsageError naming those that exist."""
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
    """Every environment that can be named, with its file."""
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
) -> Loaded:
    """Read and check one file against the catalogue. Raises ConfigurationError with every problem.

    `cluster_providers` gives for each provider the model of what it may be asked. `earlier` are the
    catalogue's own problems, so that one pass shows everything. `beside` is the folder that relative
    paths in the file start from; without it they are not looked at.
    """
    document = load(path)
    raw = document.data if isinstance(document.data, dict) else {}
    environment, problems = check(document, _model(raw, cluster_providers))
    broken = frozenset(Path(p.file).parent.name for p in earlier)
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
    """The model of an environment file, with what the cluster provider it names, or means, may be asked."""
    meant = difflib.get_close_matches(named_provider(raw), list(providers), 1)
    return _with_cluster(providers[meant[0]]() if meant else _AnyCluster)


def _with_cluster(cluster: Any) -> type[Environment]:
    return create_model("Environment", __base__=Environment, cluster=(cluster, ...))


def schema(providers: Iterable[OptionsModel]) -> dict[str, Any]:
    """The JSON Schema of an environment file, for editors."""
    clusters = tuple(model() for model in providers)
    result: dict[str, Any] = _with_cluster(Union[clusters]).model_json_schema()  # noqa: UP007 - of a tuple
    result["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    result["title"] = "mlops-platform environment"
    return result


def as_data(environment: BaseModel) -> dict[str, Any]:
    """Plain data for digests and for `env show`."""
    return environment.model_dump(mode="json", exclude_none=True)
