"""Model of the environment file; reports all problems in one pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, SerializeAsAny

from mlops_platform.base.yaml import Strict
from mlops_platform.catalogue.bundle import Bundle
from mlops_platform.catalogue.component import Outside
from mlops_platform.catalogue.fields import Cpu, Memory, Name, Pinned, Port


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


class AnyCluster(ClusterSpec):
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
    extras: list[Name] = Field(default_factory=list, description="optional parts of the component, by name")
    values: dict[str, Any] = Field(default_factory=dict, description="chart values, merged last")
    source: Literal["present"] | None = Field(
        default=None,
        description="present: use the operator that the cluster has already; it is checked, and never "
        "changed or removed",
    )


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
    def installed(self) -> dict[str, ComponentSpec]:
        """The components that the platform installs: all but operators that the cluster has already."""
        return {name: spec for name, spec in self.components.items() if spec.source != "present"}

    @property
    def present(self) -> tuple[str, ...]:
        """The components that are operators of the cluster."""
        return tuple(name for name, spec in self.components.items() if spec.source == "present")

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
