"""The collector: watches pods of jobs, follows their logs, deletes what is old.

kopf lists and watches the pods; its handlers for events change no object and need no finalizer, so a stopped
collector blocks no deletion.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from typing import Any

import kopf
from expiry import expire
from following import ApiServer, Collector
from pods import JOB_LABELS
from stored import Bucket

_PROJECT = "mlops-platform/project"
_HEALTH = "http://0.0.0.0:8081/healthz"


@kopf.on.startup()
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.label_selectors["v1", "pods"] = JOB_LABELS[-1]  # pods of Jobs only, at the API server
    settings.watching.label_selectors["v1", "namespaces"] = _PROJECT
    memo.api = ApiServer()
    bucket = await asyncio.to_thread(Bucket)
    memo.collector = Collector(memo.api, bucket, os.environ)
    memo.projects = set()
    memo.expiry = asyncio.create_task(expire(memo.api, bucket, memo.projects, os.environ))


@kopf.on.cleanup()
async def stop(memo: kopf.Memo, **_: Any) -> None:
    memo.expiry.cancel()
    await memo.collector.stop()
    await memo.api.close()


@kopf.on.login()
def login(**given: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**given)


@kopf.index("v1", "namespaces", labels={_PROJECT: kopf.PRESENT})
def projects(name: str, memo: kopf.Memo, **_: Any) -> dict[str, bool]:
    """The namespaces of projects; kopf fills an index before it calls other handlers."""
    memo.projects.add(name)
    return {name: True}


@kopf.on.event("v1", "namespaces", labels={_PROJECT: kopf.PRESENT})
def forget(type: str, name: str, memo: kopf.Memo, **_: Any) -> None:
    if type == "DELETED":
        memo.projects.discard(name)


@kopf.on.event("v1", "pods", labels={JOB_LABELS[-1]: kopf.PRESENT})
async def pod_changed(
    event: Mapping[str, Any], namespace: str, memo: kopf.Memo, projects: kopf.Index, **_: Any
) -> None:
    """Async: the collector's tasks belong to the loop."""
    if namespace in projects:
        memo.collector.see(namespace, event["object"], gone=event["type"] == "DELETED")


if __name__ == "__main__":
    kopf.configure(verbose=False)
    for noisy in ("kopf.objects", "aiohttp.access"):  # a line for each event, and for each probe
        logging.getLogger(noisy).setLevel(logging.WARNING)
    kopf.run(clusterwide=True, standalone=True, liveness_endpoint=_HEALTH)
