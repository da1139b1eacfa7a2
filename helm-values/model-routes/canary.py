"""Smoke test of the split: the share of a canary in 1,000 requests, and a promotion under load.

`mlops-platform smoke model-routes` runs it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from apiserver import PROJECT, NotYetError, get, items, patch, require_condition
from apiserver import Refused as ApiRefused
from asking import AnotherError, Asker, Refused, path_of, token
from echo import API, SERVICES, create_model, loaded, runtime
from probes import Probes, patiently

NAME, CANARY, PERCENT, REQUESTS = "split", "next", 10, 1000
_TRAFFIC = "mlops-platform/traffic"
# Of a binomial distribution: 99.9 % of fair splits are within 3.29 standard deviations.
_SPREAD = 3.29 * (REQUESTS * PERCENT / 100 * (1 - PERCENT / 100)) ** 0.5
_CLIENTS, _PAUSE = 4, 0.02


def probe(probes: Probes) -> None:
    asker = Asker()
    with probes.works("a model and its canary are ready, and both are in the route"):
        patiently(runtime, ApiRefused)
        canary = {"predictor": {"name": CANARY, **loaded("two")}, "trafficPercent": PERCENT}
        create_model(NAME, loaded("one"), canary=[canary])
        patiently(lambda: require_condition(get(API, SERVICES, NAME), "Ready"), NotYetError)
        patiently(lambda: require_split(asker, {"stable": 100 - PERCENT, CANARY: PERCENT}), AnotherError)
        patiently(lambda: require_answer(asker, "two"), AnotherError, Refused)
    with probes.works(f"the canary gets {PERCENT} % of {REQUESTS:,} requests, within 99.9 %, none fails"):
        answers = Counter(answer(asker) for _ in range(REQUESTS))
        assert set(answers) == {("one", "stable"), ("two", CANARY)}, answers
        assert abs(answers["two", CANARY] - REQUESTS * PERCENT / 100) <= _SPREAD, answers
    promoted(probes, asker)
    with probes.refused("the list of the project, to a caller without a token", Refused, "401"):
        asker.must(f"/{PROJECT}/")


def promoted(probes: Probes, asker: Asker) -> None:
    """Promote the canary: the route changes first, then the object (docs/serving.md)."""
    with Load() as load:
        with probes.works(
            "a promotion: all traffic to the canary, before its version becomes the stable one"
        ):
            traffic(f"{CANARY}=100")
            patiently(lambda: require_split(asker, {CANARY: 100}), AnotherError)
            promoted_at = time.monotonic()
            patch(API, SERVICES, NAME, {"spec": {"predictor": loaded("two")}})
            patiently(require_new_pods, NotYetError)
        with probes.works("a promotion: all traffic to the stable predictor, then the canary is removed"):
            traffic(f"{CANARY}=0")
            patiently(lambda: require_split(asker, {"stable": 100}), AnotherError)
            patch(
                API, SERVICES, NAME, {"spec": {"canary": None}, "metadata": {"annotations": {_TRAFFIC: None}}}
            )
            patiently(require_no_canary, NotYetError)
    with probes.works("none of the requests during the promotion failed, none went back to the old version"):
        assert not load.failed, load.failed[:3]
        late = Counter(version for at, version in load.answers if at > promoted_at)
        assert len(load.answers) > 200 and set(late) == {"two"}, (len(load.answers), late)


class Load:
    """Clients that send requests all the time, during the block."""

    def __init__(self) -> None:
        self.answers: list[tuple[float, str]] = []
        self.failed: list[str] = []
        self._stop = Event()
        self._pool = ThreadPoolExecutor(_CLIENTS)

    def __enter__(self) -> Load:
        for _ in range(_CLIENTS):
            self._pool.submit(self._client)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.wait(2)  # the last step under load too
        self._stop.set()
        self._pool.shutdown()

    def _client(self) -> None:
        asker = Asker()
        while not self._stop.wait(_PAUSE):
            at = time.monotonic()
            try:
                self.answers.append((at, answer(asker)[0]))
            except Exception as error:  # noqa: BLE001 - any failure counts
                self.failed.append(f"{type(error).__name__}: {error}")


def answer(asker: Asker) -> tuple[str, str]:
    """The version in the answer, and the predictor that its header names."""
    got = asker.must(path_of(NAME), token=token(), data={"instances": []})
    headers = {name.lower(): value for name, value in got.headers.items()}
    return got.json["version"], headers["x-model-predictor"]


def traffic(value: str) -> None:
    patch(API, SERVICES, NAME, {"metadata": {"annotations": {_TRAFFIC: value}}})


def require_split(asker: Asker, wanted: dict[str, int]) -> None:
    models: list[dict[str, Any]] = asker.must(f"/{PROJECT}/", token=token()).json["models"]
    (found,) = [model["predictors"] for model in models if model["name"] == NAME]
    if (split := {p["name"]: p["percent"] for p in found}) != wanted:
        raise AnotherError(str(split))


def require_answer(asker: Asker, version: str) -> None:
    if not _any(lambda: answer(asker)[0] == version, times=20):
        raise AnotherError(f"no answer of {version}")


def _any(test: Callable[[], bool], times: int) -> bool:
    return any(test() for _ in range(times))


def require_new_pods() -> None:
    """Raise NotYetError until all pods of the stable predictor are ready and have the new version."""
    pods = items("v1", "pods", f"app=isvc.{NAME}-predictor")
    for pod in pods:
        env = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0].get("env", [])}
        ready = [c["status"] for c in pod["status"].get("conditions", []) if c["type"] == "Ready"]
        if env.get("VERSION") != "two" or ready != ["True"]:
            raise NotYetError(f"{pod['metadata']['name']}: {env.get('VERSION')}, ready {ready}")
    if not pods:
        raise NotYetError("no pod")


def require_no_canary() -> None:
    if left := items("v1", "pods", f"app=isvc.{NAME}-{CANARY}-predictor"):
        raise NotYetError(f"left: {left[0]['metadata']['name']}")


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe}[act](running)
    running.end()
