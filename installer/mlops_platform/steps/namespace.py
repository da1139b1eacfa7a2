"""The namespace of a component, with policies before any pod runs in it, and its generated secrets."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.adapters.kube import namespaces
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.checks import MATRIX
from mlops_platform.engine import stored_results
from mlops_platform.engine.graph import Difference
from mlops_platform.steps.base import ComponentStep
from mlops_platform.steps.network import policies


@dataclass(frozen=True)
class PrepareNamespace(ComponentStep):
    """Namespace, network policies, and the secrets that are generated once."""

    act = "namespace"

    @property
    def _level(self) -> str:
        lower = self.resolved.component.pod_security
        return lower.level if lower else namespaces.RESTRICTED

    def observe(self) -> Difference | None:
        context, namespace = self.context, self.resolved.namespace
        kube = context.clients.kube
        wrong = namespaces.difference(kube, namespace, context.environment.name, self._level)
        if wrong:
            return Difference(wrong)
        existing = context.secrets.names(namespace)
        wanted = map(self.resolved.secret, self.resolved.component.needs.secrets)
        missing = [name for name in wanted if name not in existing]
        firewall = policies.difference(kube, namespace, policies.policies_of(context, self.resolved))
        parts = [firewall, f"make {', '.join(missing)}" if missing else ""]
        return Difference("; ".join(filter(None, parts))) if any(parts) else None

    def run(self, progress: Progress) -> None:
        context, resolved = self.context, self.resolved
        kube, namespace = context.clients.kube_for_write(), resolved.namespace
        lower = resolved.component.pod_security
        if lower:
            progress.note(f"{namespace}: pod security {lower.level}: {lower.why}")
        namespaces.ensure_namespace(kube, namespace, context.environment.name, self._level)
        wanted = policies.policies_of(context, resolved)
        if policies.difference(kube, namespace, wanted):
            stored_results.forget(kube, MATRIX)  # it passed with other policies
            policies.enforce(kube, namespace, wanted)
        for key, need in resolved.component.needs.secrets.items():
            if need.immutable:
                self._require_no_data(key)
            context.secrets.ensure(namespace, resolved.secret(key), need)

    def _require_no_data(self, key: str) -> None:
        """Raises StepError if an immutable secret is missing, but data that needs it exists."""
        kube, namespace, secret = (
            self.context.clients.kube,
            self.resolved.namespace,
            self.resolved.secret(key),
        )
        if kube.get("v1", "Secret", secret, namespace):
            return
        labels = f"app.kubernetes.io/instance={self.resolved.name}"
        for claim in kube.list("v1", "PersistentVolumeClaim", namespace, labels=labels):
            raise StepError(
                f"{self.resolved.name}: its key, Secret {secret}, is missing",
                why=f"its data, volume claim {claim['metadata']['name']}, can be read with that key only",
                hint="restore the Secret from your backup; or, if the data may be lost, delete the claim and "
                "its pod (docs/operations.md)",
                command=kube.kubectl("--namespace", namespace, "get", "secrets,persistentvolumeclaims"),
            )
