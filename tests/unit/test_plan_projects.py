"""The graphs of projects: the order of steps in `project add`, `project remove`, and `up`."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform.base.errors import UsageError
from mlops_platform.engine.graph import Graph
from mlops_platform.plan import plan_smoke, plan_up
from mlops_platform.plan_projects import plan_project, plan_removal
from mlops_platform.run.connect import read_only
from mlops_platform.run.context import Context
from mlops_platform.run.open import open_environment
from mlops_platform.steps.projects.model import Project
from mlops_platform.steps.projects.scripts import components_with_scripts


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return read_only(open_environment("local"))


def scripts(context: Context) -> set[str]:
    found = {f"{each.name}/projects" for each in components_with_scripts(context)}
    assert found, "some component of `local` does something for projects"
    return found


def requires(found: Graph, step: str) -> set[str]:
    """All that a step waits for."""
    direct = set(found.requires[step])
    return direct.union(*(requires(found, each) for each in direct))


def test_components_get_a_project_after_its_namespace_and_side_by_side(context: Context) -> None:
    found = plan_project(context, Project("churn"))
    assert {step.id for step in found.steps} == {"churn/namespace", *scripts(context)}
    assert all(found.requires[each] == ("churn/namespace",) for each in scripts(context))


def test_namespace_is_removed_last_and_workloads_first(context: Context) -> None:
    found = plan_removal(context, "churn", keep_data=False)
    assert set(found.requires["churn/namespace"]) == scripts(context)
    assert all(found.requires[each] == ("churn/workloads",) for each in scripts(context))


def test_up_keeps_projects_after_the_smoke_test_of_each_component(context: Context) -> None:
    found = plan_up(context)
    for step in scripts(context):
        assert {"projects/namespaces", step.replace("/projects", "/smoke")} <= requires(found, step)
    components = {f"{name}/smoke" for name, each in context.resolved.items() if each.component.smoke}
    assert {*scripts(context), *components} <= requires(found, "projects/smoke")


QUEUES = """\
name: queues
domain: queues.localhost
cluster: {provider: host, simulated_gpus: 2}
components: {jobset: {}, trainer: {}, kueue: {}}
"""


@pytest.fixture
def queues(context: Context, tmp_path: Path) -> Context:
    """An environment with a component that has objects for each project, and with GPUs."""
    (tmp_path / "queues.yaml").write_text(QUEUES)
    return read_only(open_environment(str(tmp_path / "queues.yaml")))


def test_objects_of_a_component_are_made_after_the_namespace_and_removed_before_it(queues: Context) -> None:
    made = plan_project(queues, Project("churn"))
    assert made.requires["kueue/project-objects"] == ("churn/namespace",)
    removed = plan_removal(queues, "churn", keep_data=False)
    assert removed.requires["kueue/project-objects"] == ("churn/workloads",)
    assert "kueue/project-objects" in removed.requires["churn/namespace"]


def test_up_applies_objects_of_projects_when_the_component_answers(queues: Context) -> None:
    found = plan_up(queues)
    assert {"projects/namespaces", "kueue/smoke"} <= requires(found, "kueue/project-objects")
    assert "kueue/project-objects" in requires(found, "projects/smoke")


def test_gpus_are_tested_only_where_nodes_have_some(queues: Context, context: Context) -> None:
    assert "gpus/smoke" in {step.id for step in plan_up(queues).steps}
    assert "gpus/smoke" in {step.id for step in plan_smoke(queues, ["gpus"]).steps}
    for graph in (plan_up(context), plan_smoke(context, [])):
        assert "gpus/smoke" not in {step.id for step in graph.steps}
    with pytest.raises(UsageError, match="has no GPUs"):
        plan_smoke(context, ["gpus"])
