"""The tools for tests: a clock that moves when told, points to wait for, jobs without a queue."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from carequeue import ChildState, Job, JobContext, JobKind, PayloadError, ThreadJobContext
from carequeue.testing import FakeClock, Signal, make_context, make_job, make_thread_context

START = datetime(2026, 3, 29, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Dose:
    units: int


def test_a_fake_clock_does_what_is_due_in_order_and_each_at_its_instant() -> None:
    clock = FakeClock(START)
    seen: list[tuple[str, datetime]] = []
    base = clock.now_ms()
    clock.call_at(base + 3000, lambda: seen.append(("late", clock.now)))
    clock.call_at(base + 1000, lambda: seen.append(("early", clock.now)))
    clock.call_at(base + 2000, lambda: seen.append(("cancelled", clock.now))).cancel()
    clock.advance(2 * SECOND)
    assert (seen, clock.now) == ([("early", START + SECOND)], START + 2 * SECOND)
    clock.move_to(START + 10 * SECOND)
    assert seen[1:] == [("late", START + 3 * SECOND)]


def test_what_a_timer_sets_for_the_same_journey_happens_on_it() -> None:
    clock = FakeClock(START)
    seen: list[datetime] = []

    def again() -> None:
        seen.append(clock.now)
        if len(seen) < 3:
            clock.call_at(clock.now_ms() + 1000, again)

    clock.call_at(clock.now_ms() + 1000, again)
    clock.advance(timedelta(minutes=1))
    assert seen == [START + SECOND, START + 2 * SECOND, START + 3 * SECOND]


async def test_a_signal_is_waited_for_and_keeps_what_it_was_called_with() -> None:
    signal = Signal()
    asyncio.get_running_loop().call_soon(signal, 1, "x")
    assert await signal.wait() == [(1, "x")]
    assert await signal.wait() == [(1, "x")]  # it stays passed


async def test_a_signal_may_be_called_from_a_thread() -> None:
    signal = Signal()
    threading.Thread(target=signal, args=("thread",)).start()
    assert await signal.wait() == [("thread",)]


async def test_a_signal_that_does_not_come_says_which_and_how_many() -> None:
    signal = Signal("delivered")
    signal()
    with pytest.raises(TimeoutError, match=r"delivered: 1 of 2 after 0\.01 s"):
        await signal.wait(2, timeout=0.01)


def test_a_made_job_is_what_a_handler_gets() -> None:
    kind = JobKind("dose", Dose, attempts=3)
    job = make_job(kind, Dose(2), job_id="dose-1")
    assert (job.id, job.name, job.data, job.attempts_allowed) == ("dose-1", "dose", Dose(2), 3)
    assert job.started_at is not None
    assert make_job("plain", {"a": 1}).data == {"a": 1}
    with pytest.raises(PayloadError):
        make_job(kind, "two")  # type: ignore[call-overload]


async def test_a_made_context_keeps_what_a_handler_tells_and_answers_about_its_children() -> None:
    async def handler(job: Job, context: JobContext) -> int:
        await context.update_progress({"of": job.data})
        await context.update_data("that")
        assert await context.log(f"attempt {context.attempt} of {context.job_id}") == 1
        kept = [(child.id, child.queue, child.reason) async for child in context.children.iterate(ChildState.IGNORED)]
        assert kept == [("2", "pages", "torn")]
        assert (await context.children.counts()).total == 3
        return sum((await context.children.values()).values())

    job = make_job("sum", "it", job_id="s")
    context = make_context(job, attempt=2, children={"bull:pages:1": 5, "p:a:3": 2}, ignored={"bull:pages:2": "torn"})
    assert await handler(job, context) == 7
    assert (context.progress, context.rows) == ([{"of": "it"}], ["attempt 2 of s"])
    assert context.data == ["that"]


def test_a_made_context_of_a_thread_needs_no_event_loop() -> None:
    def handler(job: Job, context: ThreadJobContext) -> dict[str, int]:
        context.raise_if_cancelled()
        context.update_progress(50)
        context.update_data("that")
        assert context.log("half way") == 1
        return context.children_values()

    job = make_job("sum")
    context = make_thread_context(job, children={"bull:pages:1": 5})
    assert handler(job, context) == {"bull:pages:1": 5}
    assert (context.recorded.progress, context.recorded.rows) == ([50], ["half way"])
    assert context.recorded.data == ["that"]
    context.recorded.is_cancelled = True
    with pytest.raises(asyncio.CancelledError):
        handler(job, context)
