"""A recorded run, displayed by every listener of the console."""

from __future__ import annotations

from mlops_platform.engine.events import Listener, StepEvent

STEPS = (
    ("check/machine", "check"),
    ("program/etcd", "programs"),
    ("program/helm", "programs"),
    ("image/toolbox", "images"),
    ("image/mlflow", "images"),
    ("cluster/terraform", "cluster"),
    ("postgres/namespace", "data"),
    ("postgres/release", "data"),
    ("postgres/smoke", "data"),
    ("minio/release", "data"),
    ("mlflow/release", "tracking"),
    ("mlflow/smoke", "tracking"),
)
EDGES = {
    "program/etcd": ("check/machine",),
    "program/helm": ("check/machine",),
    "image/toolbox": ("check/machine",),
    "image/mlflow": ("check/machine",),
    "cluster/terraform": ("program/etcd",),
    "postgres/namespace": ("cluster/terraform",),
    "postgres/release": ("postgres/namespace",),
    "postgres/smoke": ("postgres/release", "image/toolbox"),
    "minio/release": ("cluster/terraform",),
    "mlflow/release": ("postgres/smoke", "minio/release", "image/mlflow"),
    "mlflow/smoke": ("mlflow/release",),
}
EXPECTED = {"image/mlflow": 60.0, "cluster/terraform": 5.0, "mlflow/release": 15.0, "mlflow/smoke": 10.0}
_LAYERS = dict(STEPS)


def _event(kind: str, step: str, elapsed: float, text: str = "", **more: float) -> StepEvent:
    return StepEvent(kind, step, _LAYERS[step], elapsed, text, **more)  # type: ignore[arg-type]


EVENTS = (
    _event("started", "check/machine", 0.0, "check this machine"),
    _event("said", "check/machine", 0.2, "✔ 2 cores  ✔ 23 GB free"),
    _event("done", "check/machine", 0.4, "check this machine", seconds=0.4),
    _event("unchanged", "program/etcd", 0.4),
    _event("unchanged", "program/helm", 0.4),
    _event("unchanged", "image/toolbox", 0.5),
    _event("started", "image/mlflow", 0.5, "build"),
    _event("started", "cluster/terraform", 0.5, "apply Terraform"),
    _event("note", "cluster/terraform", 0.6, "a killed run's state was recovered"),
    _event("done", "cluster/terraform", 5.2, "apply Terraform", seconds=4.7),
    _event("started", "postgres/namespace", 5.3, "make the namespace"),
    _event("started", "minio/release", 5.3, "install"),
    _event("done", "postgres/namespace", 5.4, "make the namespace", seconds=0.1),
    _event("started", "postgres/release", 5.4, "install"),
    _event("said", "minio/release", 6.0, "waiting for pod minio-0: ContainerCreating (pulling image)"),
    _event("fraction", "image/mlflow", 7.0, "pip", done=38, total=71),
    _event("done", "postgres/release", 9.0, "install", seconds=3.6),
    _event("started", "postgres/smoke", 9.1, "smoke"),
    _event("fraction", "image/mlflow", 20.0, "pip", done=60, total=71),
    _event("said", "minio/release", 22.0, "waiting for pod minio-0: Pending"),
    _event("failed", "minio/release", 24.0, "pod minio-0: ErrImagePull", seconds=18.7),
    _event("skipped", "mlflow/release", 24.0, "after minio/release"),
    _event("skipped", "mlflow/smoke", 24.0, "after mlflow/release"),
    _event("done", "postgres/smoke", 25.0, "smoke", seconds=15.9),
    _event("done", "image/mlflow", 61.5, "build", seconds=61.0),
)


def replay(listener: Listener, until: float = float("inf")) -> None:
    """Send the events up to a moment of the run, in seconds since its start."""
    listener.begin(STEPS, EDGES)
    for event in EVENTS:
        if event.elapsed <= until:
            listener.event(event)
    if until > EVENTS[-1].elapsed:
        listener.end()
