"""Names, members and quotas on the command line: what is read, and every mistake in one pass."""

from __future__ import annotations

import pytest
from mlops_platform.base.errors import Exit, UsageError
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.steps.projects.model import Member
from mlops_platform.steps.projects.options import name_problems, parse

from tests import ROOT

CATALOG = read_catalog(ROOT / "tests/cases/policies")  # its components: front, idle, keeper …
A_COMPONENT = "keeper"


def mistakes(*members: str, quota: str = "", name: str = "churn", own: bool = True) -> list[str]:
    with pytest.raises(UsageError) as caught:
        parse(name, members, [quota] if quota else [], CATALOG, own_groups=own)
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.command.startswith("mlops-platform project add ")
    return caught.value.why.splitlines()


def test_group_is_the_default_kind_and_members_are_sorted() -> None:
    given = ["user/ann:view", "group/viewers:view", "data-scientists:edit"]
    members, quota = parse("churn", given, ["cpu=500m,gpu=1", "memory=4Gi"], CATALOG, own_groups=True)
    assert members == (
        Member("group", "data-scientists", "edit"),
        Member("group", "viewers", "view"),
        Member("user", "ann", "view"),
    )
    assert quota == {"cpu": "500m", "gpu": "1", "memory": "4Gi"}


def test_foreign_issuer_may_have_any_group() -> None:
    members, _ = parse("churn", ["group/org/team a:view"], [], CATALOG, own_groups=False)
    assert members == (Member("group", "org/team a", "view"),)


def test_all_mistakes_are_reported_at_once() -> None:
    found = mistakes("ann", "viewers:edti", quota="cpu=lots,mem=1Gi,gpu=-1", name="Churn")
    assert len(found) == 6


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("viewers", "no role (end with :view or :edit)"),
        ("viewers:edt", "did you mean viewers:edit?"),
        ("viewers:", "no role"),
        (":view", "not a name of a group"),
        (
            "ann:view",
            "no group ann (known: platform-admins, data-scientists, viewers; a user: user/ann:view)",
        ),
        ("team/ann:view", "write group/team/ann:view or user/ann:view"),
        ("user/:view", "not a name of a user"),
        ("system:masters:edit", "not a name of a group"),
        ("user/system:admin:edit", "not a name of a user"),
        ("group/system:masters:edit", "not a name of a group"),
        ("user/a\nb:view", "not a name of a user"),
        (f"user/{'a' * 200}:view", "not a name of a user"),
    ],
)
def test_wrong_member_is_refused_with_a_hint(member: str, text: str) -> None:
    assert text in "\n".join(mistakes(member))


def test_reserved_groups_are_refused_of_a_foreign_issuer_too() -> None:
    assert "not a name of a group" in mistakes("system:masters:edit", own=False)[0]


def test_member_with_two_roles_is_refused() -> None:
    assert "viewers has two roles" in mistakes("viewers:view", "viewers:edit")[0]


@pytest.mark.parametrize(
    ("quota", "text"),
    [
        ("cpu", "no value"),
        ("cpu=", "not an amount of CPU"),
        ("cpu=0", "not an amount of CPU"),
        ("cpu=-1", "not an amount of CPU"),
        ("cpu=1e3", "not an amount of CPU"),
        ("cpu=99999999", "not an amount of CPU"),
        ("memory=100Mi", "at least 512Mi"),
        ("memory=9999999Ti", "at least 512Mi"),
        ("memory=8GB", "at least 512Mi"),
        ("gpu=0.5", "not a whole number"),
        ("gpus=1", "did you mean gpu=…?"),
        ("pods=0", "from 1 to 10000"),
        ("cpu=1,cpu=2", "cpu has two values"),
        ("", "unknown"),
    ],
)
def test_wrong_quota_is_refused_with_a_hint(quota: str, text: str) -> None:
    assert text in "\n".join(mistakes(quota=quota or ","))


@pytest.mark.parametrize("name", ["ab", "a1", "1a", "team-a", "a" * 30])
def test_right_names(name: str) -> None:
    assert not list(name_problems(name, CATALOG))


MALFORMED = ("", "a", "A1", "a_b", "-a", "a-", "a.b", "a" * 31, "é1", "a\n", "١١")
RESERVED = (
    "default",
    "workspaces",
    "kube-system",
    "kube-x",
    "mlops-platform",
    "mlops-platform-x",
    "mlops-smoke-1",
)


@pytest.mark.parametrize("name", [*MALFORMED, *RESERVED, A_COMPONENT])
def test_wrong_and_reserved_names_are_refused(name: str) -> None:
    assert list(name_problems(name, CATALOG))
