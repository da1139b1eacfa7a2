"""A registry of models, by the REST API of MLflow: newest version, aliases, state of a version.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from mlops_platform.base.errors import StepError

READY = "READY"
_SECONDS, _LONGEST = 20.0, 10_000_000
_ABSENT = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True)
class RegisteredModel:
    """A model with its newest version ('' if it has none) and its aliases."""

    name: str
    newest: str
    aliases: Mapping[str, str]


@dataclass(frozen=True)
class ModelVersion:
    """A version of a model. `status` is READY once its files are stored."""

    model: str
    version: str
    status: str
    message: str = ""


class Registry:
    """The registry at `url`; `api` is the path of its API, `token` that of an account of one project."""

    def __init__(self, url: str, api: str, token: str) -> None:
        self._base = f"{url}{api}"
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def model(self, name: str) -> RegisteredModel | None:
        """The model; None if there is none. Raises StepError."""
        found = self._get("registered-models/get", name=name)
        if found is None:
            return None
        model = found["registered_model"]
        versions = [int(each["version"]) for each in model.get("latest_versions") or []]
        aliases = {each["alias"]: str(each["version"]) for each in model.get("aliases") or []}
        return RegisteredModel(name, str(max(versions)) if versions else "", aliases)

    def version(self, model: str, version: str) -> ModelVersion | None:
        """The version; None if there is none. Raises StepError."""
        found = self._get("model-versions/get", name=model, version=version)
        if found is None:
            return None
        each = found["model_version"]
        return ModelVersion(model, str(each["version"]), each["status"], each.get("status_message") or "")

    def _get(self, path: str, **query: str) -> dict[str, Any] | None:
        try:
            answer = urllib3.request(
                "GET",
                f"{self._base}/{path}?{urlencode(query)}",
                headers=self._headers,
                timeout=_SECONDS,
                retries=urllib3.Retry(2, redirect=0),
            )
        except urllib3.exceptions.HTTPError as error:
            raise StepError(
                "the model registry does not answer",
                why=str(error),
                hint="run the same command again",
                transient=True,
            ) from error
        found = _parsed(answer.data)
        if answer.status == 404 and found.get("error_code") == _ABSENT:
            return None
        if answer.status != 200:
            text = answer.data[:1000].decode(errors="replace")
            raise StepError(
                f"the model registry answers {answer.status}",
                why=str(found.get("message") or text).strip(),
                transient=answer.status >= 500,
            )
        return found


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data[:_LONGEST])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
