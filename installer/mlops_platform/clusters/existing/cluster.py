"""A cluster that is there already; nothing of it is created or destroyed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.kube.kubeconfig import cluster_of, one_context
from mlops_platform.adapters.programs import Programs
from mlops_platform.adapters.registry import Registry
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import PlatformError, StepError
from mlops_platform.base.files import write_private
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.base import Capabilities, Check, Cluster, ClusterAccess, Network
from mlops_platform.clusters.existing.options import Options
from mlops_platform.clusters.existing.teardown import ExistingTeardown
from mlops_platform.environment.model import ClusterSpec

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube
    from mlops_platform.adapters.kube.operators import Operator

_FORBIDDEN = 403


@dataclass(frozen=True)
class ExistingCluster(Cluster):
    """The cluster that a context of the user's kubeconfig names."""

    environment: str
    state: Path
    options: Options
    registry: Registry | None = None
    name = "existing"
    root = Paths.default().assets / "terraform" / "existing"

    @property
    def where(self) -> str:
        return f"context {self.options.context}"

    @property
    def capabilities(self) -> Capabilities:
        takes_images = self.registry is not None
        return Capabilities(
            embedded=False, takes_images=takes_images, external_resources=True, dedicated=False
        )

    @property
    def teardown(self) -> ExistingTeardown:
        kept = self.options.registry if self.state.exists() else ""
        return ExistingTeardown(self.environment, self.kubeconfig, kept, self._asking)

    @property
    def kubeconfig(self) -> Path:
        """A copy with the one context; the user's own file is never changed."""
        return self.state.absolute() / "kubeconfig"

    def checks(self) -> Sequence[Check]:
        try:
            server = cluster_of(self._chosen())["server"]
        except PlatformError as error:
            return (Check("kubeconfig", "failure", error.what, error.why, error.hint),)
        wrong = self.alive()
        if wrong:
            fix = f"kubectl --kubeconfig {self._theirs} --context {self.options.context} get nodes"
            return (Check("cluster", "failure", server, wrong, fix),)
        return (Check("cluster", "ok", server),)

    def operators(self, groups: Iterable[str]) -> Mapping[str, Operator]:
        from mlops_platform.adapters.kube.operators import find_operators  # imported at use: start-up time

        return find_operators(self._asking(), groups)

    def variables(self) -> Mapping[str, Any]:
        options = self.options
        return {
            "name": self.environment,
            "kubeconfig": str(self.kubeconfig),
            "context": options.context,
            "endpoint": cluster_of(self._chosen())["server"],
            "storage_class": options.storage_class,
            "region": options.region,
            "labels": options.labels,
        }

    def prepare(self, progress: Progress) -> None:
        self._copy()

    def access(self, outputs: Mapping[str, Any]) -> ClusterAccess:
        self._copy()
        return ClusterAccess(
            name=outputs["cluster_name"],
            endpoint=outputs["endpoint"],
            kubeconfig=self.kubeconfig,
            storage_class=outputs["storage_class"],
            region=outputs["region"],
        )

    def network(self) -> Network:
        """The network plugin is not known: it may keep pods from their own node, or be EKS's."""
        return Network(tuple(self.options.pod_networks), own_node=True)

    def alive(self) -> str:
        """'' if the API server answers and knows the user, who may lack the right to ask for its health."""
        from mlops_platform.adapters.kube import KubeError  # imported at use: start-up time

        try:
            self._asking().check_ready()
        except PlatformError as error:
            forbidden = isinstance(error, KubeError) and error.status == _FORBIDDEN
            return "" if forbidden else f"{error.what}: {error.why}"
        return ""

    def revive(self, progress: Progress, cancel: Cancel) -> None:
        raise StepError(
            f"{self.options.context}: the cluster does not answer",
            why=self.alive(),
            hint="start it; mlops-platform changes nothing about this cluster itself",
            command=f"kubectl --kubeconfig {self._theirs} --context {self.options.context} get nodes",
        )

    def addons(self) -> Sequence[Mapping[str, Any]]:
        return ()

    def _asking(self) -> Kube:
        """A client by the user's own file, which leaves nothing behind."""
        from mlops_platform.adapters.kube import Kube  # imported at use: start-up time

        scratch = self.state if self.state.exists() else self.state.parent
        return Kube(self._theirs, context=self.options.context, scratch=scratch)

    @property
    def _theirs(self) -> Path:
        # Path.expanduser raises RuntimeError for the home of an unknown user.
        return Path(os.path.expanduser(self.options.kubeconfig)).absolute()  # noqa: PTH111

    def _copy(self) -> None:
        text = json.dumps(self._chosen(), indent=1)
        if not self.kubeconfig.exists() or self.kubeconfig.read_text() != text:
            self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(self.kubeconfig, text)

    def _chosen(self) -> dict[str, Any]:
        """A kubeconfig of the one context. Raises PreflightError with what the user's file lacks."""
        return one_context(self._theirs, self.options.context)


def make(spec: ClusterSpec, environment: str, state: Path, programs: Programs, _run: str) -> ExistingCluster:
    """An ExistingCluster; the kubeconfig is not read yet."""
    assert isinstance(spec, Options), "the environment file was read with this provider's options model"
    registry = Registry(programs, lambda: spec.registry) if spec.registry else None
    return ExistingCluster(environment, state, spec, registry)
