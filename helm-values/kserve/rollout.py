"""Smoke test `rollout`: a new version under load loses no request; one that cannot load replaces nothing."""

from __future__ import annotations

import sys
import threading

from apiserver import NotYetError, Object, create, items
from probes import Probes, patiently
from serving import API, KIND, MODEL, client, inference_service, relay, require_failure, require_line, serve

REPLICAS = 2


def probe(probes: Probes) -> None:
    with probes.works("a new version is rolled out under load"), client("3", "load"):
        patiently(lambda: require_line("logged"), NotYetError)
        create(API, KIND, inference_service(MODEL, f"mlflow://{MODEL}/1", minReplicas=REPLICAS))
        patiently(lambda: require_line("loading"), NotYetError)
        with Fewest() as fewest:
            serve(MODEL, f"mlflow://{MODEL}/2")
            patiently(relay, NotYetError)
        assert fewest.seen == REPLICAS, f"{fewest.seen} of {REPLICAS} pods were ready at one time"
    with probes.works("a version that needs a missing package says so, and the one before still answers"):
        serve(MODEL, f"mlflow://{MODEL}/3")
        found = patiently(lambda: require_failure(MODEL), NotYetError)
        assert found == "model needs xgboost 3.1.2, the runtime has none", found
        assert ready_pods() >= REPLICAS


class Fewest:
    """The smallest number of ready pods, counted four times a second until the end of the block."""

    def __init__(self) -> None:
        self.seen = REPLICAS
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Fewest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.25):
            self.seen = min(self.seen, ready_pods())


def ready_pods() -> int:
    return sum(map(_is_ready, items("v1", "pods", f"serving.kserve.io/inferenceservice={MODEL}")))


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": probe}[act](running)
    running.end()
