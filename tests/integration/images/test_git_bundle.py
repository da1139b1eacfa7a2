"""Tests of DAGs from a git repository, with the shipped image: account, new commit, wrong password."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from mlops_platform.adapters.process import Completed
from mlops_platform.base.errors import CommandFailed
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.steps.release import bundle as bundled

from tests.fakes.served import served
from tests.integration.images.test_shipped import Root, unpacked
from tests.unit.steps.release.test_bundle import resolved

pytestmark = pytest.mark.integration

CATALOG = read_catalog(Paths.default().assets / "helm-values")
COMPONENT = CATALOG["airflow"]
USER, PASSWORD = "reader", "correct horse"
GIT = (
    "export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' "
    "GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; set -e; "
)
FIRST = (
    "git init -q -b main /repository/work; cd /repository/work; mkdir jobs; echo 1 > jobs/first.py; "
    "echo x > outside.py; git add .; git commit -qm first; "
    "git clone -q --bare /repository/work /repository/dags.git; "
    "cd /repository/dags.git; git update-server-info"
)
SECOND = (
    "cd /repository/work; echo 2 > jobs/second.py; git add .; git commit -qm second; "
    "git push -q /repository/dags.git main; cd /repository/dags.git; git update-server-info"
)
LOOK = """
import json
from airflow.dag_processing.bundles.manager import DagBundlesManager
found = DagBundlesManager().get_bundle("dags")
found.initialize()
names = sorted(each.name for each in found.path.iterdir())
print("SEEN", json.dumps({"names": names, "version": found.get_current_version().version}))
"""


class Asked(SimpleHTTPRequestHandler):
    """Serve a repository as plain files to one account."""

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        if given != "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="r"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    with unpacked(tmp_path_factory, "airflow") as root:
        for place in ("files", "run/secrets/bundle", "run/secrets/database", "repository"):
            (root.folder / place).mkdir(parents=True)
        for name in ("platform_secrets.py", "airflow_local_settings.py"):
            (root.folder / "files" / name).write_text((CATALOG.folder("airflow") / name).read_text())
        (root.folder / "run/secrets/database/password").write_text("held by no store")
        for name, number in {"null": 3, "urandom": 9}.items():  # git opens them
            os.mknod(root.folder / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(1, number))
        yield root


@pytest.fixture(scope="module")
def server(root: Root) -> Iterator[str]:
    """Start a server with a repository of one commit; return its address."""
    committed(root, FIRST)
    folder = str(root.folder / "repository")

    def handler(*args: Any) -> Asked:
        return Asked(*args, directory=folder)

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as made, served(made):
        yield f"http://127.0.0.1:{made.server_address[1]}/dags.git"


def committed(root: Root, script: str) -> None:
    """Run the image's git in its root, as a user who may write there."""
    from mlops_platform.adapters.process import run

    run(["chroot", str(root.folder), "/bin/sh", "-c", GIT + script], env={"HOME": "/repository"}, seconds=60)


def look(root: Root, url: str, password: str) -> Completed:
    account = {"GITSYNC_USERNAME": USER, "GITSYNC_PASSWORD": password}
    for key, value in account.items():
        (root.folder / "run/secrets/bundle" / key).write_text(value)
    spec = {"git": {"url": url, "ref": "main", "path": "jobs", "secret": "dags-account"}}
    values = bundled.values(resolved("airflow", spec, in_tree=True))
    assert values["secrets"] == {"dags-account": "/run/secrets/bundle"}
    settings = {
        **values["env"],
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__SECRETS__BACKEND": "platform_secrets.Secrets",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://nobody@127.0.0.1:1/none",
        "PYTHONPATH": "/files",
    }
    words = [f"{key}={value}" for key, value in settings.items()]
    return root.run("/usr/bin/env", *words, "/usr/bin/python3", "-c", LOOK)


def seen(done: Completed) -> Any:
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("SEEN "))
    return json.loads(line.removeprefix("SEEN "))


def test_dags_of_branch_are_read_and_follow_next_commit(root: Root, server: str) -> None:
    first = seen(look(root, server, PASSWORD))
    assert first["names"] == ["first.py"]
    committed(root, SECOND)
    second = seen(look(root, server, PASSWORD))
    assert second["names"] == ["first.py", "second.py"]
    assert first["version"] != second["version"]


def test_wrong_password_is_reported_without_showing_it(root: Root, server: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        look(root, server, "wrong staple")
    assert "Authentication failed" in str(caught.value.why)
    assert "wrong staple" not in str(caught.value.why)
