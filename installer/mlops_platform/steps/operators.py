"""The check for operators that a cluster has already: of another owner, or chosen with `source: present`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops_platform.adapters.kube.operators import Operator
from mlops_platform.base.errors import PlatformError, PreflightError
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.base import Check
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.steps.base import EnvironmentStep


@dataclass(frozen=True)
class CheckOperators(EnvironmentStep):
    """Check, before anything is installed, that each operator is the platform's or chosen as present.

    Two operators for the same kinds would undo each other's changes.
    """

    path = "check/operators"
    layer = "check"

    def observe(self) -> Difference | None:
        failures = [check for check in checks_of(self.context) if check.status == "failure"]
        if failures:
            raise PreflightError(
                f"operators in the cluster: {', '.join(check.name for check in failures)}",
                why="\n".join(f"{check.name}: {check.seen}; {check.why}" for check in failures),
                hint="\n".join(check.fix for check in failures),
                command=f"mlops-platform check --env {self.context.environment.name}",
            )
        return None

    def run(self, progress: Progress) -> None:
        raise AssertionError("observe either passes or raises")


def operator_checks(context: Context) -> list[Check]:
    """The same for `check`: without an answer of the cluster, one line that says so."""
    try:
        return checks_of(context)
    except PlatformError as error:
        return [Check("operators", "skipped", error.what, error.why)]


def checks_of(context: Context) -> list[Check]:
    """A check for each operator that is in the cluster or should be. Raises KubeError."""
    installed = {r.name: r.component.api_group for r in context.resolved.values() if r.component.api_group}
    present = {name: resolved.component.api_group for name, resolved in context.present.items()}
    if not (installed or present):
        return []
    found = context.operators
    checks = [_foreign(context, name, found[group]) for name, group in installed.items() if group in found]
    checks += [_present(name, group, found) for name, group in present.items()]
    return [check for check in checks if check]


def _foreign(context: Context, name: str, operator: Operator) -> Check | None:
    if operator.environment == context.environment.name:
        return None
    owner = f"environment {operator.environment}" if operator.environment else "another owner"
    return Check(
        name,
        "failure",
        str(operator),
        f"it is here already, of {owner}: two would undo each other's changes",
        f"set components.{name}.source: present to use it, or remove {name} from the environment",
    )


def _present(name: str, group: str, found: Mapping[str, Operator]) -> Check:
    if group in found:
        return Check(name, "ok", f"{found[group]}; it is used as it is")
    why = f"components.{name}.source is `present`, and the cluster has no {group}"
    return Check(name, "failure", "missing", why, f"remove components.{name}.source: then `up` installs it")
