"""What comes before a scheduled handler: not counted by a timeout, not cut off by what fails the job."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from carequeue import AttemptCancelled, Job, WorkerOptions
from carequeue.store.step import FetchedJob
from carequeue.telemetry import Telemetry
from carequeue.testing import FakeClock
from carequeue.worker.executor import Executor
from carequeue.worker.handlers import Handlers
from carequeue.worker.hooks import Hooks
from carequeue.worker.outage import Outage
from carequeue.worker.outcome import Rules
from carequeue.worker.setting import Setting
from carequeue.worker.slots import Slots
from carequeue.worker.terms import terms_of
from carequeue.worker.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from carequeue.worker.outcome import Outcome

TIMEOUT = timedelta(milliseconds=50)
RUN = FetchedJob("repeat:pulse:1", "worker:0", {"name": "pulse", "rjk": "pulse"})


async def execute(
    handler: Callable[[Job[Any]], Awaitable[Any]], advance: Callable[[Executor], Awaitable[None]]
) -> Outcome:
    """Run one job of a scheduler in an executor of its own, and answer how it ended."""
    telemetry = Telemetry()
    hooks = Hooks("q", telemetry)
    setting = Setting(
        terms_of("q", WorkerOptions(timeout=TIMEOUT)),
        FakeClock(),
        hooks,
        Outage("q", hooks, telemetry, random.random),
        telemetry,
    )
    slots, handlers = Slots(1, 1), Handlers()
    handlers.catch_all(handler)
    flight = slots.next_flight()
    assert flight is not None
    slots.landed(flight, 1)
    executor: Executor

    async def advance_it(job: Job[Any], now: int, advanced: object) -> None:
        await advance(executor)

    executor = Executor(
        setting, cast("Any", None), slots, handlers, Rules(random.random), Threads("t"), cast("Any", None), advance_it
    )
    executor.start([RUN])
    await executor.empty.wait()
    ended = slots.next_flight()
    assert ended is not None
    return ended.outcomes[0]


async def test_a_timeout_does_not_count_the_making_of_the_schedulers_next_run() -> None:
    async def advance(executor: Executor) -> None:
        await asyncio.sleep(2 * TIMEOUT.total_seconds())

    async def handle(job: Job[Any]) -> str:
        return "done"

    assert (await execute(handle, advance)).value == "done"


async def test_a_job_that_is_cancelled_too_early_still_makes_its_schedulers_next_run() -> None:
    """It may fail for good: nobody else would make it."""
    steps: list[str] = []

    async def advance(executor: Executor) -> None:
        assert executor.cancel("not today") == 1
        await asyncio.sleep(0)
        steps.append("advanced")

    async def handle(job: Job[Any]) -> None:
        steps.append("handled")

    outcome = await execute(handle, advance)
    assert steps == ["advanced"]
    assert isinstance(outcome.error, AttemptCancelled)
    assert outcome.kind == "failed"
