"""Owns the steps of one component: namespace and secrets, accounts, jobs, release, smoke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_platform.base.errors import SmokeError
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.catalogue import Component, JobSpec
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context

if TYPE_CHECKING:
    from mlops_platform.steps.accounts.accounts import Account
    from mlops_platform.steps.accounts.managed import Grant


@dataclass(frozen=True)
class PrepareNamespace:
    """The namespace, closed before anything runs in it, and the secrets the component generates once."""

    context: Context
    component: Component
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.component.name}/namespace"

    @property
    def layer(self) -> str:
        return self.component.layer

    @property
    def _level(self) -> str:
        from mlops_platform.adapters.kube.namespaces import RESTRICTED

        lower = self.component.pod_security
        return lower.level if lower else RESTRICTED

    def _secrets(self) -> list[str]:
        return [f"{self.component.name}-{name}" for name in self.component.needs.secrets]

    def observe(self) -> Difference | None:
        from mlops_platform.adapters.kube import namespaces
        from mlops_platform.steps.network import policies

        context, component = self.context, self.component
        kube, namespace = context.clients.kube, component.namespace
        wrong = namespaces.difference(kube, namespace, context.environment.name, self._level)
        if wrong:
            return Difference(wrong)
        held = context.secrets.names(namespace)
        missing = [name for name in self._secrets() if name not in held]
        firewall = policies.difference(kube, namespace, policies.policies_of(context, component))
        parts = [firewall, f"make {', '.join(missing)}" if missing else ""]
        return Difference("; ".join(filter(None, parts))) if any(parts) else None

    def run(self, progress: Progress) -> None:
        from mlops_platform.adapters.kube.namespaces import ensure_namespace
        from mlops_platform.catalogue.checks import MATRIX
        from mlops_platform.engine import stored_results as record
        from mlops_platform.steps.network import policies
        from mlops_platform.steps.secrets.vault import check_other_vault

        context, component = self.context, self.component
        kube, namespace = context.clients.kube_for_write(), component.namespace
        if component.pod_security:
            progress.note(f"{namespace}: pod security {self._level}: {component.pod_security.why}")
        ensure_namespace(kube, namespace, context.environment.name, self._level)
        wanted = policies.policies_of(context, component)
        if policies.difference(kube, namespace, wanted):
            record.forget(kube, MATRIX)  # it was proven of other rules
            policies.enforce(kube, namespace, wanted)
        for name, need in component.needs.secrets.items():
            check_other_vault(context, component, name)
            context.secrets.ensure(namespace, f"{component.name}-{name}", need)


@dataclass(frozen=True)
class MakeAccount:
    """A component's own database or bucket at whoever provides it."""

    context: Context
    account: Account
    layer: str
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.account.component}/{self.account.kind}"

    def observe(self) -> Difference | None:
        from mlops_platform.steps.accounts.accounts import observe

        return observe(self.context, self.account)

    def run(self, progress: Progress) -> None:
        from mlops_platform.steps.accounts.accounts import run

        run(self.context, self.context.clients.kube_for_write(), self.account, progress)


@dataclass(frozen=True)
class GrantAccess:
    """What the cloud gives a component, in place of an account at another one."""

    context: Context
    grant: Grant
    layer: str
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.grant.component}/{self.grant.kind}"

    def observe(self) -> Difference | None:
        from mlops_platform.steps.accounts.managed import observe

        return observe(self.context, self.grant)

    def run(self, progress: Progress) -> None:
        from mlops_platform.steps.accounts.managed import run

        run(self.context, self.grant)


@dataclass(frozen=True)
class PutBundle:
    """The environment's folder of people's own code, as a ConfigMap that pods mount."""

    context: Context
    component: Component
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.component.name}/bundle"

    @property
    def layer(self) -> str:
        return self.component.layer

    def observe(self) -> Difference | None:
        from mlops_platform.steps.release.bundle import config_map

        wanted = config_map(self.context, self.component)
        assert wanted, "planned only for a folder"
        meta = wanted["metadata"]
        found = self.context.clients.kube.get("v1", "ConfigMap", meta["name"], meta["namespace"])
        if not found:
            return Difference(f"copy {len(wanted['data'])} files")
        held, now = found.get("data") or {}, wanted["data"]
        changed = sum(held.get(key) != now.get(key) for key in held.keys() | now.keys())
        return Difference(f"copy again: {changed} files differ") if changed else None

    def run(self, progress: Progress) -> None:
        from mlops_platform.steps.release.bundle import config_map

        wanted = config_map(self.context, self.component)
        assert wanted, "planned only for a folder"
        self.context.clients.kube_for_write().apply(wanted)


@dataclass(frozen=True)
class RunJob:
    """A Job to completion before the release rolls; its digest on the Job says it need not run again."""

    context: Context
    component: Component
    job: JobSpec
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.component.name}/{self.job.name}"

    @property
    def layer(self) -> str:
        return self.component.layer

    def observe(self) -> Difference | None:
        from mlops_platform.steps.jobs.run import observe_job

        return observe_job(self.context, self.component, self.job)

    def run(self, progress: Progress) -> None:
        from mlops_platform.steps.jobs.run import run_component_job

        kube = self.context.clients.kube_for_write()
        run_component_job(self.context, kube, self.component, self.job, progress)


@dataclass(frozen=True)
class InstallRelease:
    """The component's Helm release, upgraded only when its digest differs."""

    context: Context
    component: Component
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.component.name}/release"

    @property
    def layer(self) -> str:
        return self.component.layer

    def observe(self) -> Difference | None:
        from mlops_platform.adapters.kube.readiness import waiting_for
        from mlops_platform.steps.release.values import release_of

        component = self.component
        wanted = release_of(self.context, component)
        found = self.context.helm.installed().get((component.namespace, component.name))
        if not found:
            return Difference("install")
        if found.status != "deployed":
            return Difference(f"recover from {found.status}")
        if found.digest != self.context.helm.digest(wanted):
            return Difference("upgrade", tuple(self.context.helm.diff(wanted)))
        waiting = waiting_for(self.context.clients.kube, component.namespace, component.name)
        return Difference(waiting) if waiting else None

    def run(self, progress: Progress) -> None:
        from mlops_platform.steps.release.values import release_of

        self.context.clients.kube_for_write()
        helm, component = self.context.helm, self.component
        helm.recover(component.namespace, component.name, progress)
        helm.upgrade(release_of(self.context, component), progress, self.context.cancel)


@dataclass(frozen=True)
class SmokeTest:
    """The component's probes; passed once for a release, they are not run again by `up`."""

    context: Context
    component: Component
    requires: tuple[str, ...]
    always: bool = False
    gentle: bool = False  # no pod is deleted

    @property
    def id(self) -> str:
        return f"{self.component.name}/smoke"

    @property
    def layer(self) -> str:
        return self.component.layer

    def _digest(self) -> str:
        from mlops_platform.steps.release.values import smoke_digest

        return smoke_digest(self.context, self.component)

    def observe(self) -> Difference | None:
        from mlops_platform.engine.stored_results import passed

        if self.always or not passed(self.context.clients.kube, self.component.name, self._digest()):
            return Difference("prove")
        return None

    def run(self, progress: Progress) -> None:
        from mlops_platform.engine import stored_results as record
        from mlops_platform.smoke import runner

        kube = self.context.clients.kube_for_write()
        results = runner.run_component(self.context, self.component, kube, progress, gentle=self.gentle)
        record.write(kube, self.component.name, self._digest(), results)
        failed = [r for r in results if not r.ok]
        if failed:
            raise SmokeError(
                f"{self.component.name}: {len(failed)} of {len(results)} probes failed",
                why="\n".join(f"{r.name}: {r.detail}" for r in failed),
                hint="everything stays up; look at the evidence, mend, and run smoke again",
                command=f"mlops-platform smoke {self.component.name} --env {self.context.environment.name}",
                evidence=self.context.run_folder / "evidence" / self.component.name,
            )
