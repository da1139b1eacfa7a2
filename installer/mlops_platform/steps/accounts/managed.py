"""Access to managed services of the cloud, and the Secret that describes each."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.adapters.kube.namespaces import JOBS_ACCOUNT
from mlops_platform.base.digest import short_digest
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import Grant
from mlops_platform.steps.accounts.accounts import MADE, mark


@dataclass(frozen=True)
class GrantAccess:
    """Let a component's service accounts use a managed service. It has no password, so Vault stores none."""

    context: Context
    grant: Grant
    layer: str

    @property
    def id(self) -> str:
        return f"{self.grant.component}/{self.grant.kind}"

    def observe(self) -> Difference | None:
        """None if its Secret is up to date."""
        grant = self.grant
        found = self.context.clients.kube.get("v1", "Secret", grant.secret, grant.namespace) or {}
        made = (found.get("metadata", {}).get("annotations") or {}).get(MADE)
        if made == short_digest(grant.values):
            return None
        return Difference(f"grant access to the cloud's {grant.kind}")

    def run(self, progress: Progress) -> None:
        grant = self.grant
        jobs = (JOBS_ACCOUNT,) if grant.service.jobs else ()
        grant.service.grant(grant.namespace, (grant.component, *jobs))
        self.context.cluster_secrets.write(grant.namespace, grant.secret, grant.values)
        kube = self.context.clients.kube_for_write()
        mark(kube, grant.namespace, grant.secret, short_digest(grant.values))
