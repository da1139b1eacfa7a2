"""Keys of component.yaml for projects: rights, scripts, and what a component has in each project."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlops_platform.base.yaml import Strict
from mlops_platform.catalogue.fields import (
    EnvName,
    FileName,
    LabelKey,
    Name,
    PortName,
    ScriptName,
    UrlPath,
)
from mlops_platform.catalogue.rules import AccountRule, Kinds, PodCalls, Rule, Shown
from mlops_platform.catalogue.scripts import Script

# Labels below these names are for Kubernetes and for the platform.
_RESERVED = ("kubernetes.io", "k8s.io", "mlops-platform")


class DagsPart(Strict):
    """How the component runs the DAGs of projects, which `dag push` gives to it.

    `parse` runs in a pod of the project, with the image of the component's pods, the argument `parse`, and
    the files in /files/dags.json, an object of paths and texts. The last line of its output is `PARSED` and
    an object: `errors` by file, and `packed`, which only `script` reads. `script` runs like that of
    `projects`, with the argument `push` or `remove` and /files/input.json. It must not trust the result of
    `parse`. The last line of its output is `RESULT` and an object: `refused` lists reasons, `dags` has the
    file of each DAG by id, `used` the versions of runs that have not ended.
    """

    script: ScriptName = Field(description="File in the component's folder")
    parse: ScriptName = Field(description="File in the component's folder")
    example: FileName = Field(
        default="", description="Folder in the component's folder: an example, for `project init-example`"
    )


class InProject(Script):
    """A script that runs in a project, as its account of training jobs.

    It has the variables and tokens of pods of projects.
    """

    image: Name = Field(default="toolbox", description="Image of the script")

    @model_validator(mode="after")
    def _outside(self) -> Self:
        if self.secrets or self.identity or self.token:
            raise ValueError("secrets, identity or token | it runs in a project, which has its own tokens")
        return self


class ScoreSpec(InProject):
    """The script of `model score`: a Job in a project, as its account of training jobs.

    It gets the URI of the model in MODEL, and in INPUT and OUTPUT keys in the data of the project. It has
    the variables and tokens of pods of projects. Its last line is the result, or the reason of its failure.
    """


class PipelinesPart(InProject):
    """The script of `pipeline run`: the local runner of KFP's SDK in a Job, as the account of training jobs.

    It gets the compiled pipeline in /files/pipeline.yaml, its arguments in /files/arguments.json, and the
    name of the Job in JOB. It has the variables and tokens of pods of projects. A line `step NAME: STATE`
    says how a step goes on. The last line is `RESULT` and an object: `state`, `reason`, `experiment` and
    `run` for the address in `models.runs`, and `steps` with `name`, `state`, `seconds` and `reason`.
    """

    seconds: Annotated[int, Field(ge=1, le=604800)] = Field(
        default=86400, description="Time limit of the Job"
    )
    files: list[FileName] = Field(default_factory=list, description="Files beside the script")
    base_images: list[str] = Field(
        default_factory=list,
        alias="baseImages",
        description="Images of steps in compiled pipelines that the image of the script stands for",
    )


class ModelsPart(Strict):
    """The registry of the models of projects, in the REST API of MLflow's model registry.

    The commands `model` ask it with a token of the project, with the audience `token`.
    """

    port: PortName = Field(description="One of `serves`: the port of the API")
    api: UrlPath = Field(description="Path of the API, such as /api/2.0/registry")
    uri: str = Field(
        description="storageUri of a version in an InferenceService, with `${model}` and `${version}`"
    )
    format: Name = Field(description="Model format of the serving runtime that loads such a URI")
    score: ScoreSpec | None = Field(default=None, description="How a batch is scored")
    runs: str = Field(
        default="",
        description="Path of the page of a run, with `${project}`, `${experiment}` and `${run}`: the home "
        "page shows the last runs of the API",
    )

    @model_validator(mode="after")
    def _named(self) -> ModelsPart:
        if self.uri.count("${model}") != 1 or self.uri.count("${version}") != 1:
            raise ValueError("uri | it contains ${model} and ${version} once each")
        return self


class ImportsPart(Strict):
    """A script that moves into a project what the component had before it had projects.

    It runs like `script` of `projects`, with that script beside it and /files/input.json: `{"project",
    "items": [{"kind", "name"}]}`. With the argument `list` it names what there is; with `import` it moves
    the items, or continues an import that was killed. The last line of its output is `RESULT` and an object:
    `items` with `kind`, `name` and `about`, `moved` with a line for each item, or `refused` with reasons;
    then it has changed nothing.
    """

    script: ScriptName = Field(description="File in the component's folder")
    files: list[FileName] = Field(default_factory=list, description="Files beside the script")
    kinds: Annotated[list[Name], Field(min_length=1)] = Field(
        description="Kinds of items: `project import NAME KIND/ITEM`"
    )


class ProjectsPart(Script):
    """The component's part in projects: rights in their namespaces, and a script that makes things for them.

    The script runs as a Job in the component's namespace. With the argument `sync` it makes what is missing
    for all projects in /files/projects.json: a list of `{"name", "members": [{"kind": "group" or "user",
    "name", "role": "view" or "edit"}]}`; it removes nothing. With the argument `remove` it removes what
    belongs to the project PROJECT, except its data if KEEP_DATA is `true`. A second run changes nothing. It
    prints a line for each thing that it made or removed.

    `smoke` runs with the same image, env and audience of the token, as an account of each temporary project,
    whose names are in PROJECT and OTHER, with probes.py beside it.
    """

    script: ScriptName = Field(default="", description="File in the component's folder; empty: no script")
    image: Name = Field(default="toolbox", description="Image of the script")
    files: list[FileName] = Field(default_factory=list, description="Files beside the script")
    pods: bool = Field(
        default=False,
        description="true: its account runs pods in projects: creates, reads and deletes pods, reads logs, "
        "creates Secrets",
    )
    logs: bool = Field(default=False, description="true: its account reads the logs of pods in projects")
    people: bool = Field(
        default=False,
        description="true: it runs pods for people in projects, each as an account of its own: its account "
        "creates service accounts and binds them to the Role `person`, creates claims, and reads the quota",
    )
    account: list[AccountRule] = Field(
        default_factory=list, description="Further rights of its account in every project"
    )
    calls: PodCalls | None = Field(default=None, description="Pods of every project that it connects to")
    dags: DagsPart | None = Field(default=None, description="How it runs the DAGs of projects")
    imports: ImportsPart | None = Field(
        default=None, description="Moves into a project what the component had before it had projects"
    )
    environment: dict[EnvName, str] = Field(
        default_factory=dict,
        description="Variables for pods of projects, with template variables: the ConfigMap `platform` of "
        "each project has those of all components",
    )
    holds: Annotated[str, Field(max_length=60)] = Field(
        default="", description="What it has of a project, such as `runs and models`; `remove` deletes it"
    )
    labels: dict[LabelKey, str] = Field(
        default_factory=dict,
        description="Labels of the namespaces of projects, without which the program ignores them",
    )
    objects: list[FileName] = Field(
        default_factory=list,
        description="Files of its custom resources for each project, with `${project}` and the quota; an "
        "object without a namespace belongs to the project too",
    )
    shows: list[Shown] = Field(
        default_factory=list, description="Lists of objects of each project on the home page"
    )
    reserved: list[Name] = Field(
        default_factory=list, description="Names that a project cannot have, because the program uses them"
    )
    models: ModelsPart | None = Field(
        default=None, description="The registry of the models of projects; needs `token`"
    )
    pipelines: PipelinesPart | None = Field(default=None, description="How pipelines of projects run")
    job_logs: PortName | Literal[""] = Field(
        default="",
        alias="jobLogs",
        description="One of `serves`: the reader of stored logs of jobs (docs/training.md); needs `token`",
    )
    data: str = Field(
        default="",
        description="Of an object store: the bucket of a project, with `${project}`. Accounts get "
        "credentials for it in exchange for a token with the audience `token`",
    )
    smoke: ScriptName = Field(
        default="",
        description="Smoke test in two temporary projects, as their account of training jobs",
    )
    view: list[Rule] = Field(
        default_factory=list, description="Rights of members with `view`, and of the account of served models"
    )
    edit: list[Rule] = Field(
        default_factory=list,
        description="Further rights of members with `edit`, and of the accounts of training jobs and DAGs",
    )
    reads: list[Kinds] = Field(
        default_factory=list,
        description="Kinds in no namespace, without secrets, such as a catalog of runtimes: members and all "
        "accounts of projects may read them",
    )

    @model_validator(mode="after")
    def _whole(self) -> ProjectsPart:
        if self.people and not self.pods:
            raise ValueError("people without pods | add pods: true")
        rights = (self.view, self.edit, self.reads, self.pods, self.logs, self.account)
        given = (self.script, self.smoke, self.environment, self.objects, self.calls, self.labels, *rights)
        if not any((*given, self.shows)):
            what = "empty | give a script, a smoke test, objects, an environment, calls, or rights"
            raise ValueError(what)
        of_script = (self.secrets, self.identity, self.holds, self.files, self.dags, self.imports)
        if not self.script and any(of_script):
            raise ValueError("no script | secrets, identity, holds, files, dags and imports are for a script")
        if (self.models or self.job_logs) and not self.token:
            key = "models" if self.models else "jobLogs"
            raise ValueError(f"{key} without token | give the audience of its tokens")
        if reserved := [key for key in self.labels if key.partition("/")[0].endswith(_RESERVED)]:
            raise ValueError(
                f"labels: {reserved[0]} | it is for Kubernetes and the platform; use another label"
            )
        if self.data and not (self.script and self.token and self.data.count("${project}") == 1):
            raise ValueError("data | it contains ${project} once, and needs script and token")
        return self
