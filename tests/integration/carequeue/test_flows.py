"""Flows: parents that wait for children in other queues; how they are added, read, changed, and kept in one slot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.flow_support import report, write

from carequeue import (
    ChildState,
    FlowNode,
    FlowProducer,
    InvalidOption,
    Job,
    JobContext,
    JobKind,
    JobNotFound,
    JobOptions,
    JobState,
    ParentNotFound,
    ParentRef,
    PayloadError,
    Queue,
    ThreadJobContext,
    Worker,
    WrongState,
)
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from collections.abc import Callable

    NewWorker = Callable[..., Worker]

pytestmark = pytest.mark.redis


@dataclass(frozen=True, slots=True)
class Page:
    number: int


PAGE = JobKind("page", Page, attempts=2)


# Adding


async def test_a_parent_runs_after_its_children_and_reads_their_values(
    flows: FlowProducer, queue: Queue, pages: Queue, new_worker: NewWorker, redis_url: str
) -> None:
    children = [FlowNode(PAGE, Page(number), queue=pages.name) for number in (1, 2, 3)]
    flow = await flows.add(FlowNode("report", {"title": "x"}, queue=queue.name, children=children))
    assert [one.job.name for one in flow] == ["report", "page", "page", "page"]
    assert [child.job.parent for child in flow.children] == [flow.ref] * 3
    assert flow.children[0].job.data == Page(1)
    assert flow.children[0].job.attempts_allowed == 2
    assert await queue.state(flow.job.id) == JobState.WAITING_CHILDREN

    async def assemble(job: Job[Any], context: JobContext) -> str:
        return " ".join(sorted((await context.children.values()).values()))

    completed = Signal("completed")
    worker = new_worker(assemble)
    worker.on_completed(completed)
    async with worker:
        await write_typed(pages, redis_url)
        ((job, value),) = await completed.wait()
    assert (job.id, value) == (flow.job.id, "page 1 page 2 page 3")


async def write_typed(pages: Queue, redis_url: str) -> None:
    worker = Worker(pages.name, redis_url)

    @worker.handles(PAGE)
    async def page(job: Job[Page]) -> str:
        return f"page {job.data.number}"

    await drain(worker)


async def test_a_plain_function_reads_the_values_too(
    flows: FlowProducer, queue: Queue, pages: Queue, redis_url: str
) -> None:
    await flows.add(report(queue, pages, None, None))
    await write(pages, redis_url)

    def assemble(job: Job[Any], context: ThreadJobContext) -> list[str]:
        return sorted(context.children_values().values())

    await drain(Worker(queue.name, redis_url, assemble))
    job = await queue.get("report")
    assert job is not None
    assert job.return_value == ["text 1", "text 2"]


async def test_a_flow_is_added_as_a_whole_or_not_at_all(flows: FlowProducer, queue: Queue, pages: Queue) -> None:
    await flows.add(FlowNode("other", queue=queue.name, children=[FlowNode("page", queue=pages.name, job_id="page-2")]))
    before = await queue.counts(), await pages.counts()

    with pytest.raises(WrongState, match="page-2"):
        await flows.add(report(queue, pages, None, None))
    with pytest.raises(ParentNotFound):
        await flows.add(report(queue, pages, None, parent=queue.parent_ref("gone")))
    assert (await queue.counts(), await pages.counts()) == before


async def test_many_flows_are_added_in_their_order(flows: FlowProducer, queue: Queue, pages: Queue) -> None:
    added = await flows.add_bulk(
        FlowNode("report", n, queue=queue.name, children=[FlowNode("page", n, queue=pages.name)] * 2)
        for n in range(600)
    )
    assert [flow.job.data for flow in added] == list(range(600))
    assert (await queue.counts()).waiting_children == 600
    assert (await pages.counts()).waiting == 1200
    assert await flows.add_bulk([]) == []


async def test_defaults_of_a_queue_hold_for_its_jobs(redis_url: str, queue: Queue, pages: Queue) -> None:
    async with FlowProducer(redis_url, defaults={pages.name: JobOptions(attempts=7, priority=3)}) as flows:
        flow = await flows.add(report(queue, pages, None))
    assert (flow.job.attempts_allowed, flow.children[0].job.attempts_allowed) == (0, 7)
    assert (await pages.counts()).prioritized == 1


@pytest.mark.parametrize(
    "node",
    [
        FlowNode("report", queue="r", children=[FlowNode("page", queue="p", parent=ParentRef("x", "bull:q"))]),
        FlowNode("report", queue="r", children=[FlowNode("page", queue="p", job_id="a:b:c")]),
        FlowNode("report", queue="r", children=[FlowNode("page", queue="p", job_id="a")] * 2),
        FlowNode("report", queue="r", children=[FlowNode("page", queue="a:b")]),
    ],
)
async def test_what_cannot_be_a_flow_is_refused(flows: FlowProducer, node: FlowNode) -> None:
    with pytest.raises(InvalidOption):
        await flows.add(node)


async def test_data_of_the_wrong_kind_is_refused(flows: FlowProducer, queue: Queue) -> None:
    wrong: Any = {"number": "three"}
    with pytest.raises(PayloadError):
        await flows.add(FlowNode(PAGE, wrong, queue=queue.name))
    assert (await queue.counts()).waiting == 0


# Looking and changing


async def test_children_are_read_page_by_page(flows: FlowProducer, queue: Queue, pages: Queue, redis_url: str) -> None:
    nodes = [FlowNode("page", {"number": n}, queue=pages.name) for n in range(700)]
    flow = await flows.add(FlowNode("report", queue=queue.name, children=nodes))
    children = queue.children(flow.job.id)
    assert len({child.id async for child in children.iterate(page=50)}) == 700
    await write(pages, redis_url, concurrency=50)
    read = [child async for child in children.iterate(page=50)]
    assert {child.state for child in read} == {ChildState.PROCESSED}
    assert sorted(child.value for child in read) == sorted(f"text {n}" for n in range(700))
    assert (await children.counts()).processed == 700
    assert (await children.counts()).total == 700


async def test_a_flow_is_read_as_deep_and_as_wide_as_asked(flows: FlowProducer, queue: Queue, pages: Queue) -> None:
    chapters = [
        FlowNode("chapter", queue=queue.name, children=[FlowNode("page", queue=pages.name) for _ in range(5)])
        for _ in range(3)
    ]
    added = await flows.add(FlowNode("book", {"title": "x"}, queue=queue.name, children=chapters))

    def shape(flow: Any) -> Any:
        return {flow.job.id: sorted((shape(child) for child in flow.children), key=str)}

    whole = await flows.get(added.job.id, queue=queue.name)
    assert whole is not None
    assert shape(whole) == shape(added)
    assert (whole.job.name, whole.job.data, whole.ref) == ("book", {"title": "x"}, added.ref)
    assert {child.job.queue for one in whole.children for child in one.children} == {pages.name}
    narrow = await flows.get(added.job.id, queue=queue.name, depth=2, max_children=2)
    assert narrow is not None
    assert [len(narrow.children), *(len(child.children) for child in narrow.children)] == [2, 0, 0]
    assert await flows.get("gone", queue=queue.name) is None
    with pytest.raises(InvalidOption):
        await flows.get(added.job.id, queue=queue.name, depth=0)


async def test_a_removed_child_is_left_out_of_what_is_read(
    flows: FlowProducer, queue: Queue, pages: Queue, redis_url: str
) -> None:
    await flows.add(report(queue, pages, None, None))
    await write(pages, redis_url)
    await pages.remove("page-1")
    flow = await flows.get("report", queue=queue.name)
    assert flow is not None
    assert [child.job.id for child in flow.children] == ["page-2"]


async def test_a_child_leaves_its_parent(flows: FlowProducer, queue: Queue, pages: Queue) -> None:
    await flows.add(report(queue, pages, None))
    assert await pages.remove_child_dependency("page-1")
    assert not await pages.remove_child_dependency("page-1")
    child = await pages.get("page-1")
    assert child is not None
    assert (child.parent, await pages.state("page-1")) == (None, JobState.WAITING)
    assert await queue.state("report") == JobState.WAITING
    with pytest.raises(JobNotFound):
        await pages.remove_child_dependency("gone")


async def test_unprocessed_children_go_and_what_is_held_stays(
    flows: FlowProducer, queue: Queue, pages: Queue, redis_url: str
) -> None:
    held, let_go = Signal("held"), Signal("let go")

    async def hold(job: Job[Any]) -> None:
        held(job)
        await let_go.wait()

    await flows.add(report(queue, pages, None, None, None))
    async with Worker(pages.name, redis_url, hold):
        await held.wait()
        assert await queue.children("report").remove_unprocessed() == 2
        assert (await queue.children("report").counts()).pending == 1
        assert (await pages.counts()).waiting == 0
        let_go()
    assert await queue.state("report") == JobState.WAITING
    with pytest.raises(JobNotFound):
        await queue.children("gone").remove_unprocessed()


async def test_a_delayed_parent_waits_on_after_its_children(
    flows: FlowProducer, queue: Queue, pages: Queue, redis_url: str
) -> None:
    await flows.add(report(queue, pages, None, delay=timedelta(hours=1)))
    await write(pages, redis_url)
    assert await queue.state("report") == JobState.DELAYED


# Cluster


async def test_in_a_cluster_a_flow_without_a_common_tag_is_refused_before_anything_is_written(
    own_cluster: str,
) -> None:
    async with FlowProducer(own_cluster) as flows:
        for reports, pages, message in (
            ("reports", "pages", r"the prefix as '\{bull\}'"),
            ("{a}reports", "{b}pages", r"a common \{hash tag\}"),
        ):
            with pytest.raises(InvalidOption, match=message):
                await flows.add(FlowNode("report", queue=reports, children=[FlowNode("page", queue=pages)]))
        assert await flows.client.dbsize() == 0


@pytest.mark.parametrize(("prefix", "names"), [("{care}", ("reports", "pages")), ("bull", ("{care}-r", "{care}-p"))])
async def test_in_a_cluster_a_tagged_flow_runs(own_cluster: str, prefix: str, names: tuple[str, str]) -> None:
    parent, child = names
    async with FlowProducer(own_cluster, prefix=prefix) as flows:
        added = await flows.add_bulk(
            FlowNode("report", queue=parent, children=[FlowNode("page", queue=child)]) for _ in range(3)
        )
        await drain(Worker(child, own_cluster, lambda job: 1, prefix=prefix))
        await drain(Worker(parent, own_cluster, lambda job: 2, prefix=prefix))
        async with Queue(parent, own_cluster, prefix=prefix) as queue:
            assert (await queue.counts()).completed == 3
        whole = await flows.get(added[0].job.id, queue=parent)
        assert whole is not None
        assert [one.job.return_value for one in whole] == [2, 1]
