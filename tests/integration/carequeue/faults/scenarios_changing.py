"""What changes jobs, the queue or its groups from outside: each call is repeated, and has then been done once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.integration.carequeue.faults.stage import MINUTE, scenario

from carequeue import (
    FlowNode,
    FlowProducer,
    JobNotFound,
    JobState,
    NewJob,
    Queue,
    QueueEventsProducer,
    QueueNotPaused,
    Repeat,
    WrongState,
)
from carequeue.options import Deduplication, JobOptions, RateLimit

if TYPE_CHECKING:
    from tests.integration.carequeue.faults.stage import Stage

HOUR = timedelta(hours=1)


# Adding


@scenario("add")
async def adding(stage: Stage) -> None:
    jobs = [NewJob("job", number, JobOptions(job_id=f"j{number}")) for number in range(3)]
    await stage.lose(lambda: stage.queue.add_bulk(jobs))
    counts = await stage.direct.counts()
    assert (counts.waiting, counts.pending) == (3, 3)
    await stage.lose_once(lambda: stage.queue.add("without an id"))
    assert (await stage.direct.counts()).waiting == 3 + stage.fault.ran


@scenario("addFlow")
async def adding_a_flow(stage: Stage) -> None:
    name = stage.direct.name
    children = [FlowNode("child", job_id=f"c{number}", queue=name) for number in range(3)]
    async with FlowProducer(stage.proxied) as flows:
        await stage.lose(lambda: flows.add(FlowNode("parent", job_id="p", queue=name, children=children)))
    assert (await stage.direct.children("p").counts()).pending == 3
    assert await stage.direct.state("p") == JobState.WAITING_CHILDREN


@scenario("upsertScheduler")
async def scheduling(stage: Stage) -> None:
    await stage.lose(lambda: stage.queue.schedule("s", Repeat.every(HOUR), "job"))
    assert len(await stage.direct.schedulers()) == 1
    assert (await stage.state()).schedulers.keys() == {"s"}
    assert len((await stage.state()).jobs) == 1  # one run waits, however often it was scheduled


@scenario("removeScheduler")
async def unscheduling(stage: Stage) -> None:
    await stage.direct.schedule("s", Repeat.every(HOUR), "job")
    assert await stage.lose(lambda: stage.queue.unschedule("s")) is not stage.fault.ran
    assert not (await stage.state()).jobs


# One job


@scenario("removeJob")
async def removing(stage: Stage) -> None:
    job = await stage.direct.add("job")
    assert await stage.lose(lambda: stage.queue.remove(job.id)) is not stage.fault.ran
    assert await stage.direct.state(job.id) is None


@scenario("retryJob")
async def retrying(stage: Stage) -> None:
    failed = await stage.fail_one()
    await stage.lose(lambda: stage.queue.retry(failed), again=WrongState)
    assert await stage.direct.state(failed) == JobState.WAITING


@scenario("retryJobs")
async def retrying_all(stage: Stage) -> None:
    failed = {await stage.fail_one() for _ in range(3)}
    await stage.lose(lambda: stage.queue.retry_all())
    assert set((await stage.direct.states(failed)).values()) == {JobState.WAITING}


@scenario("promoteJob")
async def promoting(stage: Stage) -> None:
    job = await stage.direct.add("job", delay=HOUR)
    await stage.lose(lambda: stage.queue.promote(job.id), again=WrongState)
    assert await stage.direct.state(job.id) == JobState.WAITING


@scenario("promoteJobs")
async def promoting_all(stage: Stage) -> None:
    for _ in range(3):
        await stage.direct.add("job", delay=HOUR)
    await stage.lose(lambda: stage.queue.promote_all())
    assert (await stage.direct.counts()).waiting == 3


@scenario("changeDelay")
async def delaying(stage: Stage) -> None:
    job = await stage.direct.add("job", delay=HOUR)
    await stage.lose(lambda: stage.queue.change_delay(job.id, MINUTE))
    assert await stage.direct.delayed_count(datetime.now(UTC) + 2 * MINUTE) == 1


@scenario("changePriority")
async def prioritizing(stage: Stage) -> None:
    job = await stage.direct.add("job")
    await stage.lose(lambda: stage.queue.change_priority(job.id, 7))
    assert await stage.direct.counts_per_priority([7]) == {7: 1}


@scenario("updateData")
async def correcting(stage: Stage) -> None:
    job = await stage.direct.add("job", {"red": 1})
    await stage.lose(lambda: stage.queue.update_data(job.id, {"red": 2}))
    found = await stage.direct.get(job.id)
    assert found is not None
    assert found.data == {"red": 2}


@scenario("updateProgress")
async def telling_progress(stage: Stage) -> None:
    job = await stage.direct.add("job")
    await stage.lose(lambda: stage.queue.update_progress(job.id, 50))
    found = await stage.direct.get(job.id)
    assert found is not None
    assert found.progress == 50


@scenario("addLog")
async def logging_a_row(stage: Stage) -> None:
    job = await stage.direct.add("job")
    rows = await stage.lose(lambda: stage.queue.log(job.id, "row"))
    assert rows == 1 + stage.fault.ran  # documented: a repetition may add it twice
    assert await stage.direct.logs(job.id) == ["row"] * rows


@scenario("closeWindow")
async def ending_deduplication(stage: Stage) -> None:
    await stage.direct.add("job", deduplication=Deduplication("d"))
    assert await stage.lose(lambda: stage.queue.remove_deduplication("d")) is not stage.fault.ran
    await stage.direct.add("job", deduplication=Deduplication("d"))
    assert (await stage.direct.counts()).waiting == 2


@scenario("leaveParent")
async def leaving_a_parent(stage: Stage) -> None:
    parent, child = await a_family(stage)
    assert await stage.lose(lambda: stage.queue.remove_child_dependency(child)) is not stage.fault.ran
    assert await stage.direct.state(parent) == JobState.WAITING


@scenario("removeUnprocessedChildren")
async def removing_children(stage: Stage) -> None:
    parent, child = await a_family(stage)
    gone = await stage.lose(lambda: stage.queue.children(parent).remove_unprocessed())
    assert gone == 1 - stage.fault.ran
    assert await stage.direct.state(child) is None
    assert await stage.direct.state(parent) == JobState.WAITING


@scenario("replayLetter")
async def replaying(stage: Stage) -> None:
    name = f"{stage.direct.name}-letters"
    failed = await stage.fail_one(dead_letters=name)
    async with Queue(name, stage.direct.client) as letters, Queue(name, stage.proxied) as broken:
        [letter] = [letter async for letter in letters.letters()]
        await stage.lose(lambda: broken.replay(letter.id), again=JobNotFound)
        assert await stage.direct.state(failed) == JobState.WAITING
        assert [letter async for letter in letters.letters()] == []
        await letters.pause()
        await letters.obliterate()


async def a_family(stage: Stage) -> tuple[str, str]:
    """The ids of a parent and its only child, both waiting."""
    name = stage.direct.name
    async with FlowProducer(stage.direct.client) as flows:
        await flows.add(FlowNode("parent", job_id="p", queue=name, children=[FlowNode("c", job_id="c", queue=name)]))
    return "p", "c"


# The queue


@scenario("pause")
async def pausing(stage: Stage) -> None:
    await stage.direct.add("job")
    await stage.lose(lambda: stage.queue.pause())
    assert await stage.direct.is_paused()


@scenario("resume")
async def resuming(stage: Stage) -> None:
    await stage.direct.pause()
    await stage.direct.add("job")
    await stage.lose(lambda: stage.queue.resume())
    assert not await stage.direct.is_paused()


@scenario("drain")
async def draining(stage: Stage) -> None:
    await stage.direct.add_bulk([NewJob("job", number) for number in range(3)])
    await stage.lose(lambda: stage.queue.drain())
    assert not (await stage.state()).jobs


@scenario("removeOrphans")
async def removing_orphans(stage: Stage) -> None:
    job = await stage.direct.add("job")
    await stage.redis.lrem(stage.direct.keys.wait, 0, job.id)  # type: ignore[misc]
    assert await stage.lose(lambda: stage.queue.remove_orphans()) == 1 - stage.fault.ran
    assert not (await stage.state()).jobs


@scenario("clean")
async def cleaning(stage: Stage) -> None:
    await stage.complete_one()
    await stage.lose(lambda: stage.queue.clean(timedelta(0)))
    assert (await stage.direct.counts()).completed == 0


@scenario("obliterate")
async def obliterating(stage: Stage) -> None:
    await stage.direct.add_bulk([NewJob("job", number) for number in range(3)])
    await stage.direct.pause()
    await stage.lose(lambda: stage.queue.obliterate(), again=QueueNotPaused)
    assert not (await stage.state()).jobs


@scenario("publishEvent")
async def publishing(stage: Stage) -> None:
    async with QueueEventsProducer(stage.direct.name, stage.proxied) as producer:
        await stage.lose(lambda: producer.publish("painted", {"colour": "red"}))
    events = [fields for _, fields in await stage.redis.xrange(stage.direct.keys.events)]
    told = [fields for fields in events if fields["event"] == "painted"]
    assert len(told) == 1 + stage.fault.ran  # documented: a repetition may write it twice


@scenario("checkRights")
async def opening(stage: Stage) -> None:
    await stage.direct.add("job")
    await stage.lose(lambda: stage.queue.open())


@scenario("changeLimits")
async def limiting(stage: Stage) -> None:
    await stage.lose(lambda: stage.queue.set_global_concurrency(3))
    assert await stage.direct.global_concurrency() == 3


@scenario("limitQueue")
async def holding_the_queue(stage: Stage) -> None:
    await stage.direct.add("job")
    await stage.lose(lambda: stage.queue.rate_limit(MINUTE))
    assert timedelta(0) < await stage.direct.rate_limit_ttl() <= MINUTE


@scenario("removeLimit")
async def releasing_the_queue(stage: Stage) -> None:
    await stage.direct.rate_limit(MINUTE)
    await stage.direct.add("job")
    assert await stage.lose(lambda: stage.queue.remove_rate_limit()) is not stage.fault.ran
    assert await stage.direct.rate_limit_ttl() == timedelta(0)


# Groups


@scenario("changeGroup")
async def pausing_a_group(stage: Stage) -> None:
    await stage.direct.add("job", group="g")
    await stage.lose(lambda: stage.queue.pause_group("g"))
    assert (await stage.direct.get_group("g")).status == "paused"


@scenario("placeGroups")
async def limiting_all_groups(stage: Stage) -> None:
    await stage.direct.add("job", group="g")
    limit = RateLimit(1, MINUTE)
    await stage.lose(lambda: stage.queue.set_group_defaults(concurrency=2, rate_limit=limit))
    settings = await stage.direct.group_defaults()
    assert (settings.concurrency, settings.rate_limit) == (2, limit)


@scenario("limitGroup")
async def holding_a_group(stage: Stage) -> None:
    await stage.direct.add("job", group="g")
    await stage.lose(lambda: stage.queue.rate_limit_group("g", MINUTE))
    assert (await stage.direct.get_group("g")).status == "limited"


@scenario("removeGroupLimit")
async def releasing_a_group(stage: Stage) -> None:
    await stage.direct.add("job", group="g")
    await stage.direct.rate_limit_group("g", MINUTE)
    assert await stage.lose(lambda: stage.queue.lift_group_rate_limit("g")) is not stage.fault.ran
    assert (await stage.direct.get_group("g")).status == "ready"


@scenario("drainGroup")
async def draining_a_group(stage: Stage) -> None:
    await stage.direct.add("job", group="g")
    await stage.direct.add("job", group="h")
    assert await stage.lose(lambda: stage.queue.drain_group("g")) == 1 - stage.fault.ran
    counts = await stage.direct.counts()
    assert counts.pending == 1
