"""Image registries: list the images of a repository, and push OCI archives."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mlops_platform.adapters.process import Completed, run
from mlops_platform.adapters.programs import Program, Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed
from mlops_platform.base.files import write_private
from mlops_platform.base.progress import Progress

ORAS = Program("oras", Path(__file__).resolve().parent / "program")
_LIST_SECONDS = 60.0
_COPY_SECONDS = 3600.0
_ABSENT = "name unknown"  # NAME_UNKNOWN: most registries create a repository with its first push


@dataclass(frozen=True)
class Login:
    """A user of a registry."""

    user: str
    password: str


@dataclass(frozen=True)
class Registry:
    """One repository with an image per tag: 'registry.example.com/team/mlops:mlflow-0f3a…'.

    `named` returns the repository without a scheme; it is called late, since a cloud's contains the account
    id. `login` is called for each request, since its passwords expire; None uses the `docker login` of the
    host.
    """

    programs: Programs
    named: Callable[[], str]
    login: Callable[[], Login] | None = None

    def reference(self, key: str) -> str:
        """The image reference in pods for a key such as 'mlflow-0f3a…'."""
        return f"{self.named()}:{key}"

    def references(self) -> frozenset[str]:
        """References of all images. Raises CommandFailed if the registry does not answer or rejects us."""
        try:
            said = self._oras("repo", "tags", self.named(), prefix="--", seconds=_LIST_SECONDS)
        except CommandFailed as error:
            if _ABSENT in error.why.lower():
                return frozenset()
            raise
        return frozenset(self.reference(tag) for tag in said.stdout.split())

    def push(self, archive: Path, progress: Progress, cancel: Cancel) -> None:
        """Push the missing parts of an OCI archive that is named by its key. Raises CommandFailed."""
        progress.say(f"pushing {archive.stem}")
        source = f"{archive}:{archive.stem.rpartition('-')[2]}"
        copying = ("cp", "--from-oci-layout", "--no-tty", source, self.reference(archive.stem))
        self._oras(*copying, prefix="--to-", seconds=_COPY_SECONDS, cancel=cancel)

    def _oras(self, *words: str, prefix: str, seconds: float, cancel: Cancel | None = None) -> Completed:
        with self._known(prefix) as flags:
            return run(
                [str(self.programs.folder(ORAS) / "oras"), *words, *flags],
                seconds=seconds,
                cancel=cancel,
                what=f"oras {words[0]} {self.named()}",
                hint="" if self.login else f"log in to it: docker login {self._host}",
            )

    @property
    def _host(self) -> str:
        return self.named().partition("/")[0]

    @contextmanager
    def _known(self, prefix: str) -> Iterator[list[str]]:
        """Flags for the login, in a file: all users of this machine can read argv."""
        # A registry on this machine uses plain HTTP, as containerd and other tools expect.
        local = self._host.partition(":")[0] in ("localhost", "127.0.0.1")
        flags = [f"{prefix}plain-http"] if local else []
        if self.login is None:
            yield flags
            return
        login = self.login()
        word = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        with TemporaryDirectory() as folder:
            file = Path(folder) / "config.json"
            write_private(file, json.dumps({"auths": {self._host: {"auth": word}}}))
            yield [*flags, f"{prefix}registry-config", str(file)]
