"""What only looks: the repetition answers what it would have answered."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.integration.carequeue.faults.stage import MINUTE, SCENARIOS

from carequeue import FlowNode, FlowProducer, NewJob, Queue, Repeat, Worker
from carequeue.testing import drain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.carequeue.faults.stage import Stage

EVERY_STATE = ("waiting", "active", "prioritized", "delayed", "completed", "failed", "waiting-children")


async def all_of(found: Any) -> list[Any]:
    return [each async for each in found]


async def of_the_flow(queue: Queue) -> Any:
    async with FlowProducer(queue.client) as flows:
        found = await flows.get("parent", queue=queue.name)
    return found and (found.job.id, [child.job.id for child in found.children])


LOOKS: dict[str, Callable[[Queue], Awaitable[Any]]] = {
    "existing": lambda queue: queue.exists(["parent", "nobody"]),
    "getChildren": lambda queue: all_of(queue.children("parent").iterate()),
    "getCounts": lambda queue: queue.counts(),
    "getCountsPerPriority": lambda queue: queue.counts_per_priority([1, 2]),
    "getFailures": lambda queue: queue.error_groups(),
    "getFamilies": of_the_flow,
    "getGroup": lambda queue: queue.get_group("g"),
    "getGroupJobs": lambda queue: ids_of(queue.group_jobs("g")),
    "getGroups": lambda queue: all_of(queue.groups()),
    "getJobs": lambda queue: ids_of(queue.jobs(EVERY_STATE)),
    "getLimits": lambda queue: queue.global_concurrency(),
    "getMetrics": lambda queue: queue.metrics("completed"),
    "getScheduler": lambda queue: queue.get_scheduler("s"),
    "getSchedulers": lambda queue: queue.schedulers(),
    "searchJobs": lambda queue: ids_of(all_of(queue.find(EVERY_STATE))),
    "getState": lambda queue: queue.state("parent"),
    "getStates": lambda queue: queue.states(["parent", "child"]),
}


async def ids_of(looking: Awaitable[list[Any]]) -> list[str]:
    return [job.id for job in await looking]


async def furnish(stage: Stage) -> None:
    """Something of everything."""
    queue = stage.direct
    await stage.fail_one()
    await queue.add("job")
    await drain(Worker(queue.name, queue.client, lambda job: "done", max_data_points=10))
    await queue.add_bulk([NewJob("job", 1), NewJob("job", 2)])
    await queue.add("job", priority=1)
    await queue.add("job", delay=timedelta(hours=1))
    await queue.add("job", group="g")
    await queue.set_global_concurrency(7)
    await queue.schedule("s", Repeat.every(60 * MINUTE), "job")
    async with FlowProducer(queue.client) as flows:
        child = FlowNode("child", job_id="child", queue=queue.name)
        await flows.add(FlowNode("parent", job_id="parent", queue=queue.name, children=[child]))


def looking(look: Callable[[Queue], Awaitable[Any]]) -> Callable[[Stage], Awaitable[None]]:
    async def scenario(stage: Stage) -> None:
        await furnish(stage)
        expected = await look(stage.direct)
        assert expected
        assert await stage.lose(lambda: look(stage.queue)) == expected

    return scenario


for command, look in LOOKS.items():
    assert command not in SCENARIOS
    SCENARIOS[command] = looking(look)
