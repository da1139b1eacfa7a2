"""A cluster that is there already; nothing of it is created or destroyed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.programs import Programs
from mlops_platform.adapters.registry import Registry
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.files import write_private
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Progress
from mlops_platform.base.yaml import load_kubernetes
from mlops_platform.clusters.base import Capabilities, Check, Cluster, ClusterAccess, Network
from mlops_platform.clusters.existing.login import Asked
from mlops_platform.clusters.existing.options import Options
from mlops_platform.clusters.existing.teardown import ExistingTeardown
from mlops_platform.environment.model import ClusterSpec

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube

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
        """A copy with the one context: the user's file, and which of it is current, is theirs."""
        return self.state.absolute() / "kubeconfig"

    def checks(self) -> Sequence[Check]:
        try:
            server = self._chosen()["clusters"][0]["cluster"]["server"]
        except StepError as error:
            return (Check("kubeconfig", "failure", error.what, error.why, error.hint),)
        wrong = self.alive()
        if wrong:
            fix = f"kubectl --kubeconfig {self._theirs} --context {self.options.context} get nodes"
            return (Check("cluster", "failure", server, wrong, fix),)
        return (Check("cluster", "ok", server),)

    def variables(self) -> Mapping[str, Any]:
        options = self.options
        return {
            "name": self.environment,
            "kubeconfig": str(self.kubeconfig),
            "context": options.context,
            "endpoint": self._chosen()["clusters"][0]["cluster"]["server"],
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
            token=_token(self._chosen()),
        )

    def network(self) -> Network:
        """Nobody knows whose plugin enforces there: one that keeps pods from their own node, or EKS's."""
        return Network(tuple(self.options.pod_networks), own_node=True)

    def alive(self) -> str:
        """'' when the API server answers, and knows us, even if we may not ask for its health."""
        from mlops_platform.adapters.kube import KubeError

        try:
            with self._asking() as kube:
                kube.raw("GET", "/readyz", seconds=10)
        except StepError as error:
            forbidden = isinstance(error, KubeError) and error.status == _FORBIDDEN
            return "" if forbidden else f"{error.what}: {error.why}"
        return ""

    def revive(self, progress: Progress, cancel: Cancel) -> None:
        raise StepError(
            f"{self.options.context}: the cluster does not answer",
            why=self.alive(),
            hint="it is not ours to mend",
            command=f"kubectl --kubeconfig {self._theirs} --context {self.options.context} get nodes",
        )

    def addons(self) -> Sequence[Mapping[str, Any]]:
        return ()

    @contextmanager
    def _asking(self) -> Iterator[Kube]:
        """A client by the user's own file: whoever only looks leaves nothing behind."""
        from mlops_platform.adapters.kube import Kube

        chosen = self._chosen()
        with TemporaryDirectory() as folder:
            file = Path(folder) / "kubeconfig"
            write_private(file, json.dumps(chosen))
            yield Kube(file, _token(chosen))

    @property
    def _theirs(self) -> Path:
        return Path(self.options.kubeconfig).expanduser().absolute()

    def _copy(self) -> None:
        text = json.dumps(self._chosen(), indent=1)
        if not self.kubeconfig.exists() or self.kubeconfig.read_text() != text:
            self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(self.kubeconfig, text)

    def _chosen(self) -> dict[str, Any]:
        """A kubeconfig of the one context, its cluster and its user; files it names by their full path.

        Raises ConfigurationError for a file that cannot be read, StepError for one without the context.
        """
        data = load_kubernetes(self._theirs)
        try:
            context = _named(data, "contexts", self.options.context)
            cluster = _named(data, "clusters", context["context"]["cluster"])
            user = _named(data, "users", context["context"]["user"])
            clusters = [_absolute(cluster, "cluster", self._theirs.parent)]
            users = [_absolute(user, "user", self._theirs.parent)]
        except (KeyError, TypeError, AttributeError) as error:
            raise StepError(
                f"{self._theirs}: no context {self.options.context}",
                why=f"{type(error).__name__}: {error}",
                hint="cluster.kubeconfig and cluster.context must name one that is there",
                command=f"kubectl --kubeconfig {self._theirs} config get-contexts",
            ) from error
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": clusters,
            "users": users,
            "contexts": [context],
            "current-context": self.options.context,
        }


def _token(chosen: Mapping[str, Any]) -> Callable[[], str] | None:
    """What gives tokens to a user who logs in by a program; None: the kubeconfig is enough."""
    program = chosen["users"][0]["user"].get("exec")
    return Asked(program).token if program else None


def _named(data: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    for each in data[kind]:
        if each["name"] == name:
            found: dict[str, Any] = each
            return found
    raise KeyError(f"no {name} in {kind}")


def _absolute(item: Mapping[str, Any], part: str, folder: Path) -> dict[str, Any]:
    """Paths in a kubeconfig are relative to it; ours lies elsewhere."""
    files = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
    told = {k: str(folder / v) if k in files and v else v for k, v in item[part].items()}
    return {**item, part: told}


def make(spec: ClusterSpec, environment: str, state: Path, programs: Programs, _run: str) -> ExistingCluster:
    """The kubeconfig is not read yet."""
    assert isinstance(spec, Options), "the environment file was read with this provider's options model"
    registry = Registry(programs, lambda: spec.registry) if spec.registry else None
    return ExistingCluster(environment, state, spec, registry)
