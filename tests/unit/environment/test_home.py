"""The table of the home page, and the rights of its account, with the shipped components."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlops_platform import clusters
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.environment import file as environment
from mlops_platform.environment.home import home_table
from mlops_platform.environment.model import Environment
from mlops_platform.environment.uis import home, routes
from mlops_platform.run.open import shipped_environments
from mlops_platform.steps.projects.model import Project
from mlops_platform.steps.projects.rights import rights_of

CATALOG = read_catalog(Paths.default().assets / "helm-values")
MORE = ("home", "jupyterhub", "katib")


def chosen(*more: str) -> Environment:
    """The environment `local`, with these of the further components."""
    read = environment.read(shipped_environments() / "local.yaml", CATALOG, clusters.options_models())
    first = next(iter(read.environment.components.values()))
    kept = {name: each for name, each in read.environment.components.items() if name not in MORE}
    components = {**kept, **{name: first.model_copy() for name in more}}
    return read.environment.model_copy(update={"components": components})


def test_table_has_every_ui_that_people_open_and_no_login_page() -> None:
    found = home_table(chosen(*MORE), CATALOG)
    names = {each["name"]: each["address"] for each in found["uis"]}
    assert names["models"] == "https://models.mlops.localhost:8443/"
    assert {"airflow", "mlflow", "notebooks", "job-logs"} <= set(names)
    assert not {"login", "home", ""} & set(names)
    assert all(each["summary"] and each["version"] and each["service"] for each in found["uis"])


def test_table_has_the_lists_of_chosen_components_with_addresses_of_this_environment() -> None:
    found = {each["title"]: each for each in home_table(chosen(*MORE), CATALOG)["lists"]}
    assert set(found) == {"Served models", "Notebooks", "Training jobs", "Experiments"}
    assert found["Served models"]["endpoint"] == "https://models.mlops.localhost:8443/${project}/${object}/"
    assert found["Notebooks"]["labels"] == "component=singleuser-server"
    without = home_table(chosen("home"), CATALOG)
    assert "Notebooks" not in {each["title"] for each in without["lists"]}
    assert without["runs"]["api"] == "http://mlflow.mlflow.svc:5000/api/2.0/mlflow"


def test_commands_name_an_environment_that_is_not_the_default() -> None:
    staging = chosen("home").model_copy(update={"name": "staging"})
    assert "--env" not in json.dumps(home_table(chosen("home"), CATALOG))
    found = home_table(staging, CATALOG)
    commands = [found["addProject"], *(e["command"] for e in [*found["lists"], *found["commands"]])]
    assert all(each.endswith(" --env staging") for each in commands if each)


def test_home_page_is_at_the_domain_itself() -> None:
    own = next(each for each in routes(chosen("home"), CATALOG)["routes"] if each["component"] == "home")
    assert own["host"] == "" and own["late"]
    found = home(chosen("home"), CATALOG)
    assert found and found[0].name == "home"
    assert home(chosen(), CATALOG) is None


def rules_of_home(*more: str) -> list[Mapping[str, Any]]:
    """The rules of its account in a project."""
    every = rights_of(CATALOG, chosen(*more).components, Project("churn"), "churn")
    return [
        rule for kind, name, body in every if (kind, name) == ("Role", "pods-home") for rule in body["rules"]
    ]


def test_account_of_the_home_page_reads_what_it_shows_and_nothing_else() -> None:
    rules = rules_of_home(*MORE)
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list"}
    core = {each for rule in rules if "" in rule["apiGroups"] for each in rule["resources"]}
    assert core == {"resourcequotas", "pods"}
    assert {
        each for rule in rules_of_home("home") if "" in rule["apiGroups"] for each in rule["resources"]
    } == {"resourcequotas"}
    assert rules_of_home() == []
