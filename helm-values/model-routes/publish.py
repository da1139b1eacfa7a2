"""Puts routes into nginx: write, test, switch, reload. Routes that nginx rejects replace no others."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from render import EMPTY, READY, files
from routes import Route

ROOT, CURRENT = Path("/tmp/routes"), "current"  # noqa: S108 - the pod's own
MAIN, PID = Path("/files/nginx.conf"), Path("/tmp/nginx.pid")  # noqa: S108
_TEST_SECONDS = 30
_SETTLE_SECONDS = 0.2  # a model that comes is several events
# The workers before a reload stay until their requests have ended. So a second between ten reloads in five
# minutes, then 15 seconds: a member who changes models all the time must not fill the memory.
_FAST, _WINDOW_SECONDS, _PAUSE_SECONDS, _SLOW_SECONDS = 10, 300.0, 1.0, 15.0

log = logging.getLogger("routes")


class Publisher:
    """The configurations of nginx below a folder; `current` is a link to the one in use."""

    def __init__(self, root: Path = ROOT, main: Path = MAIN, pid: Path = PID) -> None:
        self._root, self._main, self._pid = root, main, pid

    def prepare(self) -> None:
        """Before nginx starts: keep what was in use before the container restarted, if nginx accepts it."""
        self._root.mkdir(parents=True, exist_ok=True)
        link = self._root / CURRENT
        if link.exists() and not self._errors(link.resolve()):
            return
        self._switch(self._written("empty", EMPTY))

    def publish(self, routes: Sequence[Route]) -> bool:
        """Make nginx use these routes; True if they differ from those in use.

        If nginx rejects one, the others are used without it.
        """
        folder = self._accepted(routes)
        if folder is None:
            usable = [route for route in routes if self._accepted([route])]
            bad = ", ".join(f"{r.project}/{r.model}" for r in routes if r not in usable)
            log.error("nginx rejects the routes of %s; they are left out", bad)
            folder = self._accepted(usable)
        if folder is None:
            log.error("nginx rejects all routes; those in use stay")
            return False
        if folder == (self._root / CURRENT).resolve():
            return False
        before = (self._root / CURRENT).resolve()
        self._switch(folder)
        os.kill(int(self._pid.read_text()), signal.SIGHUP)
        for old in self._root.iterdir():
            if old.is_dir() and not old.is_symlink() and old not in (folder, before):
                shutil.rmtree(old)  # the one before is read until its workers have ended
        return True

    def _accepted(self, routes: Sequence[Route]) -> Path | None:
        """The folder with the configuration, or None if nginx rejects it."""
        found = files(routes)
        name = found[READY].split('"')[1].removesuffix("\\n")
        folder = self._root / name
        if (self._root / CURRENT).resolve() == folder:
            return folder
        errors = self._errors(self._written(name, found))
        if errors:
            log.error("nginx -t: %s", errors)
            shutil.rmtree(folder)
            return None
        return folder

    def _written(self, name: str, texts: Mapping[str, str]) -> Path:
        folder = self._root / name
        folder.mkdir(exist_ok=True)
        for file, text in texts.items():
            # A list is read at each request: it must be that of the configuration that the worker has.
            (folder / file).write_text(text.replace(f"{ROOT}/{CURRENT}", str(folder)))
        return folder

    def _errors(self, folder: Path) -> str:
        """The errors of nginx's own test with the files of this folder, '' if there are none."""
        main = folder / "nginx.conf"
        main.write_text(self._main.read_text().replace(f"{self._root}/{CURRENT}/", f"{folder}/"))
        try:
            done = subprocess.run(
                ["nginx", "-t", "-q", "-c", str(main), "-e", "stderr"],
                capture_output=True,
                text=True,
                timeout=_TEST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return str(error)
        return done.stderr.strip() or f"exit {done.returncode}" if done.returncode else ""

    def _switch(self, folder: Path) -> None:
        """Point `current` to the folder, in one step."""
        link = self._root / f".{CURRENT}"
        link.unlink(missing_ok=True)
        link.symlink_to(folder)
        link.replace(self._root / CURRENT)


class Writer:
    """Publishes the newest routes some time after a change; many changes become one reload."""

    def __init__(self, publisher: Publisher, routes: Callable[[], Sequence[Route]]) -> None:
        self._publisher, self._routes = publisher, routes
        self._changed = asyncio.Event()
        self._reloads: deque[float] = deque(maxlen=_FAST)

    def change(self) -> None:
        """Remember that something has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Publish after changes, forever."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(_SETTLE_SECONDS)
            self._changed.clear()
            if await asyncio.to_thread(self._publisher.publish, self._routes()):
                log.info("nginx has the routes of %d models", len(self._routes()))
                self._reloads.append(time.monotonic())
                await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        many = len(self._reloads) == _FAST and time.monotonic() - self._reloads[0] < _WINDOW_SECONDS
        return _SLOW_SECONDS if many else _PAUSE_SECONDS
