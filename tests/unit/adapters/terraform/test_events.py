"""Messages and conclusions from Terraform's events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlops_platform.adapters.terraform.events import EventLog, Made, Tail

from tests.unit.adapters.terraform.recording import RecordingProgress

CASES = Path(__file__).parent / "cases"


def event(kind: str, **more: Any) -> str:
    return json.dumps({"type": kind, "@message": "said", **more})


def error(summary: str, detail: str = "", **more: Any) -> str:
    return event("diagnostic", diagnostic={"severity": "error", "summary": summary, "detail": detail, **more})


def test_events_become_short_messages_and_unknown_types_are_ignored() -> None:
    story, log_of = EventLog(), RecordingProgress()
    Tail(CASES / "mixed.jsonl").feed(story, log_of)
    assert log_of.said == [
        "Acquiring state lock. This may take a few moments...",
        "some_vpc.this: Refreshing state... [id=vpc-1]",
        "some_vpc.this: changing",
        "some_group.this: creating",
        "some_group.this: destroying",
        "terraform_data.node: creating",
        "terraform_data.node: waiting for the node",
        "some_group.this: destroying, 10s",
    ]
    assert log_of.fractions == [
        (1, 5, "some_vpc.this"),
        (2, 5, "some_group.this"),
        (3, 5, "some_group.this"),
        (4, 5, "terraform_data.node"),
    ]
    assert log_of.notes == ["Terraform warns: some_vpc.this: Argument is deprecated"]
    # The deletion of the old group does not mean that the new one exists.
    assert list(story.made.values()) == [
        Made("some_group.this", "g-1", built_in=False),
        Made("terraform_data.node", "n-1", built_in=True),
    ]
    assert list(story.rest) == ["not json at all", '["a list"]', '{"type": "apply_start"}']
    assert not story.succeeded


def test_success_is_a_summary_without_an_error() -> None:
    def log_of(*lines: str) -> EventLog:
        story = EventLog()
        for line in lines:
            story.line(line, RecordingProgress())
        return story

    plan = event("change_summary", changes={"add": 1, "operation": "plan"})
    done = event("change_summary", changes={"add": 1, "operation": "apply"})
    gone = event("change_summary", changes={"remove": 1, "operation": "destroy"})
    assert not log_of(plan).succeeded and log_of(plan, done).succeeded and log_of(plan, gone).succeeded
    failed = log_of(plan, error("no", "because", address="a.b"), error("no", "because", address="a.b"), done)
    assert not failed.succeeded and failed.why == "a.b: no\nbecause"
    assert log_of("panic: runtime error", "goroutine 1").why == "panic: runtime error\ngoroutine 1"


def test_line_is_read_once_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = Tail(path)
    assert tail.lines() == []
    text = "größe\nzwei\n".encode()
    path.write_bytes(text[:3])  # in the middle of a letter
    assert tail.lines() == []
    path.write_bytes(text)
    assert tail.lines() == ["größe", "zwei"]
    assert tail.lines() == []
