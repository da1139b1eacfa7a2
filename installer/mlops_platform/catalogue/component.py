"""The model of component.yaml: every key that a component may have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from mlops_platform.base.quantities import to_bytes, to_cores
from mlops_platform.base.yaml import Strict
from mlops_platform.catalogue.fields import (
    ApiGroup,
    Cpu,
    Digest,
    FileName,
    FolderPath,
    GitTree,
    Memory,
    Name,
    Network,
    Pinned,
    Port,
    PortName,
    VariableName,
    Why,
)
from mlops_platform.catalogue.needs import Needs, Provided, renamed
from mlops_platform.catalogue.operator import ClusterRight, Extra, Module, WebhookCertificate
from mlops_platform.catalogue.projects import PipelinesPart, ProjectsPart, ScoreSpec
from mlops_platform.catalogue.scripts import JobSpec, Script, SmokeSpec
from mlops_platform.catalogue.served import Served

# In the order of installation, as screens list them.
Layer = Literal[
    "nodes", "secrets", "data", "tracking", "orchestration", "access", "serving", "pipelines", "observability"
]
LAYERS: tuple[str, ...] = get_args(Layer)


class Chart(Strict):
    """An official chart at an exact version. Its digest is checked at every download."""

    repo: str = Field(description="https://… or oci://…")
    name: Name = Field(description="Name of the chart in the repository")
    version: Pinned = Field(description="Exact version of the chart")
    digest: Digest = Field(description="sha256:… of the archive")


class Kustomize(Strict):
    """A kustomize tree, for upstreams without a chart."""

    repo: str = Field(description="URL of the repository")
    ref: str = Field(description="Tag or commit")
    path: str = Field(default="", description="Folder of the kustomization in it")
    overlay: FolderPath | Literal[""] = Field(
        default="",
        description="In place of a path: folder with a kustomization.yaml of ours. Its `resources` are its "
        "own files, and folders of the repository below `upstream/`. Template variables as in values.yaml",
    )
    tree: GitTree = Field(
        description="What `git rev-parse <ref>^{tree}` prints: it pins the contents. Archives of code hosts "
        "do not keep their bytes"
    )

    @model_validator(mode="after")
    def _one_form(self) -> Kustomize:
        if bool(self.path) == bool(self.overlay):
            raise ValueError("not one kustomization | give a path or an overlay")
        return self


class Embedded(Strict):
    """The in-tree chart with an image built here, for clusters that reach no chart repository."""

    chart: Literal["service"] = Field(default="service", description="Name of the chart")
    image: Name = Field(description="Name of an image recipe: the folder of its image.yaml")
    values: FileName = Field(default="service.yaml", description="Values of the chart")
    files: list[FileName] = Field(default_factory=list, description="Files of the folder, mounted at /files")
    images: dict[VariableName, Name] = Field(
        default_factory=dict,
        description="Further image recipes, of pods that it creates, by their name in template variables: "
        "`${image_x}` in its values",
    )


class Resources(Strict):
    """The total requests of the component."""

    cpu: Cpu = Field(description="CPU request")
    memory: Memory = Field(description="Memory request and limit")
    disk: Memory = Field(default="0", description="Size of its data volume")

    @model_validator(mode="after")
    def _some(self) -> Resources:
        if not to_cores(self.cpu) or not to_bytes(self.memory):
            raise ValueError("cpu and memory must be more than 0 | what the component needs at least")
        return self


class PodSecurity(Strict):
    """A pod-security level of the namespace below `restricted`."""

    level: Literal["baseline", "privileged"] = Field(description="Pod-security level")
    why: Why = Field(description="Reason, one line")


class Outside(Strict):
    """An address outside the cluster that a component's pods may reach."""

    cidr: Network = Field(description="Network, such as 192.0.2.0/24")
    port: Port = Field(description="TCP port")
    why: Why = Field(description="Reason, one line")


class Component(Strict):
    """component.yaml: everything the platform knows of a component."""

    model_config = renamed(reaches="optional", routes="ingress")

    name: Name = Field(description="The folder's name: lower-case letters, digits, dashes; at most 30")
    layer: Layer = Field(description="Group in which screens show it")
    summary: Annotated[str, Field(min_length=8, max_length=100)] = Field(description="One line")
    version: Pinned = Field(description="Exact version of the program")
    namespace: Name = Field(description="Its own namespace: its identity in the network")
    requires: list[Name] = Field(
        default_factory=list,
        description="Components or capabilities that are installed before it; it may reach their ports",
    )
    optional: list[Name] = Field(
        default_factory=list,
        description="Components or capabilities that it may reach if they are present, in any order",
    )
    ingress: bool = Field(default=False, description="true: it is the ingress of every port with `ui`")
    kube_api: bool = Field(
        default=False, alias="kubeApi", description="true: its pods may reach the API server"
    )
    api_group: ApiGroup = Field(
        default="",
        alias="apiGroup",
        description="API group of the objects that it manages: an operator that a cluster has already is "
        "found by it",
    )
    kubelets: bool = Field(
        default=False, description="true: its pods may reach the kubelet of every node, port 10250"
    )
    webhooks: list[Port] = Field(
        default_factory=list, description="Ports of its pods that the API server may reach"
    )
    egress: list[Outside] = Field(
        default_factory=list, description="Addresses outside the cluster that its pods may reach"
    )
    pod_security: PodSecurity | None = Field(
        default=None, alias="podSecurity", description="If it cannot run with the level `restricted`"
    )
    provides: dict[Name, Provided] = Field(
        default_factory=dict, description="Capabilities, by name, that other components require"
    )
    serves: dict[PortName, Served] = Field(default_factory=dict, description="Its ports, by name")
    needs: Needs = Field(default=Needs(), description="What is made for it before it starts")
    chart: Chart | None = Field(default=None, description="Official chart; its values are in values.yaml")
    kustomize: Kustomize | None = Field(default=None, description="In place of a chart")
    module: Module | None = Field(
        default=None, description="Upstream's chart in a Go module; its values are in values.yaml"
    )
    embedded: Embedded | None = Field(
        default=None, description="In-tree chart with an image built here; its values are in service.yaml"
    )
    webhook_certificate: WebhookCertificate | None = Field(
        default=None, alias="webhookCertificate", description="Certificate for webhooks of a `module`"
    )
    cluster_rights: list[ClusterRight] = Field(
        default_factory=list,
        alias="clusterRights",
        description="Rights of a `module` or `kustomize` release outside of its namespace",
    )
    objects: list[FileName] = Field(
        default_factory=list,
        description="Files of custom resources and admission policies, applied when the release is ready and "
        "its webhooks answer",
    )
    extras: dict[Name, Extra] = Field(
        default_factory=dict, description="Optional parts that an environment may choose, by name"
    )
    bundles: FileName = Field(
        default="", description="File with values for each kind of bundle: people's own code that it runs"
    )
    jobs: list[JobSpec] = Field(default_factory=list, description="Scripts that run before the release")
    smoke: list[SmokeSpec] = Field(default_factory=list, description="Smoke tests")
    projects: ProjectsPart | None = Field(
        default=None, description="What it gives to projects, and does for them"
    )
    resources: Resources = Field(description="What it requests in all")

    @model_validator(mode="after")
    def _one_source(self) -> Component:
        official = [name for name in ("chart", "kustomize", "module") if getattr(self, name)]
        if len(official) > 1:
            raise ValueError(f"both {' and '.join(official)} | a component has one official source")
        if self.module and self.embedded:
            raise ValueError("both module and embedded | a module is the same on every cluster")
        if not (official or self.embedded):
            raise ValueError("no source | give chart, kustomize, module or embedded")
        if self.extras and not self.module:
            raise ValueError("extras without module | they are objects of an operator")
        if self.webhook_certificate and not self.module:
            raise ValueError("webhookCertificate without module | an official chart makes its own")
        if self.cluster_rights and not (self.module or self.kustomize):
            raise ValueError("clusterRights without module or kustomize | only these releases are checked")
        return self

    def with_extras(self, names: Iterable[str]) -> Component:
        """The component with the objects, images and smoke tests of these extras."""
        chosen = [self.extras[name] for name in names]
        if not (chosen and self.module):
            return self
        images = self.module.images | {key: recipe for each in chosen for key, recipe in each.images.items()}
        objects = [*self.objects, *(file for each in chosen for file in each.objects)]
        module = self.module.model_copy(update={"images": images})
        smoke = [*self.smoke, *(test for each in chosen for test in each.smoke)]
        return self.model_copy(update={"objects": objects, "module": module, "smoke": smoke})

    @property
    def overlay(self) -> str:
        """The folder with a kustomization of ours on upstream's; '' without one."""
        source = self.module or self.kustomize
        return source.overlay if source else ""

    @property
    def proxy_secrets(self) -> dict[str, Served]:
        """The keys of needs.secrets that the ingress sends, with their UIs."""
        return {served.proxy_secret: served for served in self.serves.values() if served.proxy_secret}

    @property
    def scripts(self) -> list[tuple[tuple[str | int, ...], Script]]:
        """Every script that runs in a Job, with its place in the file."""
        found: list[tuple[tuple[str | int, ...], Script]] = [
            (("jobs", i), job) for i, job in enumerate(self.jobs)
        ]
        found += [(("smoke", i), smoke) for i, smoke in enumerate(self.smoke)]
        if self.projects:
            found.append((("projects",), self.projects))
        if self.score:
            found.append((("projects", "models", "score"), self.score))
        if self.pipelines:
            found.append((("projects", "pipelines"), self.pipelines))
        return found

    @property
    def score(self) -> ScoreSpec | None:
        """The script that scores a batch with a model of its registry."""
        models = self.projects.models if self.projects else None
        return models.score if models else None

    @property
    def pipelines(self) -> PipelinesPart | None:
        """The script that runs pipelines of projects."""
        return self.projects.pipelines if self.projects else None

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """Names, after `<component>-`, of every Secret that is made for it."""
        kinds = [
            kind for kind in ("database", "bucket", "client", "certificate") if getattr(self.needs, kind)
        ]
        return (*self.needs.secrets, *kinds, *(("proofs",) if self.ingress else ()))
