"""Confirmation of `up`: it lists what it destroys, and loses no data without permission.

Uses a real Terraform; its objects are files, and those of the second rank count as data.
"""

from __future__ import annotations

import io
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.terraform import find_binary
from mlops_platform.adapters.terraform.changes import Change
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed, Interrupted, UsageError
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Progress, Silent
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.clusters.base import Capabilities
from mlops_platform.clusters.bill import Bill, Charge, Span
from mlops_platform.clusters.cost import Cost
from mlops_platform.commands import _confirm as consent
from mlops_platform.commands._confirm import agreed
from mlops_platform.console import Console
from mlops_platform.environment.model import ClusterSpec, ComponentSpec, Environment
from mlops_platform.run.context import Context, context_of
from mlops_platform.run.open import Opened

from tests.integration.terraform.conftest import Site

pytestmark = pytest.mark.integration
ASK = consent._ask


@dataclass
class Careful:
    """The part of a cluster provider with confirmation that `agreed` uses."""

    site: Site
    count: int = 3
    asks: bool = True
    where: str = "a cloud"
    simulated: str = ""
    prepared: list[str] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(False, False, True, requires_confirmation=self.asks)

    @property
    def cost(self) -> Cost:
        return self

    def created_at(self) -> str:
        return ""

    def variables(self) -> dict[str, Any]:
        return self.site.variables(count=self.count)

    def prepare(self, progress: Progress) -> None:
        self.prepared.append("state bucket")

    def bill(self, volumes: float) -> Bill:
        return Bill((Charge("nodes", "3 × large", Span(1, 2)),), "2026-11-24", "tax", 730)

    def data_loss(self, change: Change) -> str:
        return "its file" if change.address.startswith("terraform_data.second") else ""


@dataclass(frozen=True)
class FailureContext:
    """An environment with three objects of each rank, and the console's output."""

    work: Context
    cluster: Careful
    err: io.StringIO
    closing: list[Callable[[], None]] = field(default_factory=list)

    def ask(self, *, yes: bool = False, allow_data_loss: bool = False) -> bool:
        console = Console("up", "staging", out=io.StringIO(), err=self.err)
        return agreed(console, self.work, yes=yes, allow_data_loss=allow_data_loss)

    def apply(self) -> None:
        self.work.terraform.apply(self.cluster.variables(), Silent(), Cancel())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def nothing_yet(site: Site, tmp_path: Path) -> Iterator[FailureContext]:
    chosen = Environment(
        name="staging",
        domain="mlops.localhost",
        cluster=ClusterSpec(provider="host"),
        components={"postgres": ComponentSpec()},
    )
    assets = Paths.default().assets
    paths = Paths(tmp_path / "home", tmp_path / "cache", assets)
    opened = Opened(paths, read_catalog(assets / "helm-values"), chosen, tmp_path / "staging.yaml", tmp_path)
    cluster = Careful(site)
    work = replace(
        context_of(opened, Cancel(), tmp_path / "run"),
        cluster=cluster,  # type: ignore[arg-type]
        terraform=site.terraform(),
    )
    situation = FailureContext(work, cluster, io.StringIO())
    yield situation
    for close in situation.closing:
        close()


@pytest.fixture
def there(nothing_yet: FailureContext) -> FailureContext:
    nothing_yet.apply()
    return nothing_yet


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A function that returns Terraform's commands since its last call."""
    said, wrapper = tmp_path / "calls", tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\necho "$1" >>{said}\nexec {find_binary().path} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("MLOPS_PLATFORM_TERRAFORM", str(wrapper))
    said.touch()

    def since() -> list[str]:
        words = said.read_text().split()
        said.write_text("")
        return [word for word in words if word != "version"]

    return since


class Keyboard(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def typed(monkeypatch: pytest.MonkeyPatch, situation: FailureContext, answer: str) -> FailureContext:
    """A terminal on which the user types this answer; '-' is an empty answer."""
    reader, writer = os.pipe()
    keyboard = Keyboard(os.fdopen(reader, "rb"))
    monkeypatch.setattr("sys.stdin", keyboard)
    if answer != "-":
        os.write(writer, f"{answer}\n".encode())
    situation.closing.extend([keyboard.close, partial(os.close, writer)])
    return replace(situation, err=Terminal())


def test_first_up_is_not_planned_separately(
    nothing_yet: FailureContext, started: Callable[[], list[str]], site: Site
) -> None:
    """There is nothing to destroy, so that no plan is needed, with and without a question."""
    assert nothing_yet.ask(yes=True) and nothing_yet.ask()
    assert started() == [] and nothing_yet.cluster.prepared == []
    nothing_yet.apply()
    assert started() == ["init", "apply"] and len(site.objects()) == 6


def test_unchanged_environment_starts_no_terraform(
    there: FailureContext, started: Callable[[], list[str]]
) -> None:
    there.apply()
    started()
    assert there.ask(yes=True) and there.ask()
    assert started() == [] and there.err.getvalue() == ""


def test_provider_without_confirmation_is_not_planned(
    there: FailureContext, started: Callable[[], list[str]]
) -> None:
    there.cluster.asks, there.cluster.count = False, 1
    assert there.ask() and started() == []


def test_yes_covers_creations_which_are_planned_once(
    there: FailureContext, started: Callable[[], list[str]], site: Site
) -> None:
    there.cluster.count = 4
    assert there.ask(yes=True)
    there.apply()
    assert [w for w in started() if w != "init"] == ["plan", "apply"]
    assert len(site.objects()) == 8 and there.err.getvalue() == ""


def test_yes_does_not_cover_data_loss(there: FailureContext, site: Site) -> None:
    there.cluster.count = 2
    for yes in (True, False):  # stdin is no terminal: a question is not possible
        with pytest.raises(UsageError) as caught:
            there.ask(yes=yes)
        assert "terraform_data.second[2]: its file" in caught.value.why
        assert "terraform_data.first" not in caught.value.why
        assert caught.value.command == "mlops-platform up --env staging --yes --allow-data-loss"
    assert len(site.objects()) == 6 and not site.folder.plan.exists()


def fail_to_make(there: FailureContext, site: Site) -> None:
    """Make the creation of second[3], an object with data, fail, so that Terraform taints it."""
    there.cluster.count = 4
    (site.things / "object-second-3").mkdir()
    assert there.ask(yes=True)
    with pytest.raises(CommandFailed):
        there.apply()
    (site.things / "object-second-3").rmdir()


def by_hand(site: Site, *words: str) -> None:
    subprocess.run(
        [find_binary().path, *words],
        cwd=site.folder.work,
        env={**os.environ, "TF_DATA_DIR": str(site.folder.data)},
        check=True,
    )


@pytest.mark.parametrize("then_killed", [False, True])
def test_incomplete_object_holds_no_data(there: FailureContext, site: Site, then_killed: bool) -> None:
    fail_to_make(there, site)
    if then_killed:
        site.folder.begin("apply", "a run that was killed before the replacement")
    assert there.ask(yes=True) and "terraform_data.second[3]" in there.err.getvalue()
    there.apply()
    assert len(site.objects()) == 8 and site.folder.incomplete() == frozenset()


@pytest.mark.parametrize("failed_before", [False, True])
def test_object_tainted_by_hand_holds_data(there: FailureContext, site: Site, failed_before: bool) -> None:
    tainted = "terraform_data.second[2]"
    if failed_before:
        fail_to_make(there, site)
        tainted = "terraform_data.second[3]"
        by_hand(site, "apply", "-auto-approve", f"-var-file={site.folder.variables}")
    by_hand(site, "taint", tainted)
    with pytest.raises(UsageError) as caught:
        there.ask(yes=True)
    assert f"{tainted}: its file" in caught.value.why


def test_allow_data_loss_destroys_exactly_the_listed_objects(there: FailureContext, site: Site) -> None:
    there.cluster.count = 2
    assert there.ask(yes=True, allow_data_loss=True)
    assert "✖ destroy terraform_data.second[2]" in there.err.getvalue()
    assert "✖ destroy terraform_data.first[2]" in there.err.getvalue()
    there.apply()
    assert site.objects() == {f"{rank}-{n}" for rank in ("first", "second") for n in (0, 1)}


def test_destroying_objects_without_data_requires_yes(
    there: FailureContext, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.cluster.count = 2
    monkeypatch.setattr(Careful, "data_loss", lambda *_: "")
    with pytest.raises(UsageError) as caught:
        there.ask()
    assert "destroy terraform_data.first[2]" in caught.value.why
    assert caught.value.command == "mlops-platform up --env staging --yes"
    assert there.ask(yes=True) and "✖ destroy terraform_data.first[2]" in there.err.getvalue()
    assert len(site.objects()) == 6


@pytest.mark.parametrize(("answer", "agrees"), [("staging", True), ("y", False), ("", False)])
def test_user_confirms_data_loss_with_the_environment_name(
    there: FailureContext, site: Site, monkeypatch: pytest.MonkeyPatch, answer: str, agrees: bool
) -> None:
    there.cluster.count = 2
    person = typed(monkeypatch, there, answer)
    assert person.ask() is agrees
    said = person.err.getvalue()
    assert "✖ destroy terraform_data.second[2]" in said and "1.00 $/h" in said
    assert said.endswith("Data is lost. Apply? [type staging] ")
    assert len(site.objects()) == 6 and site.folder.plan.exists() is agrees


def test_user_sees_the_cost_before_anything_is_created(
    nothing_yet: FailureContext, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = typed(monkeypatch, nothing_yet, "n")
    assert not person.ask()
    said = person.err.getvalue()
    assert (
        "+ 6 resources" in said and "to 2.00 $/h (1,460 $/month)" in said and said.endswith("Apply? [y/N] ")
    )
    assert nothing_yet.cluster.prepared == [] and not site.folder.path.exists()


def test_yes_option_asks_no_question(there: FailureContext, monkeypatch: pytest.MonkeyPatch) -> None:
    there.cluster.count = 4
    person = typed(monkeypatch, there, "n")
    assert person.ask(yes=True) and "Apply?" not in person.err.getvalue()


def test_ctrl_c_at_the_question_ends_the_command(
    there: FailureContext, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a run the signal only sets a flag, which a program that waits for a line does not see."""
    there.cluster.count = 2
    person = typed(monkeypatch, there, "-")
    stop = threading.Timer(0.0, person.work.cancel.request)

    def ask(*given: Any) -> bool:
        stop.start()
        return ASK(*given)

    monkeypatch.setattr(consent, "_ask", ask)
    with pytest.raises(Interrupted):
        person.ask()
    stop.join()
    assert len(site.objects()) == 6 and not site.folder.plan.exists()
