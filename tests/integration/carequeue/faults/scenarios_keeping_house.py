"""What workers do for a queue beside its jobs: repairs of schedulers, and what is too old to be kept."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.integration.carequeue.faults.scenarios_working import stall
from tests.integration.carequeue.faults.stage import MINUTE, scenario

from carequeue import ManualWorker, Repeat
from carequeue.store.housekeeping import Housekeeping

if TYPE_CHECKING:
    from tests.integration.carequeue.faults.stage import Stage

    from carequeue import SchedulerRepair

HOUR = timedelta(hours=1)


async def repairs(stage: Stage) -> list[SchedulerRepair]:
    return await stage.queue.audit_schedulers()


async def break_scheduler(stage: Stage, lost: str) -> None:
    run = await stage.direct.schedule("s", Repeat.every(HOUR), "job")
    keys = stage.direct.keys
    if lost == "its run":
        await stage.redis.zrem(keys.delayed, run.id)
        await stage.redis.lrem(keys.wait, 0, run.id)  # type: ignore[misc]
        await stage.redis.delete(keys.job(run.id))
    else:
        await stage.redis.delete(keys.scheduler("s"))


@scenario("auditSchedulers")
async def auditing(stage: Stage) -> None:
    await break_scheduler(stage, "its run")
    assert [repair.outcome for repair in await stage.lose(lambda: repairs(stage)) or []] == ["repaired"]
    assert len((await stage.state()).jobs) == 1


@scenario("mendScheduler")
async def mending(stage: Stage) -> None:
    await break_scheduler(stage, "its run")
    again = await stage.lose(lambda: repairs(stage))
    assert len(again or []) == 1 - stage.fault.ran
    assert len((await stage.state()).jobs) == 1  # one run, however often it was mended


@scenario("restoreScheduler")
async def restoring(stage: Stage) -> None:
    await break_scheduler(stage, "its hash")
    again = await stage.lose(lambda: repairs(stage))
    assert len(again or []) == 1 - stage.fault.ran
    assert len(await stage.direct.schedulers()) == 1


@scenario("noteStarted")
async def noting_a_start(stage: Stage) -> None:
    """The next run cannot be made and that cannot be noted either: this run waits again."""

    await break_scheduler_pattern(stage)
    async with ManualWorker(stage.queue.name, stage.proxied, skip_stalled_check=True) as worker:
        await stage.lose_once(worker.next_job)
    await stall(stage)
    [run] = (await stage.state()).of("wait")
    assert run.startswith("repeat:s:")


async def break_scheduler_pattern(stage: Stage) -> None:
    """A scheduler whose pattern nobody can follow, as another client might have made it."""
    await stage.direct.schedule("s", Repeat.every(HOUR), "job")
    await stage.redis.hdel(stage.direct.keys.scheduler("s"), "every")  # type: ignore[misc]
    await stage.redis.hset(stage.direct.keys.scheduler("s"), "pattern", "whenever")  # type: ignore[misc]


@scenario("takeRound")
async def taking_a_round(stage: Stage) -> None:
    """A round whose reply is lost is nobody's; the next one comes an interval later."""
    chores = Housekeeping(stage.queue.client, stage.direct.keys)
    now = time.time_ns() // 1_000_000
    assert await stage.lose(lambda: chores.take_round(now, 60_000)) is not stage.fault.ran
    assert 0 < await stage.redis.pttl(stage.direct.keys.housekeeping) <= MINUTE.total_seconds() * 1000


@scenario("evictAged")
async def evicting(stage: Stage) -> None:
    await stage.complete_one()
    chores = Housekeeping(stage.queue.client, stage.direct.keys)
    later = time.time_ns() // 1_000_000 + 60_000
    gone = await stage.lose(lambda: chores.evict_aged("completed", later, 1000, 10))
    assert gone == 1 - stage.fault.ran
    assert (await stage.direct.counts()).completed == 0
