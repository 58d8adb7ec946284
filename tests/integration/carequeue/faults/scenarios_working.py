"""What workers call, by hand: so the test sees what the caller is told. `test_broken_workers` has whole workers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.integration.carequeue.faults.stage import scenario

from carequeue import JobState, ManualWorker, RedisOnce, Repeat, once
from carequeue.testing import Signal

if TYPE_CHECKING:
    from tests.integration.carequeue.faults.stage import Stage

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@scenario("step")
async def taking(stage: Stage) -> None:
    """The reply with the job is lost: nobody has it, and the stall check puts it back."""
    job = await stage.direct.add("job")
    short = timedelta(milliseconds=1)
    async with ManualWorker(stage.queue.name, stage.proxied, skip_stalled_check=True, lock_duration=short) as worker:
        await stage.lose_once(lambda: worker.next_job())
    assert await stage.direct.state(job.id) == (JobState.ACTIVE if stage.fault.ran else JobState.WAITING)
    await stall(stage)
    assert await stage.direct.state(job.id) == JobState.WAITING


@scenario("checkStalled")
async def checking(stage: Stage) -> None:
    job = await stage.direct.add("job")
    short = timedelta(milliseconds=1)
    async with stage.by_hand() as hand, ManualWorker(
        stage.queue.name, stage.proxied, skip_stalled_check=True, stalled_interval=short
    ) as worker:  # fmt: skip
        held = await hand.next_job()
        assert held is not None
        await stage.redis.delete(stage.direct.keys.lock(job.id), stage.direct.keys.stalled_check)
        await stage.lose(worker.check_stalled)
    await stall(stage)
    found = await stage.direct.get(job.id)
    assert found is not None
    assert (await stage.direct.state(job.id), found.stalled_count) == (JobState.WAITING, 1)


@scenario("extendLocks")
async def renewing(stage: Stage) -> None:
    await stage.direct.add("job")
    async with ManualWorker(stage.queue.name, stage.proxied, skip_stalled_check=True) as worker:
        held = await worker.next_job()
        assert held is not None
        await stage.lose(lambda: held.extend_lock(HOUR))
        assert await stage.redis.pttl(stage.direct.keys.lock(held.id)) > 60_000
        await held.complete()


@scenario("advanceScheduler")
async def advancing(stage: Stage) -> None:
    """The run goes back, or is left to the stall check; whoever takes it next makes the next run, once."""
    await stage.direct.schedule("s", Repeat.every(HOUR), "job")
    async with ManualWorker(stage.queue.name, stage.proxied, skip_stalled_check=True) as worker:
        await stage.lose_once(lambda: worker.next_job())
    await stall(stage)
    await stage.work()
    state = await stage.state()
    assert (len(state.of("completed")), len(state.of("delayed"))) == (1, 1)
    state.check_at_rest()


@scenario("onceClaim")
async def claiming(stage: Stage) -> None:
    acted = Signal("acted")

    async def act() -> str:
        acted()
        return "sent"

    async with RedisOnce(stage.direct.name, stage.proxied) as store:
        assert await stage.lose(lambda: once(store, "key", act, fence=1)) == "sent"
        assert await once(store, "key", act, fence=2) == "sent"
    assert len(acted.calls) == 1


@scenario("onceDone")
async def noting(stage: Stage) -> None:
    """It was done, and whether that was noted is not known: if not, the next attempt is told that it is in doubt."""
    acted, doubted = Signal("acted"), Signal("doubted")

    async def act() -> str:
        acted()
        return "sent"

    async def look() -> str:
        doubted()
        return "sent"

    async with RedisOnce(stage.direct.name, stage.proxied) as store:
        assert await stage.lose(lambda: once(store, "key", act, fence=1, in_doubt=look)) == "sent"
    assert (len(acted.calls), len(doubted.calls)) == (1, 0 if stage.fault.ran else 1)


async def stall(stage: Stage) -> None:
    """The locks run out, and the stall checks of two intervals."""
    state = await stage.state()
    for job_id in state.locks:
        await stage.redis.delete(stage.direct.keys.lock(job_id))
    async with stage.by_hand() as worker:
        for _ in range(2):
            await stage.redis.delete(stage.direct.keys.stalled_check)
            await worker.check_stalled()
