"""The screen of `plan`: every destroyed object is listed, an unknown price is not 0."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mlops_platform.adapters.terraform.changes import Change, Changes
from mlops_platform.base.humanize import paint_marks
from mlops_platform.clusters.bill import Bill, Charge, Span
from mlops_platform.console import Console
from mlops_platform.console import preview as screen
from mlops_platform.engine.engine import StepPlan
from mlops_platform.engine.graph import Difference
from mlops_platform.report.preview import Loss, Preview

import tests

GOLDEN = tests.GOLDEN / "console"
Golden = Callable[[Path, str], None]

BILL = Bill(
    (
        Charge("control plane", "EKS", Span(0.1, 0.1)),
        Charge("key", "KMS", Span(0.001, 0.001)),
        Charge("system pool", "2 to 6 × m7i.xlarge", Span(0.51, 1.53), Span(0.23, 0.69)),
        Charge("pool a10", "0 to 4 × g5.xlarge, 1 A10G", Span(0, 5.14), Span(0, 2.37), True),
    ),
    "2026-11-24",
    "tax, traffic",
    730,
)
UNKNOWN = Charge("pool new", "0 to 2 × z9.large", None, None)
TERRAFORM = StepPlan("cluster/terraform", "cluster", Difference("apply Terraform"))
NODES = "aws_eks_node_group"
CHANGES = Changes(
    (
        Change("aws_db_instance.this[0]", "aws_db_instance", "destroy", "delete because no resource config"),
        Change("aws_eks_cluster.this", "aws_eks_cluster", "update", "", ("version: 1.34 → 1.35",)),
        Change(f'{NODES}.gpu["t4"]', NODES, "replace", "", ("instance_types: g4dn.xlarge → g5.xlarge",)),
        Change("aws_launch_template.new", "aws_launch_template", "create"),
        Change(f"{NODES}.many", NODES, "update", "", tuple(f"a.{n}: 1 → 2" for n in range(9))),
    )
)
LATER = "until cluster/terraform: the way to the cluster was read before the step that makes it ran"
RIGHTS = "cluster-wide rights: changes deployments; reads secrets"
FRESH = Preview(
    "staging",
    "aws eu-central-1",
    (
        TERRAFORM,
        StepPlan("cluster/addons", "cluster", None, LATER),
        StepPlan("minio/release", "data", None, LATER),
        StepPlan("program/helm", "programs", Difference("build")),
    ),
    Changes(tuple(Change(f"aws_subnet.{n}", "aws_subnet", "create") for n in range(41))),
    (),
    BILL,
    {},
)
DESTROYS = Preview(
    "staging",
    "aws eu-central-1 · account 1234…9012",
    (
        TERRAFORM,
        StepPlan("kserve/release", "serving", Difference("install", (RIGHTS,))),
        StepPlan("airflow/release", "flows", Difference("upgrade", ("image.tag: 1 → 2", "replicas: 1 → 2"))),
        StepPlan("mlflow/release", "tracking", None),
        StepPlan("minio/release", "data", None),
        StepPlan("airflow/smoke", "flows", Difference("smoke")),
        StepPlan("kserve/smoke", "serving", Difference("smoke")),
    ),
    CHANGES,
    (Loss("aws_db_instance.this[0]", "its databases and their automated backups"),),
    Bill((*BILL.charges, UNKNOWN), BILL.dated, BILL.excludes, 730),
    {"kserve": "0.20.0", "airflow": "3.1.2"},
)
UNCHANGED = Preview(
    "staging",
    "aws eu-central-1",
    (StepPlan("cluster/terraform", "cluster", None), StepPlan("minio/release", "data", None)),
    Changes(),
    (),
    BILL,
    {},
)
UNASKED = Preview("staging", "aws eu-central-1", (), None, (), BILL, {}, "no valid credentials")
HOST = Preview(
    "local",
    "this machine",
    (
        StepPlan("program/etcd", "programs", None),
        StepPlan("image/mlflow", "images", Difference("build")),
        TERRAFORM,
        StepPlan("minio/release", "data", Difference("upgrade", ("image.tag: 1 → 2",))),
        StepPlan("drain/volumes", "drain", Difference("delete 3 volumes", destroys=True)),
    ),
    None,
    (),
    None,
    {"minio": "2025.10.15"},
)
PREVIEWS = {"fresh": FRESH, "destroys": DESTROYS, "unchanged": UNCHANGED, "unasked": UNASKED, "host": HOST}


@pytest.mark.parametrize("name", PREVIEWS)
def test_plan_screen_matches_golden(golden: Golden, name: str) -> None:
    text = screen.plan(PREVIEWS[name])
    assert max(map(len, text.splitlines())) <= 80
    golden(GOLDEN / f"screen-plan-{name}.txt", text + "\n")


def test_question_shows_cluster_loss_and_price(golden: Golden) -> None:
    golden(GOLDEN / "screen-apart.txt", screen.apart(DESTROYS) + "\n")


def test_envelope_matches_golden(golden: Golden) -> None:
    text = json.dumps(DESTROYS.as_data(), indent=1, ensure_ascii=False)
    golden(GOLDEN / "plan-destroys.json", text + "\n")


def test_every_destroyed_object_is_listed_in_red() -> None:
    many = Changes(tuple(Change(f"aws_thing.n{n:03}", "aws_thing", "destroy") for n in range(200)))
    shown = screen.changes(many)
    painted = paint_marks("\n".join(shown))
    for change in many.all:
        assert f"\033[31m✖ destroy {change.address}\033[0m" in painted
    assert "- 200" in shown[0]


def test_unknown_price_is_shown_and_not_counted_as_zero() -> None:
    bill = DESTROYS.bill
    assert bill and bill.unknown == ("pool new (0 to 2 × z9.large)",)
    lines = screen.price(bill)
    assert any("price unknown, not in the sum: pool new" in line for line in lines)
    row = next(line for line in "\n".join(lines).splitlines() if line.startswith("  pool new"))
    assert "unknown" in row and "0.00" not in row
    charge = bill.as_data()["charges"][-1]
    assert charge["on_demand"] is charge["spot"] is None


@pytest.mark.parametrize("name", [name for name, preview in PREVIEWS.items() if preview.bill])
def test_day_of_the_price_table_is_shown(name: str) -> None:
    assert "table of 2026-11-24" in screen.plan(PREVIEWS[name])


def test_spot_savings_are_relative_to_on_demand() -> None:
    assert BILL.paid.least == pytest.approx(0.611) and BILL.paid.most == pytest.approx(4.001)
    assert BILL.savings == pytest.approx((5.14 - 2.37) / (0.1 + 0.001 + 1.53 + 5.14))
    assert Bill(BILL.charges[:3], "", "", 730).savings == 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "word", "agreed"),
    [("y", "", True), ("", "", False), ("y", "staging", False), ("staging", "staging", True)],
)
def test_word_must_be_typed_if_yes_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, typed: str, word: str, agreed: bool
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(f"{typed}\n"))
    err = Terminal()
    assert Console("up", "staging", err=err).confirm("Apply?", word) is agreed
    assert ("[type staging]" if word else "[y/N]") in err.getvalue()


def test_confirm_without_terminal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    console = Console("up", "staging", err=Terminal())
    assert console.confirm("Apply?") is None and not console.asks
