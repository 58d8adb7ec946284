"""Going through the jobs of a queue while it is at work."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from carequeue import InvalidOption, JobOptions, NewJob
from carequeue.testing import drain

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue import Queue, Worker

pytestmark = pytest.mark.redis

HOUR = timedelta(hours=1)


async def fill(queue: Queue, count: int, prefix: str = "j") -> None:
    await queue.add_bulk(NewJob("paint", {"n": n}, JobOptions(job_id=f"{prefix}{n}")) for n in range(count))


async def test_pages_tell_where_to_go_on(queue: Queue) -> None:
    await fill(queue, 5)
    await queue.add("paint", job_id="later", delay=HOUR)

    first = await queue.search(["waiting", "delayed"], size=3)
    assert first.next is not None
    second = await queue.search(["waiting", "delayed"], size=3, after=first.next)
    assert second.next is not None
    third = await queue.search(["waiting", "delayed"], size=3, after=second.next)

    assert [job.id for job in first.jobs] == ["j4", "j3", "j2"]
    assert [job.id for job in second.jobs] == ["j1", "j0"]
    assert ([job.id for job in third.jobs], third.next) == (["later"], None)


async def test_states_without_jobs_are_passed_over(queue: Queue) -> None:
    await queue.add("paint", job_id="later", delay=HOUR)
    page = await queue.search(["waiting", "active", "failed", "delayed", "completed"])
    assert [job.id for job in page.jobs] == ["later"]
    if page.next is not None:
        rest = await queue.search(["waiting", "active", "failed", "delayed", "completed"], after=page.next)
        assert (rest.jobs, rest.next) == ([], None)


async def test_only_what_is_meant_is_told_and_the_rest_is_looked_at(queue: Queue) -> None:
    await fill(queue, 6)
    await queue.add("dry", {"n": 6}, job_id="dry")

    page = await queue.search("waiting", where=lambda job: job.data["n"] % 3 == 0, size=4)
    assert [job.id for job in page.jobs] == ["dry", "j3"]
    page = await queue.search("waiting", name="paint", where=lambda job: job.data["n"] % 3 == 0, size=100)
    assert [job.id for job in page.jobs] == ["j3", "j0"]


async def test_workers_hide_no_job_that_stays(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    """It was so with places: each job that was taken between two pages hid another one."""
    await fill(queue, 30)
    held = [job.id async for job in queue.iterate("waiting", page=7)]
    assert len(held) == 30

    async def nothing(job: object) -> None:
        pass

    seen: list[str] = []
    async for job in queue.find("completed", page=4):
        seen.append(job.id)
    assert seen == []
    await drain(new_worker(nothing))
    async for job in queue.find("completed", page=4):
        seen.append(job.id)
        if len(seen) % 4 == 1:
            await queue.remove(job.id)  # removing what was found must not hide what comes
    assert sorted(seen) == sorted(held)


async def test_removing_each_job_that_was_found_reaches_all(queue: Queue) -> None:
    await fill(queue, 25)
    async for job in queue.iterate("waiting", page=4):
        await queue.remove(job.id)
    assert (await queue.counts()).waiting == 0


async def test_what_comes_back_while_it_is_read_is_told_once(queue: Queue) -> None:
    await fill(queue, 10)
    seen: list[str] = []
    async for job in queue.iterate("waiting", page=3):
        seen.append(job.id)
        await queue.remove(job.id)
        await queue.add("paint", {}, job_id=job.id)
    assert sorted(seen) == sorted(f"j{n}" for n in range(10))


@pytest.mark.parametrize("after", ["", "x", "5", "[]", "[1]", '{"a":1}', '["failed","5","a"]', '["nowhere"]'])
async def test_a_place_that_is_none_is_said(queue: Queue, after: str) -> None:
    with pytest.raises(InvalidOption, match="`after` is the `next` of a page"):
        await queue.search("waiting", after=after)


@pytest.mark.parametrize("size", [0, 1001])
async def test_a_page_has_a_size_that_one_call_can_read(queue: Queue, size: int) -> None:
    with pytest.raises(InvalidOption, match="a page has between 1 and 1000 jobs"):
        await queue.search("waiting", size=size)
