"""Smoke test of served models: one of MLflow answers; what cannot be served is refused, or says why."""

from __future__ import annotations

import sys
from typing import Any

from apiserver import NotYetError, Refused, create
from probes import Probes, patiently
from serving import API, KIND, MODEL, client, inference_service, relay, require_failure, require_line


def probe(probes: Probes) -> None:
    with probes.works("a model that a pod of the project has logged is served"), client("1", "ask"):
        patiently(lambda: require_line("logged"), NotYetError)
        # The webhooks of a pod that has just started may not be at every node's rules yet.
        patiently(lambda: create(API, KIND, inference_service(MODEL, f"mlflow://{MODEL}/1")), Refused)
        create(API, KIND, inference_service("missing", f"mlflow://{MODEL}/99"))
        admission(probes)
        with probes.works("a version that is missing says so"):
            found = patiently(lambda: require_failure("missing"), NotYetError)
            assert found == f"model not found: {MODEL} version 99", found
        patiently(relay, NotYetError)


def admission(probes: Probes) -> None:
    refused: dict[str, tuple[str, str, dict[str, Any]]] = {
        "an alias": ("mlops-platform model serve iris@champion --project", f"mlflow://{MODEL}/@champion", {}),
        "an unknown scheme": ("known are mlflow://MODEL/VERSION", "gopher://iris/1", {}),
        "the strategy Recreate": (
            "lowers availability",
            f"mlflow://{MODEL}/1",
            {"deploymentStrategy": {"type": "Recreate"}},
        ),
    }
    for name, (text, uri, more) in refused.items():
        with probes.refused(f"a model with {name}", Refused, text):
            create(API, KIND, inference_service("wrong", uri, **more))


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": probe}[act](running)
    running.end()
