"""Check of a new password of the administrator, which the server reads when it starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import urllib3
from accounts import read, refused
from minio import Minio

OLD, NEW = Path("/run/secrets/old"), Path("/run/secrets/new")
WHERE = {"host": os.environ["HOST"], "port": os.environ["PORT"]}


def prove() -> None:
    """Retry: the pod is new, and the node's rules may not lead to it yet."""
    new = read(NEW)
    client = Minio(
        f"{WHERE['host']}:{WHERE['port']}",
        access_key=new["user"],
        secret_key=new["password"],
        secure=False,
        http_client=urllib3.PoolManager(retries=urllib3.Retry(total=8, backoff_factor=0.2)),
    )
    client.list_buckets()
    refused(WHERE, read(OLD), "SignatureDoesNotMatch")


if __name__ == "__main__":
    if sys.argv[1] == "prove":
        prove()
