"""Part of smoke tests that runs in a pod of the project: logs a model, and asks the served one.

A number registers as many versions and prints `logged`; `ask` tests the answers; `load` sends 1,750 requests,
half of them over connections that stay open, and prints `loading` when the first second is over.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time
from collections import Counter
from typing import Any

from probes import Probes, patiently

MODEL = "iris"
HOST = f"{MODEL}-predictor.{os.environ['NAMESPACE']}.svc"
ROWS, LABELS = [[5.1, 3.5, 1.4, 0.2], [6.0, 2.9, 4.5, 1.5], [6.3, 3.3, 6.0, 2.5]], [0, 1, 2]
COLUMNS = ["sepal length", "sepal width", "petal length", "petal width"]
REQUESTS, PER_SECOND, CLIENTS = 1750, 50, 24


class NotOk(Exception):
    """An answer with an error status, or none."""


def log(count: int) -> None:
    """Register versions of a classifier that answers LABELS for ROWS. The second needs a missing package."""
    import mlflow
    import pandas
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    mlflow.set_experiment("smoke")
    table = pandas.DataFrame([row for row in ROWS for _ in range(4)], columns=COLUMNS)
    labels = [label for label in LABELS for _ in range(4)]
    model = LogisticRegression(C=1e4, max_iter=2000).fit(table, labels)
    signature = infer_signature(table, labels)
    for number in range(count):
        needs = [
            "scikit-learn",
            *(["xgboost==3.1.2"] if number == 2 else []),
        ]  # named: else MLflow looks for them
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name=MODEL, signature=signature, pip_requirements=needs
        )
    print("logged", flush=True)  # noqa: T201 - the smoke test waits for it


def ask(path: str, content: Any, connection: http.client.HTTPConnection | None = None) -> dict[str, Any]:
    """The JSON answer. Raises NotOk with status and reason; OSError and HTTPException without an answer."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    used = connection or http.client.HTTPConnection(HOST, timeout=20)
    try:
        used.request("POST", path, body, {"Content-Type": "application/json"})
        answer = used.getresponse()
        text = answer.read().decode()
    finally:
        if not connection:
            used.close()
    if answer.status != 200:
        raise NotOk(f"{answer.status} {json.loads(text)['error']}")
    found: dict[str, Any] = json.loads(text)
    found["version"] = answer.getheader("x-model-version")
    return found


def v1(rows: Any) -> dict[str, Any]:
    return ask(f"/v1/models/{MODEL}:predict", {"instances": rows})


def v2(*inputs: dict[str, Any]) -> dict[str, Any]:
    return ask(f"/v2/models/{MODEL}/infer", {"inputs": list(inputs)})


def tensor(values: Any, shape: list[int], name: str = "input-0", kind: str = "FP64") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": kind, "data": values}


def columns() -> list[dict[str, Any]]:
    values = zip(*ROWS, strict=True)
    return [tensor(list(each), [3], name) for name, each in zip(COLUMNS, values, strict=True)]


def answers(probes: Probes) -> None:
    with probes.works("a served model answers with the right numbers over V1"):
        found = patiently(lambda: v1(ROWS), NotOk, OSError, http.client.HTTPException)
        assert found["predictions"] == LABELS, found
        assert found["version"] == "1", found
    with probes.works("V2 answers as one tensor and as a tensor for each column, with the version"):
        for found in (v2(tensor(ROWS, [3, 4])), v2(*columns())):
            assert found["outputs"][0]["data"] == LABELS, found
            assert found["model_version"] == "1", found
    wrong: dict[str, tuple[str, Any]] = {
        "a body that is no JSON": ("not JSON", b"{"),
        "no rows": ('no "instances"', {}),
        "empty rows": ("is empty", {"instances": []}),
        "three of four columns": ("expects 4 columns", {"instances": [[1, 2, 3]]}),
        "text for numbers": ("is not a number", {"instances": [["a", 1, 2, 3]]}),
        "deep JSON": ("nested too deep", b'{"instances":' + b"[" * 90000),
        "a body of 9 MiB": ("413 ", b" " * (9 << 20)),
    }
    for name, (text, content) in wrong.items():
        with probes.refused(f"a request with {name}", NotOk, text):
            ask(f"/v1/models/{MODEL}:predict", content)
    with probes.refused("a tensor of the wrong length over V2", NotOk, "400 "):
        v2(tensor([1.0, 2.0], [3, 4]))
    with probes.refused("a model of another name", NotOk, "404 "):
        ask("/v1/models/other:predict", {"instances": ROWS})


class Load:
    """Requests at a fixed rate. Half of the clients keep their connection; none repeats a request."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.versions: Counter[str] = Counter()
        self._next, self._lock, self._start = 0, threading.Lock(), time.monotonic()

    def run(self) -> None:
        threads = [threading.Thread(target=self._client, args=(n % 2 == 0,)) for n in range(2 * CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        print("loading", flush=True)  # noqa: T201 - the smoke test waits for it
        for thread in threads:
            thread.join()

    def _client(self, stays: bool) -> None:
        kept = http.client.HTTPConnection(HOST, timeout=20) if stays else None
        while (number := self._take()) < REQUESTS:
            time.sleep(max(0.0, self._start + number / PER_SECOND - time.monotonic()))
            try:
                found = ask(f"/v2/models/{MODEL}/infer", {"inputs": [tensor(ROWS, [3, 4])]}, kept)
                assert found["outputs"][0]["data"] == LABELS, found
                self._count(found["model_version"])
            except (NotOk, OSError, http.client.HTTPException, AssertionError) as error:
                self._fail(f"request {number}, {'kept' if stays else 'new'} connection: {error!r}")
                if kept:
                    kept.close()

    def _take(self) -> int:
        with self._lock:
            self._next += 1
            return self._next - 1

    def _count(self, version: str) -> None:
        with self._lock:
            self.versions[version] += 1

    def _fail(self, text: str) -> None:
        with self._lock:
            self.failed.append(text)


def load(probes: Probes) -> None:
    patiently(lambda: v1(ROWS), NotOk, OSError, http.client.HTTPException)
    made = Load()
    made.run()
    title = f"{REQUESTS} requests, {PER_SECOND} a second, none fails while the version changes"
    with probes.works(title):
        assert not made.failed, f"{len(made.failed)} failed: {made.failed[:3]}"
    with probes.works("both versions have answered"):
        assert set(made.versions) == {"1", "2"}, dict(made.versions)


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        if act.isdecimal():
            log(int(act))
        else:
            {"ask": answers, "load": load}[act](running)
    running.end()
