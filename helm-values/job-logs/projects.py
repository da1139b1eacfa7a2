"""Logs of a project: `remove` deletes them. `sync` has nothing to make: a log is written where a job runs."""

from __future__ import annotations

import os
import sys

from stored import Bucket


def remove(bucket: Bucket, project: str) -> None:
    keys = [each["Key"] for each in bucket.objects(f"{project}/")]
    bucket.delete(*keys)
    if keys:
        sys.stdout.write(f"removed {len(keys)} objects of logs\n")


if __name__ == "__main__" and sys.argv[1] == "remove" and os.environ["KEEP_DATA"] != "true":
    remove(Bucket(), os.environ["PROJECT"])
