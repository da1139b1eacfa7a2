"""The smoke test of a component: which scripts run, after which other tests, and the digest of both."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlops_platform.adapters.helm import Release
from mlops_platform.adapters.kube import Kube
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import SmokeError, UsageError
from mlops_platform.base.labels import OWNED
from mlops_platform.base.order import in_order
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.scripts import SmokeSpec
from mlops_platform.engine.result import Result
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.smoke.evidence import collect
from mlops_platform.smoke.script import ScriptRun, scripts_of
from mlops_platform.smoke.temporary import temporary_project
from mlops_platform.steps.access.users import trial
from mlops_platform.steps.release.objects import wanted
from mlops_platform.steps.release.values import source_of, values_of


@dataclass(frozen=True)
class ComponentTest:
    """The smoke test of one component. `required` are the tests of the components that it, or one of its
    scripts, requires: when one of those changes, this one runs again. With `gentle` it deletes no pod. With
    `whole` the long scripts run too; the digest stays, so the next `up` does not run it again. With `only`
    it is the script of this name alone."""

    context: Context
    resolved: ResolvedComponent
    required: tuple[ComponentTest, ...] = ()
    gentle: bool = False
    whole: bool = False
    only: str = ""
    what: str = "smoke test"

    @property
    def name(self) -> str:
        return self.only or self.resolved.name

    @property
    def specs(self) -> list[SmokeSpec]:
        """The scripts that run. Those that require a component which is not here are left out."""
        found = [spec for spec in self.resolved.component.smoke if missing(self.context, spec) is None]
        if self.only:
            return [spec for spec in found if spec.name == self.only]
        return [spec for spec in found if not spec.long or (self.whole and not spec.name)]

    @property
    def id(self) -> str:
        return f"{self.name}/smoke"

    @property
    def layer(self) -> str:
        return self.resolved.layer

    @cached_property
    def digest(self) -> str:
        """Covers the release, the scripts, and the tests of the components it requires.

        It does not cover the values of secrets: a rotation runs the smoke test itself.
        """
        resolved = self.resolved
        values = {key: value for key, value in values_of(resolved).items() if key != "checksum"}
        release = Release(resolved.name, resolved.namespace, source_of(resolved), values, labels=OWNED)
        parts: list[Any] = [self.context.helm.digest(release), *wanted(resolved)]
        counted = [spec for spec in self.specs if self.only or not spec.long]
        parts += [scripts_of(resolved, spec) for spec in counted]
        parts += [spec.model_dump(mode="json") for spec in counted]
        return short_digest([*parts, *(each.digest for each in self.required)])

    def run(self, kube: Kube, progress: Progress) -> list[Result]:
        """Run all scripts, also after a failure.

        After a failure, evidence/<component>/ in the run's folder has objects, events and logs.
        """
        context, resolved = self.context, self.resolved
        results: list[Result] = []
        logs: dict[str, str] = {}
        for spec in self.specs:
            people = trial(context, resolved) if spec.people else nullcontext()
            with people, temporary_project(context, kube, resolved, spec) as project:
                run = ScriptRun(context, resolved, spec, kube, progress, logs, project)
                results += run.all(gentle=self.gentle)
        if any(not result.ok for result in results):
            progress.say("collecting evidence")
            collect(kube, resolved.namespace, self._evidence, logs)
        return results

    @property
    def _evidence(self) -> Path:
        return self.context.run_folder / "evidence" / self.name

    def error(self, results: Sequence[Result]) -> SmokeError:
        failed = [result for result in results if not result.ok]
        return SmokeError(
            f"{self.name}: {len(failed)} of {len(results)} smoke tests failed",
            why="\n".join(f"{result.name}: {result.detail}" for result in failed),
            hint="read the evidence, fix the cause, and run smoke again; all pods keep running",
            command=f"mlops-platform smoke {self.name} --env {self.context.environment.name}",
            evidence=self._evidence,
        )


def component_tests(
    context: Context, *, gentle: bool = False, whole: Collection[str] = ()
) -> dict[str, ComponentTest]:
    """The test of each chosen component, by name, each after those that it requires.

    `whole` names the components whose long scripts run too.
    """
    requires = {
        name: required_by(context, each, [spec for spec in each.component.smoke if not spec.long])
        for name, each in context.resolved.items()
    }
    found: dict[str, ComponentTest] = {}
    for name in in_order(requires):
        required = tuple(found[each] for each in requires[name])
        found[name] = ComponentTest(context, context.resolved[name], required, gentle, name in whole)
    return found


def named_tests(
    context: Context, tests: Mapping[str, ComponentTest], names: Collection[str]
) -> dict[str, ComponentTest]:
    """The scripts with these names, each as a test of its own. Raises UsageError if one cannot run here."""
    found: dict[str, ComponentTest] = {}
    for resolved in context.resolved.values():
        for spec in resolved.component.smoke:
            if not spec.name or spec.name not in names:
                continue
            if word := missing(context, spec):
                hint = f"add {word} to the components of {context.environment.name}"
                raise UsageError(f"the smoke test {spec.name} needs {word}", hint=hint)
            required = tuple(tests[each] for each in required_by(context, resolved, [spec]))
            found[spec.name] = ComponentTest(context, resolved, required, only=spec.name)
    return found


def required_by(context: Context, resolved: ResolvedComponent, specs: Iterable[SmokeSpec]) -> tuple[str, ...]:
    """The chosen components that a component requires, or these scripts of it."""
    words = [word for spec in specs for word in spec.requires]
    more = [name for word in words for name in context.catalog.providers(word) if name in context.resolved]
    return tuple(dict.fromkeys([*resolved.requires, *more]))


def missing(context: Context, spec: SmokeSpec) -> str | None:
    """The first component or capability that a script requires and the environment does not have."""
    for word in spec.requires:
        if not any(name in context.resolved for name in context.catalog.providers(word)):
            return word
    return None
