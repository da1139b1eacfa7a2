"""Owns component.yaml: every key a component may have, read strictly."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from mlops_platform.base.groups import GROUPS, Group
from mlops_platform.base.quantities import cpu, memory
from mlops_platform.base.yaml import Strict

# In the order of installation: what people see grows downwards.
Layer = Literal[
    "nodes", "secrets", "data", "tracking", "orchestration", "access", "serving", "pipelines", "observability"
]
LAYERS: tuple[str, ...] = get_args(Layer)


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", value):
        raise ValueError("not a name | lower-case letters, digits and dashes, at most 30, a letter first")
    return value


def _pinned(value: str) -> str:
    """A version is exact: a range, a branch or 'latest' would make two runs two platforms."""
    if not re.fullmatch(r"v?\d+(\.\d+)*([-+.][0-9A-Za-z.-]+)?", value):
        raise ValueError("not a pinned version | write one exact version, such as 3.18.0")
    return value


def _digest(value: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", value):
        raise ValueError("not a digest | sha256: and 64 hexadecimal digits")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("not a network | such as 192.0.2.0/24, or 192.0.2.7/32 for one host") from None


def _path(value: str) -> str:
    """Such paths are written into a web server's configuration, so nothing in them may mean more there."""
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", value) or "//" in value or ".." in value:
        raise ValueError("not a path | such as /api/, with letters, digits and ._~-/ only")
    return value


Network = Annotated[str, AfterValidator(_network)]
Name = Annotated[str, AfterValidator(_name)]
UrlPath = Annotated[str, AfterValidator(_path)]
Pinned = Annotated[str, AfterValidator(_pinned)]
Digest = Annotated[str, AfterValidator(_digest)]
Port = Annotated[int, Field(ge=1, le=65535)]
Cpu = Annotated[str, AfterValidator(cpu)]
Memory = Annotated[str, AfterValidator(memory)]


class Served(Strict):
    """One port a component offers; `ui` says a person opens it in a browser.

    It is the Service's port and the container's: some network plugins match policies by the one, some
    by the other. What the gateway does with a `ui` is in docs/access.md.
    """

    port: Port
    scheme: Literal["http", "https", "tcp"] = "http"
    ui: bool = False
    login: str = Field(default="", description="How a person logs in, one line")
    host: Name = Field(default="", description="Its name below the domain; default: the component's")
    groups: list[Group] = Field(default=list(GROUPS), min_length=1, description="Who may enter")
    public: bool = Field(default=False, description="Nobody is asked who they are: only `paths` are open")
    paths: list[UrlPath] = Field(default_factory=list, description="Ends in /: all below it; else exactly it")
    bearer_paths: list[UrlPath] = Field(
        default_factory=list,
        alias="bearerPaths",
        description="Below these it checks an Authorization header itself",
    )
    logout_paths: list[UrlPath] = Field(
        default_factory=list,
        alias="logoutPaths",
        description="Its own sign-out pages, redirected to ours",
    )
    logout_page: str = Field(
        default="",
        alias="logoutPage",
        description="Page that clears what a browser keeps of it",
    )
    proxy_secret: Name = Field(
        default="",
        alias="proxySecret",
        description="One of needs.secrets: its `value` is sent with each request, in X-Platform-Proxy",
    )


class Engine(Strict):
    """How the secret store rotates the passwords of accounts: its database plugin, and what it is told.

    In `url` and `statement` {{…}} is the store's own, in `url` `${host}` and `${port}` are the provider's.
    """

    plugin: Name
    url: str
    statement: str
    options: dict[str, str] = Field(default_factory=dict)


class Provided(Strict):
    """A capability others require by its name, and how an account is made for one of them.

    Without `script` it is only a port others may reach. `script` runs as a Job in the `image`, with
    this component's Secret `<name>-<admin>` mounted at /run/secrets/admin and the new account's Secret
    at /run/secrets/account; running it twice is running it once. The account's Secret has host, port,
    user, password and name, and each of `keys`, a template of those.
    """

    port: Name = Field(description="Which of `serves` the others are led to")
    script: str = ""
    image: Name = "toolbox"
    admin: Name = ""
    login: str = Field(default="", description="Of an issuer: a module by which probes log in there")
    page: UrlPath = Field(default="", description="Of an issuer: where its login page lies")
    keys: dict[Name, str] = Field(default_factory=dict)
    engine: Engine | None = Field(
        default=None, description="The secret store rotates its accounts' passwords"
    )

    @model_validator(mode="after")
    def _whole(self) -> Provided:
        if bool(self.script) != bool(self.admin) or (self.keys and not self.script):
            raise ValueError("half an account | script and admin go together, keys need both")
        return self


class SecretNeed(Strict):
    """A generated Secret: `keys` are random, `bytes` of entropy each; `fixed` are no secrets."""

    keys: list[Name] = Field(default_factory=list)
    fixed: dict[str, str] = Field(default_factory=dict)
    bytes: Annotated[int, Field(ge=16, le=64)] = 24
    immutable: bool = Field(default=False, description="What is on its volumes can be read with no other")
    rotate: str = Field(
        default="", description="Script: brings a new value in, proves that the old is refused"
    )
    restart: bool = Field(
        default=True, description="Its pods take it at their start; else the script is enough"
    )
    image: Name = "toolbox"


class ClientNeed(Strict):
    """A client at the environment's OIDC issuer: `template`, filled in, becomes a file in a Secret.

    `${…}` may also name what steps/access/clients.py and environment/issuer.py know.
    """

    template: str
    redirects: list[str] = Field(min_length=1, description="Where the issuer may send people back to")


class Needs(Strict):
    """What must be made for a component before it starts; each becomes a Secret in its namespace.

    `database` and `bucket` give Secrets `<name>-database` and `<name>-bucket`, made at whichever
    component provides `sql` and `object-store`; `client` gives `<name>-client`, from the environment's
    OIDC issuer; `certificate` gives `<name>-certificate`, for every name below the domain; `secrets`
    gives `<name>-<key>`. With `pools` its account may change how many nodes the cluster's pools have:
    only a cluster can give that.
    """

    database: Name | None = None
    bucket: Name | None = None
    pools: bool = False
    client: ClientNeed | None = None
    certificate: bool = False
    secrets: dict[Name, SecretNeed] = Field(default_factory=dict)

    @property
    def anything(self) -> bool:
        """A secret, which whoever keeps secrets keeps."""
        return bool(self.database or self.bucket or self.client or self.certificate or self.secrets)


class Chart(Strict):
    """An official chart at an exact version; the archive's digest is checked at every download."""

    repo: str
    name: Name
    version: Pinned
    digest: Digest


class Kustomize(Strict):
    """A kustomize tree, for upstreams without a chart: an archive at a digest, and the folder in it."""

    repo: str
    ref: str
    path: str
    digest: Digest


class Embedded(Strict):
    """How the component runs where no chart and no registry is reachable: in-tree chart + built image."""

    chart: Literal["service"] = "service"
    image: Name
    values: str = "service.yaml"
    files: list[str] = Field(default_factory=list, description="Mounted below /files")


class Script(Strict):
    """A Python script in the component's folder that runs to its end in a Job.

    `secrets` are Secrets made for the component, each at /run/secrets/<its name in `needs`>.
    """

    script: str
    secrets: list[Name] = Field(default_factory=list)
    identity: bool = Field(default=False, description="It logs in at the secret store (platform_vault.py)")
    env: dict[str, str] = Field(default_factory=dict, description="No secrets; `${…}` as in values")
    memory: Memory = "512Mi"
    seconds: Annotated[int, Field(ge=1, le=3600)] = 300


class JobSpec(Script):
    """What must have run before the release rolls, such as a schema migration; called with its name."""

    name: Name
    image: Name


class SmokeSpec(Script):
    """Probes of one component: the script prints one JSON line a probe (smoke/probes.py).

    It is called with `probe`. `survives` names pods ("postgres-0", or "deployment/mlflow": all of that
    one) that are deleted between a `write` and a `read`; only where the environment allows disruption.
    `grace` is how many seconds they are given to end, where that is to be less than they ask for.
    """

    image: Name = "toolbox"
    survives: list[str] = Field(default_factory=list)
    files: list[str] = Field(default_factory=list, description="Files of the folder beside the script")
    people: bool = Field(default=False, description="Users for the test alone")
    grace: Annotated[int, Field(ge=1)] | None = None


class Resources(Strict):
    """What the component requests in all, for `check` and for sizing."""

    cpu: Cpu
    memory: Memory
    disk: Memory = "0"


class PodSecurity(Strict):
    """A lower pod-security level than `restricted`, for a namespace that cannot do without."""

    level: Literal["baseline", "privileged"]
    why: Annotated[str, Field(min_length=12)]


class Outside(Strict):
    """An address outside the cluster that a component's pods may reach."""

    cidr: Network
    port: Port
    why: Annotated[str, Field(min_length=12)]


class Component(Strict):
    """component.yaml: everything the house knows of a component."""

    name: Name
    layer: Layer
    summary: Annotated[str, Field(min_length=8, max_length=100)]
    version: Pinned
    namespace: Name
    requires: list[Name] = Field(default_factory=list)
    optional: list[Name] = Field(default_factory=list, description="As requires, but installed in any order")
    ingress: bool = Field(default=False, description="Stands in front of every port with `ui`")
    kube_api: bool = Field(default=False, alias="kubeApi", description="Its pods may reach the API server")
    webhooks: list[Port] = Field(default_factory=list, description="Ports the API server may reach")
    egress: list[Outside] = Field(default_factory=list)
    pod_security: PodSecurity | None = Field(default=None, alias="podSecurity")
    provides: dict[Name, Provided] = Field(default_factory=dict)
    serves: dict[Name, Served] = Field(default_factory=dict)
    needs: Needs = Needs()
    chart: Chart | None = None
    kustomize: Kustomize | None = None
    embedded: Embedded | None = None
    bundles: str = Field(default="", description="File: values for each way to people's own code it runs")
    jobs: list[JobSpec] = Field(default_factory=list)
    smoke: list[SmokeSpec] = Field(default_factory=list)
    resources: Resources

    @model_validator(mode="after")
    def _one_source(self) -> Component:
        if self.chart and self.kustomize:
            raise ValueError("both chart and kustomize | a component has one official source")
        if not (self.chart or self.kustomize or self.embedded):
            raise ValueError("no source | give chart, kustomize or embedded")
        return self
