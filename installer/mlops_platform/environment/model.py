"""Model of the environment file; reports all problems in one pass."""

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
    """Check a name: it becomes an interface, cgroup, namespace and bucket name, with the shortest limit."""
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?", value):
        raise ValueError("not a name | use at most 20 lower-case letters, digits and dashes, a letter first")
    return value


def _domain(value: str) -> str:
    label = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
    if len(value) > 200 or not re.fullmatch(rf"{label}(\.{label})+", value):
        raise ValueError("not a domain | write one in lower case, such as mlops.example.com")
    return value


class ClusterSpec(Strict):
    """Cluster provider and its options. Each provider extends this model with its own keys."""

    provider: Name = Field(description="a folder or module in installer/mlops_platform/clusters/")
    version: Pinned | None = Field(default=None, description="Kubernetes version; default: the provider's")

    @classmethod
    def managed(cls, raw: Mapping[str, Any]) -> frozenset[str]:  # noqa: ARG003 - for models made of this one
        """Return the capabilities of the cluster, from raw data that can have other problems."""
        return frozenset()


class _AnyCluster(ClusterSpec):
    """Options of an unknown provider, which cannot be checked."""

    model_config = ConfigDict(extra="ignore")


class ComponentSpec(Strict):
    """Settings of one component."""

    cpu: Cpu | None = Field(default=None, description="CPU request, such as 250m")
    memory: Memory | None = Field(default=None, description="memory request and limit, such as 1Gi")
    disk: Memory | None = Field(default=None, description="size of its data volume, such as 20Gi")
    bundle: Bundle | None = Field(default=None, description="your code that the component runs")
    egress: list[Outside] = Field(
        default_factory=list, description="addresses outside the cluster that its pods may reach"
    )
    values: dict[str, Any] = Field(default_factory=dict, description="chart values, merged last")


def _url(value: str) -> str:
    match = re.fullmatch(r"https://[a-z0-9.-]+(?::([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?", value)
    if not match or not 0 < int(match[1] or 443) < 2**16:
        raise ValueError("not an issuer | write the `iss` of its tokens: an https URL without query")
    return value


class SecretKey(Strict):
    """Key of an existing Kubernetes Secret."""

    namespace: Name
    name: Name
    key: str


class Machines(Strict):
    """Issuer of tokens that machines may use: Kubernetes, or a CI system."""

    issuer: Annotated[str, AfterValidator(_url)]
    audience: str = Field(min_length=1)


class OidcSpec(Strict):
    """Existing OIDC provider, used in place of local users."""

    issuer: Annotated[str, AfterValidator(_url)]
    client_id: str = Field(alias="clientId", min_length=1)
    client_secret_from: SecretKey = Field(alias="clientSecretFrom")
    groups_claim: str = Field(default="groups", alias="groupsClaim", min_length=1)
    machines: list[Machines] = Field(default_factory=list)


class SmokeChoice(Strict):
    """Permissions of smoke tests."""

    disruptive: bool = Field(
        default=False, description="true: smoke tests may delete pods, to check that data survives"
    )


class Environment(Strict):
    """One environment file."""

    name: Annotated[str, AfterValidator(_environment_name)]
    summary: str = ""
    domain: Annotated[str, AfterValidator(_domain)]
    cluster: SerializeAsAny[ClusterSpec]
    port: Port = Field(default=443, description="port in browsers' addresses")
    oidc: OidcSpec | None = Field(default=None, description="default: the chosen component that is an issuer")
    components: dict[Name, ComponentSpec] = Field(min_length=1, description="what runs here")
    smoke: SmokeChoice = SmokeChoice()

    @property
    def issuer_ports(self) -> tuple[int, ...]:
        """Ports of the OIDC providers that the environment names, those of machines included."""
        issuers = [self.oidc.issuer, *(m.issuer for m in self.oidc.machines)] if self.oidc else []
        return tuple(sorted({urlsplit(issuer).port or 443 for issuer in issuers}))

    @property
    def site(self) -> str:
        """Domain in browsers' addresses: with the port if that is not 443."""
        return self.domain if self.port == 443 else f"{self.domain}:{self.port}"


# Only the model of the named provider is loaded.
OptionsModel = Callable[[], type[ClusterSpec]]


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
    return _with_cluster(providers[meant[0]]() if meant else _AnyCluster)


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
