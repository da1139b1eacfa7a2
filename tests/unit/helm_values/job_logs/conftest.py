"""Imports the modules of job-logs as in its pods: files side by side, by plain name."""

from __future__ import annotations

import importlib
import io
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import ROOT

FOLDERS = [str(ROOT / "helm-values" / "job-logs"), str(ROOT / "images" / "python")]


def load(name: str) -> ModuleType:
    """A module of the folder, or one that the image python has."""
    sys.path[:0] = FOLDERS
    try:
        return importlib.import_module(name)
    finally:
        del sys.path[: len(FOLDERS)]


@dataclass
class Objects:
    """A bucket in memory, with the calls of boto3 that are used."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:
        self.objects[Key] = Body

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
        for each in Delete["Objects"]:
            self.objects.pop(each["Key"], None)
        return {}

    def get_paginator(self, _: str) -> Objects:
        return self

    def paginate(self, *, Bucket: str, Prefix: str, Delimiter: str = "") -> list[dict[str, Any]]:
        keys = sorted(key for key in self.objects if key.startswith(Prefix))
        if Delimiter:
            names = {key.removeprefix(Prefix).partition(Delimiter)[0] for key in keys}
            return [{"CommonPrefixes": [{"Prefix": f"{Prefix}{name}/"} for name in sorted(names)]}]
        now = datetime.now(UTC)
        found = [{"Key": key, "Size": len(self.objects[key]), "LastModified": now} for key in keys]
        return [{"Contents": found}]

    @property
    def text(self) -> bytes:
        """All parts of all logs."""
        return b"".join(body for key, body in sorted(self.objects.items()) if key.endswith(".log"))


@pytest.fixture
def store() -> Objects:
    return Objects()
