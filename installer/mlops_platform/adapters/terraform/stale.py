"""Owns the lock of a remote state: who holds it, and freeing one whose holder on this machine is dead."""

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
_CLOCKS_SECONDS = 2  # what a lock's time and a process's may be apart: both are cut to whole seconds
_PLACE = ("bucket", "key")  # which state a backend's configuration means


def release(folder: Folder, remote: Remote, progress: Progress) -> None:
    """Free the lock of a Terraform of this machine that is gone. Its lock names no process: it is gone
    when no Terraform that could have taken it is left. Raises LockedError when there may be one."""
    text = remote.lock()
    if text is None:
        return
    try:
        said = json.loads(text)
        who, since = str(said["Who"]), str(said["Created"])
        whose = f"{who}, {said['Operation'].removeprefix('OperationType').lower()}, since {since}"
        made = datetime.fromisoformat(since[:19] + "+00:00").timestamp()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _locked(remote, "somebody who left no name", folder) from None
    if who.rpartition("@")[2] != socket.gethostname():
        raise _locked(remote, whose, folder)
    holder = _holder(remote, made)
    if holder:
        raise _locked(remote, f"{whose}, pid {holder}", folder)
    remote.unlock(text)
    progress.note(f"released the state lock of {whose}: it is gone")


def _locked(remote: Remote, whose: str, folder: Folder) -> LockedError:
    return LockedError(
        f"another Terraform works on {remote.where}: {whose}",
        hint="wait for it to end; if it is gone for good, free the lock by the id that `plan` says",
        command=f"TF_DATA_DIR={folder.data} terraform -chdir={folder.work} force-unlock ID",
    )


def _holder(remote: Remote, made: float) -> int:
    """A Terraform that began before the lock was made and works on this state; 0: none."""
    import psutil

    wanted = remote.config()
    for process in psutil.process_iter():
        try:
            if Path(next(iter(process.cmdline()), "")).name not in _PROGRAMS:
                continue
            # Not its folder's time in /proc, which is the time of the first look at it.
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
