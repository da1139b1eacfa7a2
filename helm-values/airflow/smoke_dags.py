"""DAGs of the smoke test: one that works, one that fails, one that is killed while it runs."""

from __future__ import annotations

import datetime
import logging
from threading import Event

from airflow.sdk import DAG, get_current_context, task

SECONDS = 600
COMMON = {"schedule": None, "catchup": False, "tags": ["platform-smoke"], "is_paused_upon_creation": True}

with DAG("platform_smoke_works", **COMMON):

    @task
    def say() -> str:
        """Write a line to the log and return a value for the database."""
        word = get_current_context()["dag_run"].conf["word"]
        logging.getLogger(__name__).info("the word is %s", word)
        return f"said {word}"

    @task
    def hear(said: str) -> str:
        return f"heard {said}"

    hear(say())

with DAG("platform_smoke_fails", **COMMON):

    @task(retries=1, retry_delay=datetime.timedelta(0))
    def fail() -> None:
        raise RuntimeError("as it should")

    fail()

with DAG("platform_smoke_lasts", **COMMON):

    @task(retries=2, retry_delay=datetime.timedelta(0))
    def last() -> int:
        """Wait in the first try until it is killed; end at once in another."""
        tried: int = get_current_context()["ti"].try_number
        if tried == 1:
            Event().wait(SECONDS)
        return tried

    last()
