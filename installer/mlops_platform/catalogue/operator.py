"""Keys of component.yaml for operators: a chart in a Go module, webhook certificates, cluster-wide rights."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from mlops_platform.base.yaml import Strict
from mlops_platform.catalogue.fields import (
    FileName,
    FolderPath,
    GoModule,
    LabelKey,
    Name,
    ObjectName,
    Omission,
    VariableName,
    Why,
)
from mlops_platform.catalogue.scripts import SmokeSpec


class WebhookLimit(Strict):
    """A narrower choice of the objects that webhooks of the charts see, added to the choice of the charts.

    While an operator is stopped, the API server refuses what its webhooks would see: they must see no object
    that does not need the operator.
    """

    names: list[ObjectName] = Field(min_length=1, description="Names of webhooks in their configurations")
    labels: list[LabelKey] = Field(
        default_factory=list, description="Only objects that have all these labels, with any value"
    )
    condition: str = Field(
        default="", description="Only objects for which this CEL expression is true, as in matchConditions"
    )
    why: Why = Field(description="Reason, one line")

    @model_validator(mode="after")
    def _some(self) -> WebhookLimit:
        if not (self.labels or self.condition):
            raise ValueError("no limit | give labels or a condition")
        return self


class OmittedRight(Strict):
    """A right that is taken out of every role of the charts."""

    groups: list[str] = Field(min_length=1, description='API groups; "" is the core group')
    resources: list[str] = Field(default_factory=list, description="Resources; default: all of these groups")
    verbs: list[str] = Field(default_factory=list, description="Verbs; default: all")


class JsonKeys(Strict):
    """Keys of a JSON text in a ConfigMap of the charts, for which the charts have no value."""

    config_map: ObjectName = Field(alias="configMap", description="Name of the ConfigMap")
    key: str = Field(min_length=1, description="Key of the ConfigMap whose value is a JSON object")
    values: dict[str, Any] = Field(
        min_length=1, description="Keys of the JSON object; an existing key is replaced"
    )
    why: Why = Field(description="Reason, one line")


class Module(Strict):
    """The upstream's chart inside the Go module from which the image is built; go.sum pins both.

    The charts are rendered here with `values.yaml`, changed by these rules, checked, and installed as one
    release. In values.yaml, `${image_x}` is the complete reference of image `x`, `${repository_x}` and
    `${tag_x}` are its parts.

    A module without charts has an `overlay` instead: a kustomization of ours on kustomizations of the module.
    """

    program: FolderPath = Field(default="program", description="Folder with go.mod and go.sum")
    name: GoModule = Field(description="Path of the Go module")
    charts: list[FolderPath] = Field(default_factory=list, description="Folders of the charts in the module")
    overlay: FolderPath | Literal[""] = Field(
        default="",
        description="In place of charts: folder with a kustomization.yaml. Its `resources` are its own "
        "files, and kustomizations of the module below `upstream/`. Template variables as in values.yaml",
    )
    omit: list[Omission] = Field(
        default_factory=list, description="Objects that are left out: `Kind` or `Kind/name`"
    )
    omit_containers: list[ObjectName] = Field(
        default_factory=list, alias="omitContainers", description="Containers that are left out"
    )
    omit_webhooks: list[ObjectName] = Field(
        default_factory=list, alias="omitWebhooks", description="Webhooks that are left out, by their names"
    )
    limit_webhooks: list[WebhookLimit] = Field(
        default_factory=list, alias="limitWebhooks", description="Webhooks that see fewer objects"
    )
    omit_rights: list[OmittedRight] = Field(
        default_factory=list, alias="omitRights", description="Rights that its roles do not get"
    )
    set_json: list[JsonKeys] = Field(
        default_factory=list, alias="setJson", description="Settings that the charts have no value for"
    )
    images: dict[VariableName, Name] = Field(
        default_factory=dict, description="Image recipes, by their name in template variables"
    )

    @model_validator(mode="after")
    def _one_form(self) -> Module:
        if bool(self.charts) == bool(self.overlay):
            raise ValueError("not one source | give charts or an overlay")
        return self


class Extra(Strict):
    """An optional part of a module's component: objects, and the images that they name.

    An environment has it if it lists it in `components.<name>.extras`; only then its images are built.
    """

    summary: Why = Field(description="One line, with the size of its images")
    objects: list[FileName] = Field(min_length=1, description="As the component's `objects`")
    images: dict[VariableName, Name] = Field(default_factory=dict, description="As `module.images`")
    smoke: list[SmokeSpec] = Field(default_factory=list, description="Smoke tests of this part")


class WebhookCertificate(Strict):
    """A certificate for the component's Services, from an authority of its own.

    It is made before the release and renewed by `up`. The authority's certificate is put into every webhook,
    APIService and conversion of the release when the release is rendered.
    """

    service: ObjectName = Field(description="The Service of the webhooks")
    secrets: list[ObjectName] = Field(
        min_length=1, description="Secrets with tls.crt, tls.key and ca.crt, by the names in the chart"
    )


class ClusterRight(Strict):
    """A right of the component's accounts outside of its namespace. The release must not have others.

    A rule (`groups`, `resources` and `verbs`, or `urls` and `verbs`), or a `role` that is no part of the
    release: bound in the whole cluster, or with `namespace` by a RoleBinding there.
    """

    groups: list[str] = Field(default_factory=list, description='API groups; "" is the core group')
    resources: list[str] = Field(default_factory=list, description="Resources of these groups")
    names: list[str] = Field(default_factory=list, description="Names of objects; default: all")
    urls: list[str] = Field(default_factory=list, description="Paths that are no resources, such as /metrics")
    verbs: list[str] = Field(default_factory=list, description="Verbs, such as get")
    role: ObjectName | None = Field(default=None, description="ClusterRole or Role that exists already")
    namespace: Name | None = Field(
        default=None, description="Of a RoleBinding; default: a ClusterRoleBinding"
    )
    why: Why = Field(description="Reason, one line")

    @model_validator(mode="after")
    def _one_form(self) -> ClusterRight:
        rule = bool(self.groups or self.resources or self.names)
        forms = [rule, bool(self.urls), self.role is not None]
        if sum(forms) != 1 or bool(self.verbs) == (self.role is not None):
            raise ValueError("not a right | give groups, resources and verbs; or urls and verbs; or a role")
        if rule and not (self.groups and self.resources):
            raise ValueError("half a rule | a rule has groups, resources and verbs")
        if self.namespace and not self.role:
            raise ValueError("namespace without role | it is the namespace of a role's binding")
        return self
