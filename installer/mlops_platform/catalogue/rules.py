"""What components and projects may do with each other: rights on objects, and calls of pods."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from mlops_platform.base.yaml import Strict
from mlops_platform.catalogue.fields import Label, LabelKey, Name, Port

Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
# Rights on objects of these groups are rights on the platform's own rules.
_CLOSED = frozenset(
    f"{name}.k8s.io"
    for name in (
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "authentication",
        "authorization",
        "certificates",
        "networking",
        "rbac.authorization",
    )
)

# Kinds of Kubernetes that a component may make in projects. They give it no right that it does not have.
_MADE = {"": ("events", "services"), "apps": ("deployments",), "batch": ("jobs",)}
# Kinds of Kubernetes that the home page may list: none has secrets, or texts for programs.
_SHOWN = {"v1": ("pods",), "batch/v1": ("jobs", "cronjobs")}


def _group(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,200}[a-z0-9])?", value) or "." not in value:
        raise ValueError("not an API group of a component | such as queues.example.com")
    if value in _CLOSED:
        raise ValueError("a group of Kubernetes itself | name groups of the component's own kinds")
    return value


def _account_group(value: str) -> str:
    return value if value in _MADE else _group(value)


def _resource(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]{0,62}(/[a-z]{1,30})?", value):
        raise ValueError("not a resource | its plural in lower case, such as trainjobs, without *")
    return value


class Kinds(Strict):
    """Kinds of the component's own API groups."""

    groups: list[Annotated[str, AfterValidator(_group)]] = Field(
        min_length=1, alias="apiGroups", description="API groups, such as queues.example.com"
    )
    resources: list[Annotated[str, AfterValidator(_resource)]] = Field(
        min_length=1, description="Plurals, such as trainjobs, or trainjobs/status"
    )


class Rule(Kinds):
    """A rule of a Role in the namespace of each project, on resources of the component."""

    verbs: list[Verb] = Field(min_length=1, description="Verbs; no *")

    @property
    def manifest(self) -> dict[str, list[str]]:
        """The rule as a Role has it."""
        return {"apiGroups": self.groups, "resources": self.resources, "verbs": list(self.verbs)}


class AccountRule(Rule):
    """A rule for the component's own account in the namespace of each project.

    Besides kinds of components: events and services (group ""), deployments (apps), and jobs (batch).
    """

    groups: list[Annotated[str, AfterValidator(_account_group)]] = Field(
        min_length=1, alias="apiGroups", description='API groups; "" is the core group'
    )

    @model_validator(mode="after")
    def _known(self) -> AccountRule:
        for group in set(self.groups) & set(_MADE):
            if other := [each for each in self.resources if each not in _MADE[group]]:
                known = ", ".join(_MADE[group])
                raise ValueError(f"resources: {other[0]} | of the group {group or 'core'}, only {known}")
        return self


class PodCalls(Strict):
    """Pods of projects that the pods of a component connect to: policies of both sides allow it."""

    port: Port = Field(description="Number in the container")
    service: Port | None = Field(default=None, description="Number in the Service of the pods, if another")
    labels: dict[Label, Label] = Field(min_length=1, description="Labels of the pods")

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers that egress needs: network plugins see that of the Service or of the container."""
        return tuple(dict.fromkeys((self.port, self.service or self.port)))


def _api(value: str) -> str:
    group, slash, version = value.rpartition("/")
    if not re.fullmatch(r"v[0-9]+((alpha|beta)[0-9]+)?", version) or bool(slash) != bool(group):
        raise ValueError("not an API version | such as queues.example.com/v1")
    if value not in _SHOWN:
        _group(group)
    return value


class Shown(Strict):
    """A list of objects of each project on the home page. Its state comes from `status.conditions`.

    Addresses and the command may use `${site}` and `${project}`, addresses also `${object}`, the name of an
    object.
    """

    title: Annotated[str, Field(min_length=3, max_length=30)] = Field(description="Heading")
    api: Annotated[str, AfterValidator(_api)] = Field(
        description="API version, such as queues.example.com/v1"
    )
    resource: Annotated[str, AfterValidator(_resource)] = Field(description="Plural, such as queues")
    labels: dict[LabelKey, Label] = Field(default_factory=dict, description="Only objects with these labels")
    annotation: LabelKey = Field(default="", description="An annotation that is shown beside the name")
    word: Name = Field(default="", description="Word before the annotation, such as `version`")
    address: str = Field(default="", description="Page of an object, which begins with https://")
    endpoint: str = Field(default="", description="Address of an object that programs call; shown to copy")
    command: str = Field(default="", description="A command to paste, below the list")

    @model_validator(mode="after")
    def _known(self) -> Shown:
        known = _SHOWN.get(self.api, (self.resource,))
        if self.resource not in known:
            raise ValueError(f"resource: {self.resource} | of {self.api}, only {', '.join(known)}")
        if any(each and not each.startswith("https://") for each in (self.address, self.endpoint)):
            raise ValueError("address or endpoint | they begin with https://")
        return self

    @property
    def manifest(self) -> dict[str, list[str]]:
        """The right to list them, as a rule of a Role."""
        group = self.api.rpartition("/")[0]
        return {"apiGroups": [group], "resources": [self.resource], "verbs": ["list"]}
