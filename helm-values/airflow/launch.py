"""Start of Airflow's programs with values of their Secrets, read from files, not from arguments.

`api-server`, `scheduler`, `dag-processor` and `triggerer` start that program. `migrate` upgrades the
database's schema and creates the account of machines, before a program of this version starts.
"""

from __future__ import annotations

import os
import shutil
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing import Process
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

SECRETS, FILES, HOME = Path("/run/secrets"), Path("/files"), Path("/work")
OWN_DAGS = HOME / "platform"  # the DAGs of the smoke test, a bundle of their own
HEALTH = 8974
MACHINE, MEMBER = "machine", "Project"
ARGUMENTS = {
    "api-server": [],
    "scheduler": [],
    "dag-processor": [],
    "triggerer": ["--skip-serve-logs"],  # what triggers say goes to their task's log in the object store
}
# Whose heartbeat in the database says that a program goes on; the server answers for itself.
JOBS = {"scheduler": "SchedulerJob", "dag-processor": "DagProcessorJob", "triggerer": "TriggererJob"}


def secret(path: str) -> str:
    return (SECRETS / path).read_text()


def configure() -> None:
    """The part of the configuration that comes from Secrets. Commands in airflow.cfg read the keys."""
    os.environ["AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"] = secret("bucket/uri") + "/logs"
    # A volume of files has each of them twice, behind links: Airflow would find each DAG twice.
    OWN_DAGS.mkdir(exist_ok=True)
    shutil.copy(FILES / "smoke_dags.py", OWN_DAGS)


def run(program: str) -> None:
    configure()  # first: Airflow reads its configuration as soon as it is imported
    from airflow.__main__ import main

    arguments = [*ARGUMENTS[program], *(own_bundles() if program == "dag-processor" else [])]

    if program in JOBS:
        # A process, not a thread: these programs fork, and a lock that a thread holds stays held in a child.
        Process(target=tell_health, args=(JOBS[program],), daemon=True).start()
    sys.argv = ["airflow", program, *arguments]
    main()


def own_bundles() -> list[str]:
    """Options that name the configured bundles, after the others of the platform were set inactive.

    Without the options, Airflow sets every other bundle inactive, also those of projects.
    """
    from airflow.configuration import conf
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    names = [each["name"] for each in conf.getjson("dag_processor", "dag_bundle_config_list")]
    removed = DagBundleModel.name.not_in(names) & ~DagBundleModel.name.startswith("project.")
    with create_session() as session:
        session.execute(update(DagBundleModel).where(removed).values(active=False))
    return [text for name in names for text in ("--bundle-name", name)]


def tell_health(kind: str) -> None:
    """Answer 200 while this pod's job of this kind has a heartbeat that is not too old.

    As Airflow's own server for the scheduler alone (airflow/utils/scheduler_health.py); its command
    `jobs check` would import all of Airflow for each probe, two seconds of a processor.
    """
    from airflow.jobs.job import Job
    from airflow.utils.net import get_hostname
    from airflow.utils.session import create_session
    from sqlalchemy import select

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with create_session() as session:
                mine = select(Job).filter_by(job_type=kind, hostname=get_hostname())
                job = session.scalar(mine.order_by(Job.latest_heartbeat.desc()).limit(1))
                alive = job is not None and job.is_alive()
            self.send_response(200 if alive else 503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: the kubelet asks every few seconds."""

    HTTPServer(("", HEALTH), Health).serve_forever()


def migrate() -> None:
    """Migrate in this process: `follow` gives the database's password, and a command cannot take it."""
    if not secret("database/password"):  # the secret store rotates it, and has it
        from platform_vault import follow
        from sqlalchemy import Engine

        follow(Engine)
    from airflow.__main__ import main

    sys.argv = ["airflow", "db", "migrate"]
    main()
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        # An unused random password: logins are checked with the Secret, see webserver_config.py.
        account = (MACHINE, MACHINE, "-", f"{MACHINE}@localhost", manager.find_role("Op"), token_urlsafe(32))
        if not manager.find_user(username=MACHINE) and not manager.add_user(*account):
            raise SystemExit(f"user {MACHINE} could not be made")
        _role_of_members(manager)


def _role_of_members(manager: Any) -> None:
    """Make the role of projects' members: all that the role User may do, except with DAGs themselves."""
    role = manager.find_role(MEMBER) or manager.add_role(MEMBER)
    for permission in manager.find_role("User").permissions:
        if permission.resource.name != "DAGs":
            manager.add_permission_to_role(role, permission)


if __name__ == "__main__":
    migrate() if sys.argv[1] == "migrate" else run(sys.argv[1])
