"""Deletes logs and finished TrainJobs that are older than a number of days.

A TrainJob has no time to live, and the time to live of its JobSet would run a failed one again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import ClientError
from botocore.exceptions import BotoCoreError
from botocore.exceptions import ClientError as StoreError
from following import ApiServer
from stored import Bucket

KEEP = "mlops-platform/keep"  # annotation of a TrainJob: it is not deleted
_FIRST_SECONDS, _SECONDS = 30.0, 3600.0
_API = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/{}/trainjobs"
_ENDED = ("Complete", "Failed")

logger = logging.getLogger("job-logs")


async def expire(
    api: ApiServer, bucket: Bucket, projects: Collection[str], settings: Mapping[str, str]
) -> None:
    """Look once an hour, forever."""
    log_days, job_days = int(settings["LOG_DAYS"]), int(settings["JOB_DAYS"])
    await asyncio.sleep(_FIRST_SECONDS)
    while True:
        now = datetime.now(UTC)
        try:
            await asyncio.to_thread(delete_logs, bucket, now - timedelta(days=log_days))
            for project in sorted(projects):
                await delete_jobs(api, project, now - timedelta(days=job_days))
        except (ClientError, TimeoutError, OSError, BotoCoreError, StoreError) as error:
            logger.warning("old logs and jobs: %s: %s", type(error).__name__, error)
        await asyncio.sleep(_SECONDS)


def delete_logs(bucket: Bucket, before: datetime) -> None:
    """Delete the objects that were written last before a time."""
    old = [each["Key"] for each in bucket.objects("") if each["LastModified"] < before]
    bucket.delete(*old)
    if old:
        logger.info("deleted %d objects of logs from before %s", len(old), before.date())


async def delete_jobs(api: ApiServer, project: str, before: datetime) -> None:
    """Delete the TrainJobs that ended before a time. None if Trainer is not installed."""
    async with api.request("GET", _API.format(project)) as answer:
        if answer.status in (403, 404):  # no such kind, or a project that is just made or removed
            return
        answer.raise_for_status()
        found = (await answer.json())["items"]
    for each in found:
        meta = each["metadata"]
        if not is_old(each, before):
            continue
        body = {"propagationPolicy": "Background", "preconditions": {"uid": meta["uid"]}}
        async with api.request("DELETE", f"{_API.format(project)}/{meta['name']}", body) as answer:
            logger.info("TrainJob %s/%s is deleted: %d", project, meta["name"], answer.status)


def is_old(job: Mapping[str, Any], before: datetime) -> bool:
    """Tell whether a job ended before a time and is not kept."""
    if (job["metadata"].get("annotations") or {}).get(KEEP) == "true":
        return False
    ends = [
        datetime.fromisoformat(condition["lastTransitionTime"])
        for condition in (job.get("status") or {}).get("conditions") or ()
        if condition["type"] in _ENDED and condition["status"] == "True"
    ]
    return bool(ends) and max(ends) < before
