"""Kills of PostgreSQL during its first start and later, with the shipped image and script."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.images.python import unpack
from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.programs import Programs
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.catalogue.read import read_catalog

from tests import proc
from tests.unit.adapters.images.recipes import plain_layers

pytestmark = pytest.mark.integration

PATHS = Paths.default()
USER = 10001
# All processes and mounts end with the first process of the namespace. The test kills that process itself:
# chroot changes the user, and then the kernel drops the death signal of --kill-child.
ENTER = """
mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
exec chroot --userspec=10001:10001 --groups= "$1" sh /files/start.sh
"""


@dataclass
class Database:
    root: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        own = ["unshare", "--mount", "--pid", "--fork"]
        self.process = subprocess.Popen(
            [*own, "sh", "-c", ENTER, "sh", str(self.root)],
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def first(self) -> ProcessId:
        """First process of the namespace, which gets the kubelet's signals in a pod."""
        assert self.process
        (found,) = proc.children(self.process.pid)
        return found

    def kill(self) -> None:
        """Kill the namespace; the kernel ends its first process after all others."""
        assert self.process
        first = self.first
        assert first.kill(signal.SIGKILL)
        proc.wait_gone([first])
        self.process.wait()

    def ask(self, statement: str, password: str = "secret") -> subprocess.CompletedProcess[str]:
        psql = [
            "psql",
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--host=127.0.0.1",
            "--username=postgres",
        ]
        argv = ["chroot", f"--userspec={USER}:{USER}", str(self.root), *psql, "--command", statement]
        env = {**self._environment(), "PGPASSWORD": password}
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=False)

    def answers(self) -> bool | Pending:
        said = self.ask("SELECT 1")
        return True if said.returncode == 0 else Pending(said.stderr)

    def _environment(self) -> dict[str, str]:
        path = f"/usr/lib/postgresql/15/bin:{os.environ['PATH']}"
        return {"PATH": path, "PGPORT": str(self.port), "LANG": "C.UTF-8", "HOME": "/data"}


def unpacked(name: str, folder: Path) -> Path:
    """Unpack the root file system of a shipped image."""
    images = find_recipes(PATHS.assets / "images", PATHS.assets / "helm-values")
    archive = Images(PATHS.cache, Programs(PATHS.cache), images).build(name, Silent(), Cancel())
    unpack(plain_layers(archive, folder / f"{name}-layers"), folder / name)
    return folder / name


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    root = unpacked("postgres", tmp_path)
    catalog = read_catalog(PATHS.assets / "helm-values")
    embedded = catalog["postgres"].embedded
    assert embedded
    (root / "files").mkdir()
    for file in embedded.files:
        shutil.copy(catalog.folder("postgres") / file, root / "files" / file)
    (root / "run/secrets/admin").mkdir(parents=True)
    (root / "run/secrets/admin/password").write_text("secret")
    for place in ("proc", "dev", "data"):
        (root / place).mkdir(exist_ok=True)
    os.chown(root / "data", USER, USER)
    made = Database(root, _free_port())
    yield made
    if made.process and made.process.poll() is None:
        made.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def exists(file: Path) -> bool | Pending:
    return True if file.exists() else Pending(f"no {file.name}")


def test_kill_during_initdb_is_followed_by_a_complete_start(database: Database) -> None:
    """Kill early, later and late: each file marks another phase of initdb."""
    new, data = database.root / "data/pgdata.new", database.root / "data/pgdata"
    for sign in ("PG_VERSION", "pg_hba.conf", "global/pg_control"):
        (new / sign).unlink(missing_ok=True)  # of the killed start before: this one writes its own
        database.start()
        there = partial(exists, new / sign)
        wait_until(sign, there, seconds=30, first_delay=0.001, longest_delay=0.005)
        database.kill()
        assert new.exists() and not data.exists(), "initdb ended before the kill"
    database.start()
    wait_until("an answer", database.answers, seconds=60)
    assert data.exists() and not new.exists()


def test_kill_of_the_server_loses_no_committed_row(database: Database) -> None:
    database.start()
    wait_until("an answer", database.answers, seconds=60)
    assert database.ask("CREATE TABLE kept AS SELECT 42 AS answer").returncode == 0
    database.kill()
    database.start()
    wait_until("an answer after the kill", database.answers, seconds=60)
    assert database.ask("SELECT answer FROM kept").stdout == "42\n"


def test_rejects_wrong_password(database: Database) -> None:
    database.start()
    wait_until("an answer", database.answers, seconds=60)
    assert "password authentication failed" in database.ask("SELECT 1", "wrong").stderr
    methods = database.ask("SELECT DISTINCT auth_method FROM pg_hba_file_rules").stdout
    assert methods == "scram-sha-256\n"


def test_accounts_script_works_without_superuser(database: Database, tmp_path: Path) -> None:
    database.start()
    wait_until("an answer", database.answers, seconds=60)
    database.ask("CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'secret'")
    tools = unpacked("toolbox", tmp_path)
    shutil.copy(PATHS.assets / "helm-values/postgres/accounts.py", tools / "accounts.py")
    where = {"host": "127.0.0.1", "port": str(database.port), "name": "tracker"}
    account = {**where, "user": "tracker", "password": "its own"}

    def act(name: str, **folders: dict[str, str]) -> None:
        for folder, values in folders.items():
            (tools / "run/secrets" / folder).mkdir(parents=True, exist_ok=True)
            for key, value in values.items():
                (tools / "run/secrets" / folder / key).write_text(value)
        argv = ["chroot", f"--userspec={USER}:{USER}", str(tools), "python3", "/accounts.py", name]
        subprocess.run(argv, check=True, timeout=60, env={"HOME": "/", "PATH": os.environ["PATH"]})

    act("ensure", admin={"user": "master", "password": "secret"}, account=account)
    act("ensure", account={**account, "password": "another"})  # again, with a new password
    act("prove", account={**account, "password": "another"}, old=account)
    owner = "SELECT pg_get_userbyid(datdba), has_database_privilege('public', 'tracker', 'CONNECT')"
    assert database.ask(f"{owner} FROM pg_database WHERE datname = 'tracker'").stdout == "tracker|f\n"
    members = "SELECT count(*) FROM pg_auth_members WHERE member = 'master'::regrole"
    assert database.ask(members).stdout == "0\n", "no user may stay a member of the role"


def test_stops_while_a_client_is_connected(database: Database) -> None:
    """PostgreSQL itself waits for the client after SIGTERM."""
    database.start()
    wait_until("an answer", database.answers, seconds=60)
    idle = subprocess.Popen(
        [
            "chroot",
            f"--userspec={USER}:{USER}",
            str(database.root),
            "psql",
            "--host=127.0.0.1",
            "-U",
            "postgres",
        ],
        env={**database._environment(), "PGPASSWORD": "secret"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    count = (
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'postgres' AND backend_type = 'client backend'"
    )
    try:
        wait_until(
            "the client",
            lambda: True if database.ask(count).stdout == "2\n" else Pending("not connected"),
            seconds=30,
        )
        assert database.first.kill(signal.SIGTERM)
        assert database.process
        assert database.process.wait(20) == 0
    finally:
        idle.kill()
        idle.communicate()
