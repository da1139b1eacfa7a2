"""The lock of a remote state: its holder, and the release of a lock whose holder on this machine is dead."""

from __future__ import annotations

import json
import socket
from datetime import datetime
from pathlib import Path

from mlops_platform.adapters.terraform.folder import Folder
from mlops_platform.adapters.terraform.remote import Remote
from mlops_platform.base.errors import LockedError
from mlops_platform.base.progress import Progress

_PROGRAMS = frozenset({"terraform", "tofu"})
_CLOCKS_SECONDS = 2  # largest difference between the lock's and the process's time: both are in whole seconds
_PLACE = ("bucket", "key")  # keys of a backend's configuration that identify the state


def release(folder: Folder, remote: Remote, progress: Progress) -> None:
    """Release the lock of a Terraform of this machine that has ended.

    A lock names no process. Its holder has ended if no Terraform is left that is older than the lock and
    works on this state. Raises LockedError if there may be one.
    """
    text = remote.lock()
    if text is None:
        return
    try:
        said = json.loads(text)
        who, since = str(said["Who"]), str(said["Created"])
        whose = f"{who}, {said['Operation'].removeprefix('OperationType').lower()}, since {since}"
        made = datetime.fromisoformat(since[:19] + "+00:00").timestamp()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _locked(remote, "an unknown holder", folder) from None
    if who.rpartition("@")[2] != socket.gethostname():
        raise _locked(remote, whose, folder)
    holder = _holder(remote, made)
    if holder:
        raise _locked(remote, f"{whose}, pid {holder}", folder)
    remote.unlock(text)
    progress.note(f"released the state lock of {whose}, which has ended")


def _locked(remote: Remote, whose: str, folder: Folder) -> LockedError:
    return LockedError(
        f"another Terraform works on {remote.where}: {whose}",
        hint="wait for its end; if it no longer exists, release the lock with the id that `plan` prints",
        command=f"TF_DATA_DIR={folder.data} terraform -chdir={folder.work} force-unlock ID",
    )


def _holder(remote: Remote, made: float) -> int:
    """The pid of a Terraform that is older than the lock and works on this state; 0 if there is none."""
    import psutil  # imported at use: start-up time

    wanted = remote.config()
    for process in psutil.process_iter():
        try:
            if Path(next(iter(process.cmdline()), "")).name not in _PROGRAMS:
                continue
            # Not the time of its folder in /proc, which is the time of the first look at it.
            if process.create_time() > made + _CLOCKS_SECONDS:
                continue
            # The folder in which a running Terraform records its backend.
            data = Path(process.cwd(), process.environ().get("TF_DATA_DIR") or ".terraform")
            backend = json.loads((data / "terraform.tfstate").read_text())["backend"]["config"]
        except (psutil.Error, OSError, ValueError, KeyError, TypeError):  # ended, or of another kind of state
            continue
        if process.is_running() and all(backend.get(key) == wanted[key] for key in _PLACE if key in wanted):
            return process.pid
    return 0
