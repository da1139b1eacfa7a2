"""`logs`: the logs of a component's pods; if there are several, each line starts with its pod."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from mlops_platform.base.errors import Exit, StepError, UsageError
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube


def run(console: Console, component: str, *, tail: int, follow: bool, previous: bool) -> int:
    from mlops_platform.adapters.kube.readiness import selectors
    from mlops_platform.commands.smoke import require_known
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment

    if follow and (previous or console.json):
        raise UsageError("--follow cannot be combined with --previous or --output json")
    opened = open_environment(console.environment)
    name = console.environment = opened.environment.name
    require_known((component,), tuple(opened.environment.installed), name)
    context = read_only(opened)
    reach(context)
    kube, namespace = context.clients.kube, opened.catalog[component].namespace
    pods = _pods(kube, namespace, selectors(kube, namespace, component))
    if not pods:
        raise StepError(
            f"{component} has no pods",
            command=kube.kubectl("--namespace", namespace, "get", "events"),
            hint=f"`mlops-platform up --env {name}` installs it",
        )
    if follow:
        return follow_all(console, {pod: kube.follow_logs(namespace, pod, tail=tail) for pod in pods})
    texts = {pod: kube.logs(namespace, pod, tail=tail, previous=previous) for pod in pods}
    if console.json:
        return console.done({"pods": texts})
    for pod, text in texts.items():
        for line in text.splitlines():
            console.raw(console.redact(f"{pod}  {line}\n" if len(pods) > 1 else f"{line}\n"))
    return Exit.DONE


def _pods(kube: Kube, namespace: str, matching: Iterable[str]) -> list[str]:
    return sorted(
        {p["metadata"]["name"] for s in matching for p in kube.metadata("v1", "Pod", namespace, labels=s)}
    )


def follow_all(console: Console, sources: Mapping[str, Iterator[str]]) -> int:
    """Follow logs at the same time, until each has ended or Ctrl-C; several have their names before lines."""
    import queue
    import threading

    lines: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()

    def read(name: str, source: Iterator[str]) -> None:
        try:
            for line in source:
                lines.put(f"{name}  {line}\n" if len(sources) > 1 else f"{line}\n")
            lines.put(None)
        except StepError as error:
            lines.put(error)

    for name, source in sources.items():
        threading.Thread(target=read, args=(name, source), name=name, daemon=True).start()
    left = len(sources)
    try:
        while left:
            line = lines.get()
            if isinstance(line, BaseException):
                raise line
            left -= line is None
            console.raw(console.redact(line or ""))
    except KeyboardInterrupt:  # the normal end of --follow
        return Exit.DONE
    return Exit.DONE
