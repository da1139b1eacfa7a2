"""A release's values: layers, template variables, sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mlops_platform.base.paths import Paths
from mlops_platform.base.values import merge, substitute
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.catalogue.service import complete
from mlops_platform.catalogue.variables import image_values, ports
from mlops_platform.environment.model import ComponentSpec
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.release.values import sizes, texts, values_of

CATALOG = read_catalog(Paths.default().assets / "helm-values")


def test_later_layer_wins_and_mappings_are_merged() -> None:
    base = {"a": 1, "b": {"c": 1, "d": [1, 2]}}
    assert merge(base, {"b": {"d": [3]}, "e": None}) == {"a": 1, "b": {"c": 1, "d": [3]}, "e": None}
    assert base == {"a": 1, "b": {"c": 1, "d": [1, 2]}}


def test_mapping_and_value_replace_each_other() -> None:
    assert merge({"a": {"b": 1}}, {"a": 2}) == {"a": 2}
    assert merge({"a": 2}, {"a": {"b": 1}}) == {"a": {"b": 1}}


def test_template_variables_are_replaced_everywhere() -> None:
    found = substitute({"${name}": ["at ${name}.${domain}", 5, {"$$": True}]}, {"name": "n", "domain": "d"})
    assert found == {"n": ["at n.d", 5, {"$": True}]}


def test_unknown_template_variable_is_an_error() -> None:
    with pytest.raises(KeyError, match="nmae"):
        substitute("${nmae}", {"name": "n"})


def test_ports_resources_and_disk_come_from_component_yaml() -> None:
    postgres = CATALOG["postgres"]
    values = complete({"ports": {"health": 80}, "volumes": {"data": {"path": "/data"}}}, postgres)
    assert values == {
        "ports": {"sql": 5432, "health": 80},
        "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
        "volumes": {"data": {"path": "/data", "size": "10Gi"}},
    }


def test_empty_spec_changes_no_value() -> None:
    assert sizes({"volumes": {"data": {"path": "/data", "size": "1Gi"}}}, ComponentSpec()) == {}


def test_memory_sets_request_and_limit_and_disk_all_volumes() -> None:
    spec = ComponentSpec(cpu="2", memory="4Gi", disk="50Gi")
    assert sizes({"volumes": {"data": {"path": "/data", "size": "1Gi"}}}, spec) == {
        "resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "4Gi"}},
        "volumes": {"data": {"size": "50Gi"}},
    }


def test_workloads_share_given_sizes_proportionally() -> None:
    small = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}}
    large = {"resources": {"requests": {"memory": "768Mi"}, "limits": {"memory": "768Mi"}}}
    values = {"resources": small, "workloads": {"one": {}, "two": large}}
    assert sizes(values, ComponentSpec(memory="2Gi")) == {
        "workloads": {
            "one": {"resources": {"requests": {"memory": "512Mi"}, "limits": {"memory": "512Mi"}}},
            "two": {"resources": {"requests": {"memory": "1536Mi"}, "limits": {"memory": "1536Mi"}}},
        }
    }
    given = sizes(values, ComponentSpec(cpu="1"))["workloads"]
    assert [each["resources"] for each in given.values()] == [{"requests": {"cpu": "500m"}}] * 2


OFFICIAL = [name for name in CATALOG.entries if (CATALOG.folder(name) / "values.yaml").is_file()]


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_chart_values_resolve_and_hold_no_secret(name: str) -> None:
    """A secret file is referred to by a path, or by a command that reads it."""
    from mlops_platform.catalogue.documents import values_file

    component, folder = CATALOG[name], CATALOG.folder(name)
    known = {"name": name, "namespace": name, "domain": "example.com", "site": "example.com:8443"}
    known |= {"environment": "test", "version": component.version, "machines": ""}
    known |= {key: str(getattr(component.resources, key)) for key in ("cpu", "memory", "disk")}
    known |= ports(component)
    if component.needs.pools:
        known |= {f"pools_{key}": key for key in ("cloud", "region", "cluster")}
    for image, recipe in (component.module.images if component.module else {}).items():
        known |= image_values(image, f"local/{recipe}:1")
    values = substitute(values_file(folder / "values.yaml"), known | texts(folder, component))
    assert "secretKeyRef" not in str(values)
    assert all("value" not in each or str(each["value"]).startswith("/") for each in values.get("env", []))


def test_values_of_the_in_tree_chart_name_images_of_pods_that_it_creates() -> None:
    name = "jupyterhub"
    component = CATALOG[name]
    resolved = ResolvedComponent(
        component=component,
        folder=CATALOG.folder(name),
        spec=ComponentSpec(),
        environment="test",
        requires=(),
        in_tree=True,
        variables={"name": name, "namespace": name, "project_tokens": [], **ports(component)},
        image=name,
        reference=lambda recipe: f"registry.test/{recipe}:1",
    )
    values = values_of(resolved)
    assert values["image"] == "registry.test/jupyterhub:1"
    assert values["env"]["NOTEBOOK_IMAGE"] == "registry.test/notebook:1"
    assert resolved.images == (name, "notebook")
    assert replace(resolved, in_tree=False, image="").images == ()
