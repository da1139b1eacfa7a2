"""Owns the `existing` cluster provider: a cluster somebody else made; nothing of it is made or destroyed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import AfterValidator, Field

from installer.adapters import process
from installer.adapters.terraform.folder import write_private
from installer.cancel import Cancel
from installer.clusters.base import Check, ClusterAccess, Leftover, NothingElsewhere, Program
from installer.environment import ClusterSpec
from installer.errors import StepError
from installer.paths import Paths
from installer.progress import Progress

if TYPE_CHECKING:
    from installer.adapters.programs import Programs
    from installer.adapters.terraform.changes import Change

_EARLY_SECONDS = 60.0  # a token is made anew this long before it ends
_EXEC_SECONDS = 60
_FORBIDDEN = 403


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("empty | name it")
    return value


class Options(ClusterSpec):
    """The `cluster:` section of an environment on a cluster that is there already."""

    kubeconfig: Annotated[str, AfterValidator(_filled)] = Field(description="path; ~ is your home folder")
    context: Annotated[str, AfterValidator(_filled)] = Field(description="one of the kubeconfig's contexts")
    storage_class: Annotated[str, AfterValidator(_filled)] = Field(description="what volumes are made of")
    region: str = Field(default="existing", description="where it is, for people")
    labels: dict[str, str] = Field(default_factory=dict, description="for what this environment owns")


def options_model() -> type[Options]:
    return Options


def make(
    spec: ClusterSpec,
    environment: str,
    state: Path,
    programs: Programs,  # noqa: ARG001 - nothing is built for a cluster that is there
    run: str = "",  # noqa: ARG001 - nothing it makes is marked with the run
) -> ExistingProvider:
    """The provider of one environment; the kubeconfig is not read yet."""
    assert isinstance(spec, Options), "the environment file was read with this provider's options model"
    return ExistingProvider(environment, state, spec)


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
    whole: bool = False
    keeps_data: bool = False
    asks_first: bool = False

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
        user = self._chosen()["users"][0]["user"]
        return ClusterAccess(
            name=outputs["cluster_name"],
            endpoint=outputs["endpoint"],
            kubeconfig=self.kubeconfig,
            storage_class=outputs["storage_class"],
            region=outputs["region"],
            token=_Asked(user["exec"]).token if user.get("exec") else None,
        )

    def alive(self) -> str:
        """'' when the API server answers, and knows us, even if we may not ask for its health."""
        from installer.adapters.kube import Kube, KubeError

        try:
            chosen = self._chosen()
            user = chosen["users"][0]["user"]
            token: Callable[[], str] | None = _Asked(user["exec"]).token if user.get("exec") else None
            with TemporaryDirectory() as folder:  # whoever only looks leaves nothing behind
                file = Path(folder) / "kubeconfig"
                file.write_text(json.dumps(chosen))
                Kube(file, token).raw("GET", "/readyz", seconds=10)
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
        return frozenset()

    def load_images(self, archives: Sequence[Path], progress: Progress, cancel: Cancel) -> None:
        raise StepError("nodes of a cluster that is not ours take their images from registries")

    def inventory(self) -> Sequence[Leftover]:
        """Outside of the cluster there is nothing but the copy of the kubeconfig."""
        return (Leftover("file", str(self.kubeconfig)),) if self.kubeconfig.exists() else ()

    def destroy_files(self, *, keep_data: bool, progress: Progress) -> None:
        self.kubeconfig.unlink(missing_ok=True)

    def sweep(self, found: Sequence[Leftover], progress: Progress, cancel: Cancel | None = None) -> None:
        return None

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

        Raises StepError, saying what the user's file lacks.
        """
        try:
            data = yaml.safe_load(self._theirs.read_text())
            context = _named(data, "contexts", self.options.context)
            cluster = _named(data, "clusters", context["context"]["cluster"])
            user = _named(data, "users", context["context"]["user"])
        except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
            raise StepError(
                f"{self._theirs}: no context {self.options.context}",
                why=f"{type(error).__name__}: {error}",
                hint="cluster.kubeconfig and cluster.context must name one that is there",
                command=f"kubectl --kubeconfig {self._theirs} config get-contexts",
            ) from error
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [_absolute(cluster, "cluster", self._theirs.parent)],
            "users": [_absolute(user, "user", self._theirs.parent)],
            "contexts": [context],
            "current-context": self.options.context,
        }


class _Asked:
    """Tokens of a kubeconfig's `exec` program, asked anew when the last one ends; thread-safe.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    """

    def __init__(self, run: Mapping[str, Any]) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def token(self) -> str:
        """Raises CommandFailed when the program does, PreflightError when it is not here."""
        with self._lock:
            if not self._token or time.time() > self._until - _EARLY_SECONDS:
                self._ask()
            return self._token

    def _ask(self) -> None:
        asked = json.dumps({"apiVersion": self._run["apiVersion"], "kind": "ExecCredential", "spec": {}})
        given = {each["name"]: each["value"] for each in self._run.get("env") or ()}
        said = process.run(
            [self._run["command"], *(self._run.get("args") or ())],
            env={**given, "KUBERNETES_EXEC_INFO": asked},
            seconds=_EXEC_SECONDS,
            what="logging in to the cluster",
            hint=str(self._run.get("installHint") or ""),
        ).stdout
        status = json.loads(said)["status"]
        ends = status.get("expirationTimestamp")
        self._token = status["token"]
        self._until = datetime.fromisoformat(ends).timestamp() if ends else float("inf")


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
