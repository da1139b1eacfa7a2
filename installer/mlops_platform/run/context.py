"""The context that the steps of one run share: the environment, the tools, access to the cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_platform import clusters
from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.programs import Programs
from mlops_platform.adapters.terraform import Terraform
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Silent
from mlops_platform.catalogue.catalogue import SECRET_STORE
from mlops_platform.catalogue.component import Component
from mlops_platform.clusters.base import Cluster, ClusterAccess
from mlops_platform.engine.graph import Slot
from mlops_platform.environment.chosen import chosen_provider
from mlops_platform.run.clients import Clients
from mlops_platform.run.open import Opened
from mlops_platform.run.project import ProjectContext
from mlops_platform.run.resolved import ResolvedComponent, Surroundings, resolve

if TYPE_CHECKING:
    from mlops_platform.adapters.helm import Helm
    from mlops_platform.adapters.kube import Kube
    from mlops_platform.adapters.kube.operators import Operator
    from mlops_platform.adapters.vault import VaultConnection
    from mlops_platform.run.redaction import WatchedSecrets
    from mlops_platform.run.secrets import SecretSource


@dataclass(frozen=True)
class Context(ProjectContext):
    """The context of a run. It is frozen; values that become known during the run are in slots."""

    clients: Clients
    cluster: Cluster
    programs: Programs
    images: Images
    terraform: Terraform
    run_folder: Path
    access: Slot[ClusterAccess]
    beside: Path = field(default=Path())  # the environment file's folder: base of relative paths in it
    redact: Callable[[str], None] = field(default=lambda _: None)  # hides a secret's value in all output

    @cached_property
    def resolved(self) -> Mapping[str, ResolvedComponent]:
        """The chosen components, with all that this environment decides about each."""
        return resolve(self.environment, self.catalog, self._around, self.components)

    @cached_property
    def present(self) -> Mapping[str, ResolvedComponent]:
        """The operators that the cluster has already, and that this environment uses."""
        operators = [self.catalog[name] for name in self.environment.present]
        return resolve(self.environment, self.catalog, self._around, operators)

    @cached_property
    def operators(self) -> Mapping[str, Operator]:
        """The operators that the cluster had at the first call, by API group: several steps ask, before any
        of them is installed. Raises KubeError; the next call asks again."""
        every = (*self.resolved.values(), *self.present.values())
        groups = [each.component.api_group for each in every if each.component.api_group]
        return self.cluster.operators(groups) if groups else {}

    @property
    def _around(self) -> Surroundings:
        cluster = self.cluster
        return Surroundings(
            managed=cluster.managed,
            servers=cluster.managed_servers,
            charts=not cluster.capabilities.embedded,
            takes_images=cluster.capabilities.takes_images,
            reference=self.images.reference,
            beside=self.beside,
        )

    @property
    def store(self) -> Component | None:
        """The chosen component that stores the secrets, if there is one."""
        return chosen_provider(self.environment, self.catalog, SECRET_STORE)

    @cached_property
    def vault(self) -> VaultConnection:
        """The connection to Vault: `with context.vault.session() as vault: …`; needs a `store`."""
        from mlops_platform.adapters.vault import VaultConnection  # imported at use: start-up time

        assert self.store, "a Vault connection without Vault among the components"
        port = self.store.serves[self.store.provides[SECRET_STORE].port].port
        return VaultConnection(self.clients.kube, self.store.namespace, self.store.name, port, self.redact)

    @cached_property
    def helm(self) -> Helm:
        from mlops_platform.adapters.helm import HELM, KUSTOMIZE, Helm  # imported at use: start-up time

        return Helm(
            lambda: self.programs.build(HELM, Silent(), self.cancel) / "helm",
            self.access.get().kubeconfig,
            self.state / "helm",
            cache=self.paths.cache,
            kube=self.clients.kube,
            kustomize=lambda progress, cancel: self.programs.build(KUSTOMIZE, progress, cancel) / "kustomize",
        )

    @cached_property
    def cluster_secrets(self) -> WatchedSecrets:
        """Kubernetes Secrets without a copy in Vault."""
        from mlops_platform.run.redaction import WatchedSecrets  # imported at use: start-up time

        return WatchedSecrets(self.clients.kube, self.redact)

    @cached_property
    def secrets(self) -> SecretSource:
        """The source of secrets: Vault if chosen, else Kubernetes Secrets, as are Vault's own in any case."""
        if not self.store:
            return self.cluster_secrets
        from mlops_platform.run.secrets import VaultSecrets  # imported at use: start-up time

        return VaultSecrets(self.cluster_secrets, self.vault.session, self.store.namespace)


def context_of(
    opened: Opened,
    cancel: Cancel,
    run_folder: Path,
    before_change: Callable[[Kube], None] = lambda _: None,
    redact: Callable[[str], None] = lambda _: None,
) -> Context:
    """Make the tools for one run. Starts nothing and changes nothing."""
    paths, chosen = opened.paths, opened.environment
    programs = Programs(paths.cache)
    run = run_folder.name if run_folder.exists() else ""
    cluster = clusters.make(chosen.cluster, chosen.name, opened.state, programs, run)
    shipped = (paths.assets / "images", paths.assets / "helm-values", *cluster.recipe_folders)
    own = [entry.folder.parent for entry in opened.catalog.entries.values()]
    own += [opened.beside.resolve() / "images"] if opened.beside else []
    recipes = find_recipes(*dict.fromkeys((*shipped, *own)))
    access: Slot[ClusterAccess] = Slot("access to the cluster")
    return Context(
        environment=chosen,
        catalog=opened.catalog,
        paths=paths,
        cluster=cluster,
        programs=programs,
        images=Images(
            paths.cache, programs, recipes, cluster.registry.reference if cluster.registry else None
        ),
        terraform=Terraform(cluster.root, opened.state / "terraform", cluster.remote),
        cancel=cancel,
        run_folder=run_folder,
        access=access,
        clients=Clients(access, before_change, ahead=cluster.capabilities.dedicated),
        beside=opened.beside or Path(),
        redact=redact,
    )
