"""Smoke test of Airflow: DAGs run, fail and continue after a kill; logins past the gateway are rejected."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import boto3
import platform_vault
import psycopg2
import requests
from probes import Probes, patiently

URL, RUN = os.environ["URL"], os.environ["RUN"]
SECRETS = Path("/run/secrets")
DAGS = {each: f"platform_smoke_{each}" for each in ("works", "fails", "lasts")}
SECONDS = (
    120  # for one answer: on a machine with much else to do it may take long, and must not be asked twice
)
KEPT = "survives"  # one name for all: what a run that was killed left is found again
PERSON = f"smoke-{RUN}"


class Refused(Exception):
    """An answer with an error status."""


class NotYet(Exception):
    """A result that is not there yet."""


def secret(path: str) -> str:
    return (SECRETS / path).read_text()


def ask(method: str, path: str, **options: Any) -> requests.Response:
    """Return an answer below 400, else raise Refused."""
    answer = requests.request(method, f"{URL}{path}", timeout=SECONDS, allow_redirects=False, **options)
    if answer.status_code >= 400:
        raise Refused(f"{answer.status_code} {answer.text[:300]}")
    return answer


class Api:
    """The REST API with a token."""

    def __init__(self, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, **options: Any) -> Any:
        answer = ask(method, f"/api/v2{path}", headers=self._headers, **options)
        return answer.json() if answer.content else None


def token(password: str) -> str:
    body = {"username": secret("machine/user"), "password": password}
    return str(ask("POST", "/auth/token", json=body).json()["access_token"])


def come_in(person: str, groups: str, proof: str | None) -> str:
    """Log in with the headers that the gateway sends. Returns the token."""
    headers = {"X-Forwarded-Preferred-Username": person, "X-Forwarded-Groups": groups}
    if proof is not None:
        headers["X-Platform-Proxy"] = proof
    answer = ask("GET", "/auth/login/", headers=headers)
    if "_token" not in answer.cookies:
        raise Refused(f"{answer.status_code} without a token")
    return str(answer.cookies["_token"])


def probe(probes: Probes) -> None:
    with probes.works("every part has a heartbeat"):
        patiently(_all_healthy, NotYet)
    api = Api("")
    with probes.works("a machine gets a token for its password"):
        api = Api(token(secret("machine/password")))
        api("GET", "/dags")
    if not secret("database/password"):
        import platform_secrets
        from airflow.providers.hashicorp._internal_client.vault_client import VaultError

        with probes.works("Airflow's client of Vault reads Airflow's secrets"):
            mine = platform_secrets.store(platform_secrets.PATH, platform_secrets.PATH)
            assert mine.get_variable("proof") == secret("proof/value")
        # Its client logs in a second time, and says this when it is then refused again.
        with probes.refused("another component's secrets", VaultError, "Authentication Error"):
            platform_secrets.store("", "platform/postgres").get_variable("admin")
    _strangers(probes)
    _people(probes)
    try:
        _works(probes, api)
        _fails(probes, api)
    finally:
        _clean(api, RUN)


def _all_healthy() -> None:
    parts = ask("GET", "/api/v2/monitor/health").json()
    ill = {name: part["status"] for name, part in parts.items() if part["status"] != "healthy"}
    if ill:
        raise NotYet(f"{ill}")


def _strangers(probes: Probes) -> None:
    with probes.refused("a wrong password", Refused, "401 "):
        token("wrong")
    with probes.refused("a request without a token", Refused, "401 "):
        ask("GET", "/api/v2/dags")
    with probes.refused("a token with a foreign signature", Refused, "401 ", "403 "):
        head, body, _ = token(secret("machine/password")).split(".")
        Api(f"{head}.{body}.{'A' * 86}")("GET", "/dags")
    with probes.refused("a login by a header, past the gateway", Refused, "401 "):
        come_in(PERSON, "platform-admins", proof=None)
    with probes.refused("a login with a guessed proxy secret", Refused, "401 "):
        come_in(PERSON, "platform-admins", proof="guess")
    with probes.refused("a login of a user without a group that has a role", Refused, "403 "):
        come_in(PERSON, "others", proof=secret("proof/value"))
    with probes.works("none of these logins created a user"):
        assert not _rows("SELECT 1 FROM ab_user WHERE username = %s", PERSON)


def _people(probes: Probes) -> None:
    try:
        with probes.works("a login through the gateway lists DAGs as a viewer"):
            viewer = Api(come_in(PERSON, "viewers", secret("proof/value")))
            assert viewer("GET", "/dags")["total_entries"] >= len(DAGS)
        with probes.refused("a viewer who starts a DAG", Refused, "403 "):
            viewer("PATCH", f"/dags/{DAGS['works']}", json={"is_paused": False})
        with probes.works("after a change of groups the next login of the same user is an administrator"):
            admin = Api(come_in(PERSON, "viewers,platform-admins", secret("proof/value")))
            admin("GET", "/connections")
        with probes.refused("the earlier token, for an action of the new role", Refused, "403 "):
            come_in(PERSON, "viewers", secret("proof/value"))
            admin("GET", "/connections")
    finally:
        bearer = {"Authorization": f"Bearer {come_in(PERSON, 'platform-admins', secret('proof/value'))}"}
        ask("DELETE", f"/auth/fab/v1/users/{PERSON}", headers=bearer)


def _start(api: Api, dag: str, run: str) -> None:
    """Wait until the DAG is known: a new database knows it after its file has been read."""
    patiently(lambda: api("PATCH", f"/dags/{dag}", json={"is_paused": False}), Refused)
    body = {"dag_run_id": run, "logical_date": None, "conf": {"word": f"word-{run}"}}
    api("POST", f"/dags/{dag}/dagRuns", json=body)


def _ended(api: Api, dag: str, run: str) -> str:
    state = str(api("GET", f"/dags/{dag}/dagRuns/{run}")["state"])
    if state in ("queued", "running"):
        raise NotYet(state)
    return state


def _task(api: Api, dag: str, run: str, task: str) -> Any:
    return api("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}")


def _works(probes: Probes, api: Api) -> None:
    dag = DAGS["works"]
    with probes.works("a DAG runs to its end"):
        _start(api, dag, RUN)
        assert patiently(lambda: _ended(api, dag, RUN), NotYet) == "success"
    with probes.works("a line of its log is in the bucket"):
        text = "".join(_written(dag, RUN, 2).values())
        assert f"the word is word-{RUN}" in text, text[-600:]
    with probes.works("the API shows that line"):
        found = api("GET", f"/dags/{dag}/dagRuns/{RUN}/taskInstances/say/logs/1")
        assert f"the word is word-{RUN}" in json.dumps(found), str(found)[-600:]
    with probes.works("values of its tasks are in PostgreSQL"):
        query = "SELECT task_id, value #>> '{}' FROM xcom WHERE dag_id = %s AND run_id = %s AND key = %s"
        rows = dict(_rows(query, dag, RUN, "return_value"))
        assert rows == {"say": f"said word-{RUN}", "hear": f"heard said word-{RUN}"}, rows


def _fails(probes: Probes, api: Api) -> None:
    dag = DAGS["fails"]
    with probes.works("a DAG that fails is retried, then marked as failed"):
        _start(api, dag, RUN)
        assert patiently(lambda: _ended(api, dag, RUN), NotYet) == "failed"
        task = _task(api, dag, RUN, "fail")
        assert (task["state"], task["try_number"]) == ("failed", 2), task
    with probes.works("the log of each try has the reason"):
        found = _written(dag, RUN, 2)
        assert all("as it should" in text for text in found.values()), found


def _rows(query: str, *values: str) -> list[tuple[Any, ...]]:
    rotated = {} if secret("database/password") else {"password": platform_vault.database_password()}
    session = psycopg2.connect(secret("database/uri"), connect_timeout=10, **rotated)
    try:
        with session, session.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())
    finally:
        session.close()


def _bucket() -> tuple[Any, str, str]:
    """A client, the bucket and the prefix of its keys. Pods with a cloud role have no password."""
    store = boto3.client(
        "s3",
        endpoint_url=secret("bucket/endpoint"),
        region_name=secret("bucket/region"),
        aws_access_key_id=secret("bucket/user") or None,
        aws_secret_access_key=secret("bucket/password") or None,
    )
    bucket, _, prefix = secret("bucket/uri").removeprefix("s3://").partition("/")
    return store, bucket, f"{prefix}/" if prefix else ""


def _logs(dag: str, run: str) -> dict[str, str]:
    """Every log of a run in the bucket, by its key."""
    store, bucket, ours = _bucket()
    prefix = f"{ours}logs/dag_id={dag}/run_id={run}/"
    found = store.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {
        each["Key"]: store.get_object(Bucket=bucket, Key=each["Key"])["Body"].read().decode()
        for each in found
    }


def _written(dag: str, run: str, tries: int) -> dict[str, str]:
    """Wait for that many logs: they arrive shortly after the end of their task."""

    def look() -> dict[str, str]:
        found = _logs(dag, run)
        if len(found) < tries:
            raise NotYet(f"{list(found)}")
        return found

    return patiently(look, NotYet)


def _clean(api: Api, run: str) -> None:
    """Delete the runs and their logs, and pause the DAGs."""
    store, bucket, _ = _bucket()
    for dag in DAGS.values():
        api("PATCH", f"/dags/{dag}", json={"is_paused": True})
        if any(each["dag_run_id"] == run for each in api("GET", f"/dags/{dag}/dagRuns")["dag_runs"]):
            api("DELETE", f"/dags/{dag}/dagRuns/{run}")
        for key in _logs(dag, run):
            store.delete_object(Bucket=bucket, Key=key)


def write(probes: Probes) -> None:
    api = Api(token(secret("machine/password")))
    _clean(api, KEPT)
    with probes.works("a task runs while its scheduler is killed"):
        _start(api, DAGS["lasts"], KEPT)
        patiently(lambda: _runs(api), NotYet)


def _runs(api: Api) -> None:
    state = _task(api, DAGS["lasts"], KEPT, "last")["state"]
    if state != "running":
        raise NotYet(state)


def read(probes: Probes) -> None:
    api = Api(token(secret("machine/password")))
    try:
        with probes.works("the interrupted run is completed"):
            assert patiently(lambda: _ended(api, DAGS["lasts"], KEPT), NotYet) == "success"
            assert _task(api, DAGS["lasts"], KEPT, "last")["try_number"] == 2
            _written(DAGS["lasts"], KEPT, 1)  # of the second try: the first was killed with its log
    finally:
        _clean(api, KEPT)


if __name__ == "__main__":
    running = Probes()
    patiently(lambda: ask("GET", "/api/v2/version"), requests.RequestException, Refused)
    for act in sys.argv[1:]:
        {"probe": probe, "write": write, "read": read}[act](running)
    running.end()
