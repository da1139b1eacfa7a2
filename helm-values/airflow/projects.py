"""Projects in Airflow: `sync` keeps the roles of members, `remove` deletes roles, DAGs, runs and logs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from platform_database import configure, connect

PROJECTS, BUCKET = Path("/files/projects.json"), Path("/run/secrets/bucket")
ROLES = ("view", "edit")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def role(project: str, name: str) -> str:
    return f"project-{project}-{name}"


def sync() -> None:
    """Give the roles of each project to the groups and users that are its members."""
    with connect() as session, session.cursor() as cursor:
        for project in json.loads(PROJECTS.read_text()):
            for name in ROLES:
                found = [
                    f"{each['kind']}:{each['name']}" for each in project["members"] if each["role"] == name
                ]
                _set(cursor, role(project["name"], name), found)


def _set(cursor: Any, name: str, members: list[str]) -> None:
    """Make the role, and set its members. Names are ours: no other program makes groups here."""
    cursor.execute("SELECT id FROM ab_role WHERE name = %s", (name,))
    row = cursor.fetchone()
    if row is None:
        cursor.execute(
            "INSERT INTO ab_role (id, name) VALUES (nextval('ab_role_id_seq'), %s) RETURNING id", (name,)
        )
        row = cursor.fetchone()
        say(f"role {name}")
    for member in members:
        cursor.execute(
            "INSERT INTO ab_group (id, name) VALUES (nextval('ab_group_id_seq'), %s) ON CONFLICT DO NOTHING",
            (member,),
        )
        cursor.execute(
            "INSERT INTO ab_group_role (id, group_id, role_id) "
            "SELECT nextval('ab_group_role_id_seq'), id, %s FROM ab_group WHERE name = %s "
            "ON CONFLICT DO NOTHING",
            (row[0], member),
        )
        if cursor.rowcount:
            say(f"role {name} for {member}")
    cursor.execute(
        "DELETE FROM ab_group_role WHERE role_id = %s "
        "AND group_id NOT IN (SELECT id FROM ab_group WHERE name = ANY(%s))",
        (row[0], members),
    )


def remove(project: str, *, keep: bool) -> None:
    bundle = f"project.{project}"
    with connect() as session, session.cursor() as cursor:
        cursor.execute("SELECT dag_id FROM dag WHERE bundle_name = %s", (bundle,))
        dags = [row[0] for row in cursor.fetchall()]
        # The pods are gone: a task in one of these states would never end, and keep its DAG.
        cursor.execute(
            "UPDATE task_instance SET state = 'failed' "
            "WHERE dag_id = ANY(%s) AND state IN ('running', 'queued')",
            (dags,),
        )
    if dags:
        _delete(dags)
    with connect() as session, session.cursor() as cursor:
        cursor.execute("DELETE FROM dag_bundle WHERE name = %s", (bundle,))
        cursor.execute("DELETE FROM slot_pool WHERE pool = %s", (bundle,))
        names = [role(project, name) for name in ROLES]
        cursor.execute("DELETE FROM ab_role WHERE name = ANY(%s)", (names,))
        if cursor.rowcount:
            say(f"roles {' and '.join(names)}")
    if not keep:
        _delete_logs(f"logs/dag_id={project}.")


def _delete(dags: list[str]) -> None:
    configure()
    from airflow.api.common.delete_dag import delete_dag
    from airflow.utils.session import create_session

    for dag in dags:
        with create_session() as session:
            delete_dag(dag, session=session)
        say(f"DAG {dag}")


def _delete_logs(prefix: str) -> None:
    import boto3

    value = {file.name: file.read_text() for file in BUCKET.iterdir() if not file.name.startswith(".")}
    store = boto3.resource(
        "s3",
        endpoint_url=value["endpoint"],
        region_name=value["region"],
        aws_access_key_id=value["user"] or None,
        aws_secret_access_key=value["password"] or None,
    )
    name, _, ours = value["uri"].removeprefix("s3://").partition("/")
    found = store.Bucket(name).objects.filter(Prefix=f"{ours}/{prefix}" if ours else prefix)
    deleted = sum(len(each.get("Deleted", [])) for each in found.delete())
    if deleted:
        say(f"{deleted} logs")


if __name__ == "__main__":
    if sys.argv[1] == "sync":
        sync()
    else:
        remove(os.environ["PROJECT"], keep=os.environ["KEEP_DATA"] == "true")
