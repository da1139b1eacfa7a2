"""Owns ExistingProvider: a cluster somebody else made; nothing of it is made or destroyed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.adapters.programs import Program
from mlops_platform.adapters.registry import Registry
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.files import write_private
from mlops_platform.base.labels import PLATFORM_NAMESPACE
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Progress
from mlops_platform.base.yaml import load_kubernetes
from mlops_platform.clusters.base import Check, ClusterAccess, Leftover, Network
from mlops_platform.clusters.existing.login import Asked
from mlops_platform.clusters.existing.options import Options
from mlops_platform.clusters.nothing_elsewhere import NothingElsewhere

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube
    from mlops_platform.adapters.terraform.changes import Change

_FORBIDDEN = 403


@dataclass(frozen=True)
class ExistingProvider(NothingElsewhere):
    """See ClusterProvider for the contract."""

    environment: str
    state: Path
    options: Options
    name: str = "existing"
    root: Path = Paths.default().assets / "terraform" / "existing"
    remote: None = None
    programs: tuple[Program, ...] = ()
    recipe_folders: tuple[Path, ...] = ()
    images: tuple[str, ...] = ()
    external_resources: bool = True
    embedded: bool = False
    registry: Registry | None = None
    whole: bool = False
    keeps_data: bool = False
    asks_first: bool = False

    @property
    def takes_images(self) -> bool:
        return self.registry is not None

    @property
    def where(self) -> str:
        return f"context {self.options.context}"

    @property
    def kubeconfig(self) -> Path:
        """A copy with the one context: the user's file, and which of it is current, is theirs."""
        return self.state.absolute() / "kubeconfig"

    def bill(self, volumes: float) -> None:
        return None

    def holds(self, change: Change) -> str:
        return ""

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

    def images_present(self) -> frozenset[str]:
        return self.registry.references() if self.registry else frozenset()

    def load_images(self, archives: Sequence[Path], progress: Progress, cancel: Cancel) -> None:
        assert self.registry, "asked only where images can be given"
        for archive in archives:
            self.registry.push(archive, progress, cancel)

    def inventory(self) -> Sequence[Leftover]:
        """The copy of the kubeconfig, and namespaces with this environment's label: all else is in those, but
        images in a registry, which may be there for others too.

        Raises StepError when the cluster does not answer: nobody can say then that nothing is left in it.
        """
        found = [Leftover("file", str(self.kubeconfig))] if self.kubeconfig.exists() else []
        if self.registry and self.state.exists():
            found.append(Leftover("images", self.options.registry, keep="pushed to a registry of yours"))
        with self._asking() as kube:
            spaces = kube.list("v1", "Namespace", labels=f"{ENVIRONMENT_LABEL}={self.environment}")
        found += [
            Leftover("namespace", each["metadata"]["name"], each["status"]["phase"].lower())
            for each in spaces
            if each["metadata"]["name"] != PLATFORM_NAMESPACE
        ]
        return tuple(found)

    def recorded(self) -> str:
        """The namespace of the lock, which this run holds until its end."""
        with self._asking() as kube:
            found = kube.get("v1", "Namespace", PLATFORM_NAMESPACE)
        meta = found["metadata"] if found else {}
        ours = (meta.get("labels") or {}).get(ENVIRONMENT_LABEL) == self.environment
        return f"namespace {PLATFORM_NAMESPACE}" if ours and "deletionTimestamp" not in meta else ""

    def forget(self, progress: Progress) -> None:
        with self._asking() as kube:
            kube.delete("v1", "Namespace", PLATFORM_NAMESPACE)

    def destroy_files(self, *, keep_data: bool, progress: Progress) -> None:
        self.kubeconfig.unlink(missing_ok=True)

    def sweep(self, found: Sequence[Leftover], progress: Progress, cancel: Cancel | None = None) -> None:
        return None

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
