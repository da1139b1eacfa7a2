"""Counters of answers and a histogram of their time, in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one model."""

    def __init__(self, model: str, version: str) -> None:
        self._labels = f'model="{_escaped(model)}",version="{_escaped(version)}"'
        self._answers: Counter[tuple[str, int]] = Counter()
        self._within = [0] * len(_BOUNDS)
        self._count, self._seconds = 0, 0.0

    def answered(self, protocol: str, status: int, seconds: float) -> None:
        self._answers[protocol, status] += 1
        self._count += 1
        self._seconds += seconds
        for place, bound in enumerate(_BOUNDS):
            self._within[place] += seconds <= bound

    def text(self) -> str:
        labels = self._labels
        lines = ["# TYPE model_predictions_total counter"]
        for (protocol, status), count in sorted(self._answers.items()):
            more = f'protocol="{protocol}",code="{status}"'
            lines.append(f"model_predictions_total{{{labels},{more}}} {count}")
        lines.append("# TYPE model_prediction_seconds histogram")
        for bound, count in zip(_BOUNDS, self._within, strict=True):
            lines.append(f'model_prediction_seconds_bucket{{{labels},le="{bound}"}} {count}')
        lines.append(f'model_prediction_seconds_bucket{{{labels},le="+Inf"}} {self._count}')
        lines.append(f"model_prediction_seconds_sum{{{labels}}} {self._seconds:.6f}")
        lines.append(f"model_prediction_seconds_count{{{labels}}} {self._count}")
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
