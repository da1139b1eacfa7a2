"""Answers are kept for seconds, asked once at a time, and bounded; failures have a budget."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Counts how often it is asked."""

    def __init__(self, answer: object = "answer") -> None:
        self.answer, self.asked = answer, 0

    async def __call__(self) -> object:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_answer_is_kept_for_its_time(scripts: SimpleNamespace) -> None:
    async def run() -> None:
        clock, source = Clock(), Source()
        answers = scripts.limits.Answers(10, 5, clock)
        for moment, asked in ((100.0, 1), (109.9, 1), (110.0, 2)):
            clock.now = moment
            assert await answers.get("q", source) == "answer"
            assert source.asked == asked

    asyncio.run(run())


def test_equal_questions_at_the_same_time_are_asked_once(scripts: SimpleNamespace) -> None:
    async def run() -> None:
        source, answers = Source(), scripts.limits.Answers(10, 5, Clock())
        found = await asyncio.gather(*(answers.get("q", source) for _ in range(20)))
        assert found == ["answer"] * 20 and source.asked == 1

    asyncio.run(run())


def test_caller_that_leaves_does_not_cancel_the_answer_of_others(scripts: SimpleNamespace) -> None:
    async def run() -> None:
        source, answers = Source(), scripts.limits.Answers(10, 5, Clock())
        leaving = asyncio.ensure_future(answers.get("q", source))
        staying = asyncio.ensure_future(answers.get("q", source))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == "answer"

    asyncio.run(run())


def test_failure_is_not_kept(scripts: SimpleNamespace) -> None:
    async def run() -> None:
        source, answers = Source(OSError()), scripts.limits.Answers(10, 5, Clock())
        with pytest.raises(OSError):
            await answers.get("q", source)
        source.answer = "later"
        assert await answers.get("q", source) == "later"

    asyncio.run(run())


def test_number_of_answers_is_bounded(scripts: SimpleNamespace) -> None:
    async def run() -> None:
        source, answers = Source(), scripts.limits.Answers(10, 3, Clock())
        for i in range(100):
            await answers.get(i, source)
        assert len(answers._kept) == 3
        asked = source.asked
        await answers.get(99, source)
        assert source.asked == asked, "the newest are kept"

    asyncio.run(run())


def test_failures_use_up_the_budget_and_it_fills_again(scripts: SimpleNamespace) -> None:
    async def run() -> None:
        clock, source = Clock(), Source(False)
        budget = scripts.limits.Budget(3, 1, 100, clock)
        for _ in range(3):
            assert await budget.spend("a", source) is False
        with pytest.raises(scripts.limits.Denied) as denied:
            await budget.spend("a", source)
        assert denied.value.status == 429 and source.asked == 3
        assert await budget.spend("b", source) is False, "another sender has its own budget"
        clock.now += 1
        await budget.spend("a", source)
        with pytest.raises(scripts.limits.Denied):
            await budget.spend("a", source)

    asyncio.run(run())


def test_questions_at_once_cannot_exceed_the_budget(scripts: SimpleNamespace) -> None:
    async def run() -> None:
        source, budget = Source(False), scripts.limits.Budget(3, 1, 100, Clock())
        tries = (budget.spend("a", source) for _ in range(50))
        found = await asyncio.gather(*tries, return_exceptions=True)
        assert source.asked == 3 and found.count(False) == 3

    asyncio.run(run())


@pytest.mark.parametrize("answer", ["yes", OSError()])
def test_success_and_outage_cost_nothing(scripts: SimpleNamespace, answer: object) -> None:
    async def run() -> None:
        source, budget = Source(answer), scripts.limits.Budget(2, 0, 100, Clock())
        await asyncio.gather(*(budget.spend("a", source) for _ in range(2)), return_exceptions=True)
        for _ in range(10):
            try:
                assert await budget.spend("a", source) == "yes"
            except OSError:
                assert isinstance(answer, OSError)

    asyncio.run(run())


def test_number_of_senders_is_bounded(scripts: SimpleNamespace) -> None:
    async def run() -> None:
        budget = scripts.limits.Budget(3, 1, 10, Clock())
        for i in range(100):
            await budget.spend(str(i), Source(False))
        assert len(budget._left) == 10

    asyncio.run(run())
