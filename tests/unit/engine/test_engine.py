"""The engine: parallel steps, isolated failures, cancel, resume, and the journal."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Interrupted, PlatformError, PreflightError, StepError
from mlops_platform.base.progress import Progress
from mlops_platform.engine.engine import Engine, RunResult, critical_path, observe_all
from mlops_platform.engine.graph import Graph, Lane, after, chain, parallel
from mlops_platform.engine.journal import Journal, Redactor, runs

from tests.unit.engine.steps import Act, Heard, graph


def run(*steps: Act, cancel: Cancel | None = None, journal: Journal | None = None) -> tuple[RunResult, Heard]:
    heard = Heard()
    engine = Engine(graph(*steps), journal, (heard,), cancel or Cancel())
    return engine.run(), heard


def test_steps_run_once_and_after_their_requirements() -> None:
    order: list[str] = []

    def noting(name: str) -> Act:
        needs = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}[name]
        return Act(name, needs, lambda _: order.append(name))

    steps = [noting(name) for name in "dcba"]
    result, heard = run(*steps)
    assert set(result.done) == {"a", "b", "c", "d"}
    assert (order[0], order[-1], {s.runs for s in steps}) == ("a", "d", {1})
    assert heard.ended and heard.kinds("d") == ["started", "done"]


def test_independent_steps_run_in_parallel() -> None:
    """Each waits for the other: in sequence they would never end."""
    meeting = threading.Barrier(2, timeout=30)

    def meet(_: Progress) -> None:
        meeting.wait()

    result, _ = run(Act("a", work=meet), Act("b", work=meet))
    assert set(result.done) == {"a", "b"}


def test_steps_of_a_lane_run_one_at_a_time_and_do_not_wait_for_blocked_ones() -> None:
    """a and b would collide if both ran; c cannot start when the lane is free, so d goes first."""
    order: list[str] = []
    alone = threading.Lock()
    freed = threading.Event()

    def work(name: str) -> Callable[[Progress], None]:
        def act(_: Progress) -> None:
            assert alone.acquire(blocking=False), "two of a lane at once"
            order.append(name)
            alone.release()
            if name == "d":
                freed.set()

        return act

    def slow(_: Progress) -> None:
        assert freed.wait(30)

    steps = [Act(n, work=work(n)) for n in "ab"] + [Act("s", work=slow), Act("c", ("s",), work("c"))]
    steps.append(Act("d", work=work("d")))
    lanes = dict.fromkeys("abcd", Lane("one"))
    result = Engine(graph(*steps, lanes=lanes), None, (), Cancel()).run()
    assert (order, result.failures) == (["a", "b", "d", "c"], ())


def test_lane_runs_as_many_steps_as_its_width() -> None:
    """Two meet, the third finds them gone: with another width the meeting would never end, or be too full."""
    here, meeting = threading.Semaphore(2), threading.Barrier(2, timeout=30)

    def meet(_: Progress) -> None:
        assert here.acquire(blocking=False), "more at once than the lane is wide"
        meeting.wait()
        here.release()

    lanes = dict.fromkeys("abcd", Lane("two", 2))
    result = Engine(graph(*(Act(n, work=meet) for n in "abcd"), lanes=lanes), None, (), Cancel()).run()
    assert (set(result.done), result.failures) == (set("abcd"), ())


def test_failure_skips_only_dependent_steps() -> None:
    def fail(_: Progress) -> None:
        raise StepError("broken", why="seen", hint="fix", transient=True)

    steps = [Act("a", work=fail), Act("b", ("a",)), Act("c", ("b",)), Act("other"), Act("last", ("other",))]
    result, heard = run(*steps)
    assert result.skipped == ("b", "c")
    assert set(result.done) == {"other", "last"}
    assert heard.kinds("c") == ["skipped"]
    with pytest.raises(StepError, match="broken"):
        result.raise_first()


def test_second_run_does_only_the_missing_steps() -> None:
    broken = {"now": True}

    def once_broken(_: Progress) -> None:
        if broken["now"]:
            raise StepError("no")

    steps = [Act("a"), Act("b", ("a",), once_broken), Act("c", ("b",))]
    run(*steps)
    broken["now"] = False
    result, heard = run(*steps)
    assert (result.unchanged, result.done) == (("a",), ("b", "c"))
    assert [s.runs for s in steps] == [1, 2, 1]
    assert heard.kinds("a") == ["unchanged"]


def test_cancel_lets_running_steps_end_and_starts_no_more() -> None:
    cancel = Cancel()
    result, _ = run(Act("a", work=lambda _: cancel.request()), Act("b", ("a",)), cancel=cancel)
    assert (result.done, result.skipped) == (("a",), ("b",))


def test_interruption_is_the_error_only_without_another_failure() -> None:
    def interrupted(_: Progress) -> None:
        raise Interrupted("stop")

    def failed(_: Progress) -> None:
        raise StepError("worse")

    result, _ = run(Act("a", work=interrupted))
    with pytest.raises(Interrupted):
        result.raise_first()
    result, _ = run(Act("a", work=interrupted), Act("b", work=failed))
    with pytest.raises(StepError, match="worse"):
        result.raise_first()


def test_bug_is_raised_and_its_trace_is_in_the_journal(tmp_path: Path) -> None:
    journal = Journal.start(tmp_path, "up", "test", "0", Redactor())

    def bug(_: Progress) -> None:
        raise ZeroDivisionError("seven")

    result, _ = run(Act("a", work=bug), Act("b", ("a",)), journal=journal)
    with pytest.raises(ZeroDivisionError):
        result.raise_first()
    record = next(runs(tmp_path))
    trace = next(e["trace"] for e in record.events if e["event"] == "bug")
    assert "ZeroDivisionError: seven" in trace


def test_unwritable_journal_stops_the_run_with_an_error(tmp_path: Path) -> None:
    """A file-size limit replaces the full disk: the same error of the same call."""
    journal = Journal.start(tmp_path, "up", "test", "0", Redactor())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (journal.folder / "journal.jsonl").stat().st_size

    def fill(_: Progress) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    try:
        result, _ = run(Act("a", work=fill), Act("b", ("a",)), journal=journal)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (result.done, result.skipped) == (("a",), ("b",))
    with pytest.raises(PlatformError) as caught:
        result.raise_first()
    assert "journal" in caught.value.what and "large" in caught.value.why


class Reads(Act):
    """Observes the result of an earlier step."""

    def observe(self) -> None:
        raise StepError("the node is not running")


def test_plan_marks_steps_that_depend_on_others_as_unknown() -> None:
    planned = observe_all(graph(Act("a"), Act("b", settled=True), Reads("c", ("a",)), Reads("d", ("c",))))
    assert [(p.step, bool(p.difference), p.unknown) for p in planned] == [
        ("a", True, ""),
        ("b", False, ""),
        ("c", False, "until a: the node is not running"),
        ("d", False, "until a: the node is not running"),
    ]


def test_plan_marks_a_step_as_unknown_if_its_program_is_not_built() -> None:
    class Starts(Act):
        def observe(self) -> None:
            raise PreflightError("oras: no such program")

    planned = observe_all(graph(Act("program"), Starts("image", ("program",))))
    assert planned[1].unknown == "until program: oras: no such program"


def test_plan_raises_the_error_of_an_independent_step() -> None:
    with pytest.raises(StepError, match="not running"):
        observe_all(graph(Act("b", settled=True), Reads("c", ("b",))))


def test_critical_path_is_the_chain_that_determined_the_duration() -> None:
    times = {"a": (0.0, 2.0), "b": (0.0, 5.0), "d": (5.0, 6.0), "e": (2.0, 3.0)}
    edges: dict[str, tuple[str, ...]] = {
        "d": ("c", "a"),
        "c": ("b",),  # unchanged: looked through
        "e": ("a",),
    }
    assert critical_path(times, edges) == ("b", "d")
    assert critical_path({}, edges) == ()


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([Act("a", ("b",)), Act("b", ("a",))], "cycle: a → b → a"),
        ([Act("a"), Act("a")], "step twice"),
        ([Act("a", ("gone",))], "no step"),
    ],
)
def test_invalid_graph_is_an_error(steps: list[Act], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        graph(*steps)


def test_chain_waits_for_every_end_of_the_part_before() -> None:
    a, b, c, d = (Act(name) for name in "abcd")
    found = Graph.of(chain(a, parallel(b, c), d))
    assert found.requires == {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


def test_empty_part_passes_on_the_requirements_of_the_next() -> None:
    a, b, c = (Act(name) for name in "abc")
    nothing = after(parallel(), b)
    assert Graph.of(b, chain(a, nothing, c)).requires["c"] == ("b", "a")


def test_after_adds_no_step_of_the_other_part() -> None:
    a, b = Act("a"), Act("b")
    with pytest.raises(ValueError, match="b requires a, which is no step"):
        Graph.of(after(b, a))


def test_up_to_keeps_a_step_and_its_requirements() -> None:
    a, b, c, d = (Act(name) for name in "abcd")
    found = Graph.of(chain(a, b, c), chain(a, d)).up_to("b")
    assert [step.id for step in found.steps] == ["a", "b"]
