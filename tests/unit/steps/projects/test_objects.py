"""The objects of a project, as golden files; its record, read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube.endpoints import Address
from mlops_platform.base.errors import StepError
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.steps.network.policies import Outside, read_base
from mlops_platform.steps.projects.model import Member, Project, Quota, amount, cores, read_project
from mlops_platform.steps.projects.objects import KINDS, content, render

from tests import GOLDEN, ROOT

CATALOG = read_catalog(ROOT / "tests/cases/policies")
BASE = read_base(ROOT / "policies")
MEMBERS = (Member("group", "data-scientists", "edit"), Member("user", "ann", "view"))
VARIABLES = {"TRACKING": "http://tracking.tracking.svc:5000"}
DATA = {"DATA_URI": "s3://bucket/projects/churn/data"}
OUTSIDE = Outside((Address("192.0.2.1", 6443),), (("198.51.100.0/24", 443),))
PROJECT = Project("churn", MEMBERS, Quota.of({"cpu": "2500m", "memory": "1024Mi", "gpu": "1"}))


def objects(project: Project, *chosen: str) -> tuple[dict[str, Any], ...]:
    return render(
        CATALOG,
        chosen or CATALOG.entries,
        BASE,
        project,
        project.name,
        {"a": "label"},
        VARIABLES,
        DATA,
        OUTSIDE,
    )


@pytest.mark.parametrize(("name", "project"), [("churn", PROJECT), ("empty", Project("empty"))])
def test_objects_match_golden_file(name: str, project: Project, golden: Callable[[Path, str], None]) -> None:
    text = yaml.safe_dump_all(objects(project), sort_keys=False, width=110)
    golden(GOLDEN / f"projects/{name}.yaml", text)


def test_policies_come_before_any_object_that_could_run_a_pod() -> None:
    kinds = [each["kind"] for each in objects(PROJECT)]
    assert kinds[0] == "Namespace"
    assert set(kinds[1:5]) == {"NetworkPolicy"}
    assert {kind for _, kind in KINDS} == {*kinds[1:]}


def test_gpus_are_limited_by_the_quota_and_never_by_a_limit_range() -> None:
    """A `max` of GPUs in a LimitRange gives every pod a GPU request."""
    found = {(each["kind"], each["metadata"]["name"]): each for each in objects(PROJECT)}
    assert found["ResourceQuota", "project"]["spec"]["hard"]["requests.nvidia.com/gpu"] == "1"
    (limits,) = found["LimitRange", "defaults"]["spec"]["limits"]
    assert set(limits) == {"type", "default", "defaultRequest"}
    assert set(limits["default"]) == {"memory"}


def test_no_role_reaches_what_protects_the_project() -> None:
    closed = {"secrets", "networkpolicies", "roles", "rolebindings", "serviceaccounts", "namespaces", "*"}
    for role in (each for each in objects(PROJECT) if each["kind"] == "Role"):
        if role["metadata"]["name"] == "pods-desk":  # of pods of people: a test below
            continue
        for rule in role["rules"]:
            if rule["resources"] == [
                "secrets"
            ]:  # a component that runs pods gives them a token, and reads none
                assert (role["metadata"]["name"], rule["verbs"]) == ("pods-page", ["create"])
                continue
            assert not closed & set(rule["resources"]), role["metadata"]["name"]
            assert not {"*", "bind", "escalate", "impersonate"} & set(rule["verbs"])
            if {"resourcequotas", "limitranges"} & set(rule["resources"]):
                assert rule["verbs"] == ["get", "list", "watch"]


def test_a_component_that_runs_pods_has_a_role_for_its_account_only() -> None:
    (binding,) = [
        o for o in objects(PROJECT, "page") if o["metadata"]["name"] == "pods-page" and "subjects" in o
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "page", "namespace": "page"}]
    assert [o for o in objects(PROJECT, "idle") if o["metadata"]["name"].startswith("pods-")] == []


def test_account_of_a_component_has_the_listed_rights_only() -> None:
    (role,) = [o for o in objects(PROJECT, "operator") if o["metadata"]["name"] == "pods-operator"][:1]
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": ["models.example.com"], "resources": ["models"], "verbs": ["list", "delete"]},
    ]


def test_component_with_pods_of_people_binds_their_accounts_to_one_role_only() -> None:
    (role,) = [o for o in objects(PROJECT, "desk") if o["metadata"]["name"] == "pods-desk"][:1]
    granted = {(verb, name) for rule in role["rules"] for verb in rule["verbs"] for name in rule["resources"]}
    assert {("create", "serviceaccounts"), ("create", "rolebindings"), ("bind", "roles")} <= granted
    (bind,) = [rule for rule in role["rules"] if "bind" in rule["verbs"]]
    assert bind["resourceNames"] == ["person"] and bind["verbs"] == ["bind"]
    assert not {("get", "secrets"), ("escalate", "roles"), ("create", "roles")} & granted


def test_account_of_a_person_changes_objects_of_components_only() -> None:
    """It creates no pods and Jobs itself."""
    (role,) = [o for o in objects(PROJECT, "desk", "operator") if o["metadata"]["name"] == "person"]
    changed = {
        (group, name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for name in rule["resources"]
        if {*rule["verbs"]} - {"get", "list", "watch"}
    }
    assert changed and all("." in group for group, _ in changed), changed
    named = {name for rule in role["rules"] for name in rule["resources"]}
    assert not {"secrets", "pods/exec", "serviceaccounts"} & named
    assert not [o for o in objects(PROJECT, "page") if o["metadata"]["name"] == "person"]


def test_no_account_mounts_a_token_of_the_api_server() -> None:
    accounts = [each for each in objects(PROJECT) if each["kind"] == "ServiceAccount"]
    assert [each["metadata"]["name"] for each in accounts] == ["default", "trainer", "server", "airflow"]
    assert all(each["automountServiceAccountToken"] is False for each in accounts)


def test_only_ports_of_chosen_components_are_open() -> None:
    def egress(*chosen: str) -> list[Any]:
        (flows,) = [o for o in objects(PROJECT, *chosen) if o["metadata"]["name"] == "flows"]
        rules: list[Any] = flows["spec"]["egress"]
        return rules

    always: list[Any] = [[{"podSelector": {}}], [{"ipBlock": {"cidr": "198.51.100.0/24"}}]]
    assert [each["to"] for each in egress("idle")] == always
    assert len(egress("idle", "page")) == 3


def test_called_pods_admit_the_caller_at_the_port_of_the_container_only() -> None:
    (policy,) = [each for each in objects(PROJECT) if each["metadata"]["name"] == "from-front"]
    assert policy["spec"]["podSelector"] == {"matchLabels": {"component": "predictor"}}
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "front"}}}]
    assert rule["ports"] == [{"protocol": "TCP", "port": 9000}]
    assert not [each for each in objects(PROJECT, "page") if each["metadata"]["name"] == "from-front"]


def test_record_is_read_back() -> None:
    namespace = objects(PROJECT)[0]
    assert read_project(namespace, "churn") == PROJECT


def test_record_of_an_older_version_gets_the_new_keys_of_the_quota() -> None:
    namespace = objects(PROJECT)[0]
    namespace["metadata"]["annotations"]["mlops-platform/quota"] = '{"cpu": "1"}'
    assert read_project(namespace, "churn").quota == Quota(cpu="1")


@pytest.mark.parametrize("text", ["", "[1]", '[{"kind": "group"}]', "null", "[["])
def test_broken_record_is_an_error_with_the_namespace(text: str) -> None:
    namespace = objects(PROJECT)[0]
    namespace["metadata"]["annotations"]["mlops-platform/members"] = text
    with pytest.raises(StepError, match="namespace churn: the record"):
        read_project(namespace, "churn")


def test_change_keeps_what_is_not_given() -> None:
    viewers = (Member("group", "viewers", "view"),)
    assert PROJECT.changed(None, {}) == PROJECT
    assert PROJECT.changed(viewers, {}).members == viewers
    assert PROJECT.changed(None, {"gpu": "2"}).quota == Quota("2500m", "1Gi", "2")


@pytest.mark.parametrize(
    ("given", "stored"),
    [("1000m", "1"), ("0.5", "500m"), ("2", "2"), ("1.0001", "1001m"), ("2500m", "2500m")],
)
def test_cpu_is_written_as_the_api_server_stores_it(given: str, stored: str) -> None:
    assert cores(given) == stored


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1024Mi", "1Gi"),
        ("8G", "8G"),
        ("1536Mi", "1536Mi"),
        ("0", "0"),
        ("2048Gi", "2Ti"),
        ("1.5Gi", "1536Mi"),
    ],
)
def test_bytes_are_written_as_the_api_server_stores_them(given: str, stored: str) -> None:
    assert amount(given) == stored


def test_content_ignores_what_the_api_server_adds() -> None:
    for each in objects(PROJECT)[1:]:
        stored = {**each, "metadata": {**each["metadata"], "uid": "1"}, "status": {"hard": {}}}
        assert content(stored) == content(each)


def test_config_map_without_variables_is_equal_to_an_empty_one() -> None:
    """The API server leaves out an empty mapping: each `up` would apply it again."""
    assert content({"kind": "ConfigMap", "data": {}}) == content({"kind": "ConfigMap"})


def test_members_and_accounts_read_kinds_in_no_namespace_and_change_none() -> None:
    role, binding = (each for each in objects(PROJECT, "operator") if each["kind"].startswith("Cluster"))
    assert role["rules"] == [
        {"apiGroups": ["models.example.com"], "resources": ["catalogs"], "verbs": ["get", "list", "watch"]}
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"] == "mlops-project-churn"
    assert [(each["kind"], each["name"]) for each in binding["subjects"]] == [
        ("Group", "data-scientists"),
        ("User", "ann"),
        ("Group", "system:serviceaccounts:churn"),
    ]
    assert "namespace" not in role["metadata"] and "namespace" not in binding["metadata"]
    assert not [each for each in objects(PROJECT, "page") if each["kind"].startswith("Cluster")]
