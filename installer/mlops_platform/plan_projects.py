"""The plans of `project add` and `project remove`."""

from __future__ import annotations

from mlops_platform.engine.graph import Graph, chain, parallel
from mlops_platform.run.context import Context
from mlops_platform.steps.projects.access import GrantData, RemoveData
from mlops_platform.steps.projects.custom import (
    ApplyProjectObjects,
    RemoveProjectObjects,
    components_with_objects,
)
from mlops_platform.steps.projects.keep import MakeProject, SyncProjects
from mlops_platform.steps.projects.model import Project
from mlops_platform.steps.projects.remove import RemoveNamespace, RemovePart, StopWorkloads
from mlops_platform.steps.projects.scripts import components_with_scripts


def plan_project(context: Context, project: Project) -> Graph:
    """The namespace with its policies and rights, then what each component makes for the project."""
    parts = [SyncProjects(context, each) for each in components_with_scripts(context)]
    objects = [ApplyProjectObjects(context, each) for each in components_with_objects(context)]
    data = context.cluster.project_data
    grants = [GrantData(context, data)] if data else []
    return Graph.of(chain(MakeProject(context, project), parallel(*parts, *objects, *grants)))


def plan_removal(context: Context, name: str, *, keep_data: bool) -> Graph:
    """Workloads first, so that nothing writes; the namespace last, so that a killed removal is continued."""
    parts = [RemovePart(context, each, name, keep_data) for each in components_with_scripts(context)]
    objects = [RemoveProjectObjects(context, each, name) for each in components_with_objects(context)]
    data = context.cluster.project_data
    ends = [RemoveData(context, data, name, keep_data)] if data else []
    inside = parallel(*parts, *objects, *ends)
    return Graph.of(chain(StopWorkloads(context, name), inside, RemoveNamespace(context, name)))
