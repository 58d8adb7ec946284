"""What queues and flow producers tell telemetry, against a real server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import Deduplication, FlowNode, FlowProducer, NewJob, Queue, Telemetry
from carequeue.telemetry import EVENTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

pytestmark = pytest.mark.redis


class Heard:
    """Everything that telemetry was told."""

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.telemetry.subscribe(self._note)

    def _note(self, event: str, fields: Mapping[str, Any]) -> None:
        assert set(fields) == set(EVENTS[event]), event
        self.events.append((event, fields))

    def take(self) -> list[tuple[Any, ...]]:
        events, self.events = self.events, []
        return [(event, *(value for name, value in fields.items() if name != "queue")) for event, fields in events]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def told(queue: Queue, redis_url: str, heard: Heard) -> AsyncIterator[Queue]:
    """The queue of the test, with telemetry."""
    async with Queue(queue.name, redis_url, telemetry=heard.telemetry) as told:
        yield told


async def test_each_job_that_is_added_is_told(told: Queue, heard: Heard) -> None:
    first = await told.add("paint", {"private": 1})
    second, third = await told.add_bulk([NewJob("paint", {}), NewJob("clean", {})])
    assert heard.take() == [
        ("job.added", first.id, "paint"),
        ("job.added", second.id, "paint"),
        ("job.added", third.id, "clean"),
    ]
    assert await told.add_bulk([]) == []
    assert heard.take() == []


async def test_a_job_that_was_kept_out_is_told_by_the_one_that_is_there(told: Queue, heard: Heard) -> None:
    first = await told.add("paint", deduplication=Deduplication("door"))
    await told.add("paint", deduplication=Deduplication("door"))
    assert heard.take() == [("job.added", first.id, "paint")] * 2


async def test_what_was_not_added_is_not_told(told: Queue, heard: Heard) -> None:
    with pytest.raises(TypeError):
        await told.add("paint", {1: object()}, no_such_option=True)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="JSON cannot carry"):
        await told.add("paint", object())
    assert heard.take() == []


async def test_changes_are_told(told: Queue, heard: Heard) -> None:
    job = await told.add("paint", delay=timedelta(hours=1))
    heard.take()
    await told.pause()
    await told.resume()
    assert await told.clean(timedelta(0), state="delayed") == [job.id]
    await told.add("paint", job_id="a")
    await told.remove("a")
    await told.remove("a")
    assert heard.take() == [
        ("queue.paused",),
        ("queue.resumed",),
        ("queue.cleaned", "delayed", 1),
        ("job.added", "a", "paint"),
        ("job.removed", "a"),
    ]


async def test_every_job_of_a_flow_is_told_in_its_queue(
    queue: Queue, pages: Queue, redis_url: str, heard: Heard
) -> None:
    tree = FlowNode("report", queue=queue.name, children=[FlowNode("page", queue=pages.name) for _ in range(2)])
    async with FlowProducer(redis_url, telemetry=heard.telemetry) as flows:
        await flows.add(tree)
        await flows.add_bulk([tree])
        assert await flows.add_bulk([]) == []
    names = [(fields["queue"], fields["name"]) for event, fields in heard.events if event == "job.added"]
    assert names == 2 * [(queue.name, "report"), (pages.name, "page"), (pages.name, "page")]
