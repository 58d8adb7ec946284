"""`searchJobs`: page after page through a state, whatever becomes of other jobs between two pages."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.asyncio import Redis

    from carequeue.store.administration import WireState
    from carequeue.store.reading import Reading
    from carequeue.wire.keys import QueueKeys

pytestmark = pytest.mark.redis

LISTS: list[WireState] = ["wait", "paused", "active"]
SETS: list[WireState] = ["prioritized", "delayed", "completed", "failed", "waiting-children", "groups:waiting"]


@pytest.fixture
def put(redis: Redis, keys: QueueKeys) -> Callable[..., Awaitable[None]]:
    """Puts jobs into a state: into a list as producers do, on its left; into a set with a score."""

    async def put(state: str, *ids: str, score: float = 0) -> None:
        for job_id in ids:
            await redis.hset(keys.job(job_id), mapping={"name": "paint", "timestamp": "1"})  # type: ignore[misc]
            if state in LISTS:
                await redis.lpush(f"{keys.base}:{state}", job_id)  # type: ignore[misc]
            else:
                await redis.zadd(f"{keys.base}:{state}", {job_id: score})

    return put


async def through(reading: Reading, state: WireState, size: int, *between: Any) -> list[str]:
    """The ids of all pages; after each page the next of `between` happens."""
    found: list[str] = []
    place: Sequence[str] = []
    happenings = iter(between)
    while True:
        jobs, place = await reading.search(state, size, place)
        found += [job_id for job_id, _ in jobs]
        if not place:
            return found
        happening = next(happenings, None)
        if happening is not None:
            await happening()


@pytest.mark.parametrize("state", LISTS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 10, 11])
async def test_a_list_is_read_from_its_newest(reading: Reading, put: Any, state: WireState, size: int) -> None:
    await put(state, *(f"j{n}" for n in range(10)))
    assert await through(reading, state, size) == [f"j{n}" for n in range(9, -1, -1)]


@pytest.mark.parametrize("state", SETS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 10, 11])
async def test_a_set_is_read_from_its_first(reading: Reading, put: Any, state: WireState, size: int) -> None:
    for n in range(10):
        await put(state, f"j{n}", score=n // 4)
    assert await through(reading, state, size) == [f"j{n}" for n in range(10)]


async def test_what_is_empty_has_no_page(reading: Reading, keys: QueueKeys) -> None:
    assert await reading.search("wait", 5, []) == ([], [])
    assert await reading.search("failed", 5, []) == ([], [])


async def test_workers_may_take_while_a_list_is_read(reading: Reading, put: Any, redis: Redis, keys: QueueKeys) -> None:
    await put("wait", *(f"j{n}" for n in range(10)))

    async def take() -> None:
        await redis.rpop(keys.wait, 2)  # type: ignore[misc]

    assert await through(reading, "wait", 3, take, take) == [f"j{n}" for n in range(9, 3, -1)]


async def test_others_may_add_and_take_and_remove_while_a_list_is_read(
    reading: Reading, put: Any, redis: Redis, keys: QueueKeys
) -> None:
    await put("wait", *(f"j{n}" for n in range(10)))

    async def happen() -> None:
        await put("wait", "new1", "new2")
        await redis.rpop(keys.wait)  # type: ignore[misc]
        await redis.lrem(keys.wait, 0, "j7")  # the last one of the page

    assert {f"j{n}" for n in range(1, 10)} <= set(await through(reading, "wait", 3, happen))


async def test_a_job_of_the_page_that_was_put_to_the_old_end_hides_nobody(
    reading: Reading, put: Any, redis: Redis, keys: QueueKeys
) -> None:
    await put("wait", *(f"j{n}" for n in range(10)))

    async def move() -> None:
        await redis.lrem(keys.wait, 0, "j7")
        await redis.rpush(keys.wait, "j7")  # type: ignore[misc]

    assert {f"j{n}" for n in range(10)} <= set(await through(reading, "wait", 3, move))


async def test_finished_jobs_go_from_anywhere_while_the_active_ones_are_read(
    reading: Reading, put: Any, redis: Redis, keys: QueueKeys
) -> None:
    await put("active", *(f"j{n}" for n in range(10)))

    async def finish() -> None:
        for n in (9, 8, 7, 2):
            await redis.lrem(keys.active, 0, f"j{n}")
        await put("active", "new1", "new2", "new3", "new4", "new5")

    assert {f"j{n}" for n in (6, 5, 4, 3, 1, 0)} <= set(await through(reading, "active", 3, finish))


async def test_a_set_goes_on_after_a_job_that_is_gone(
    reading: Reading, put: Any, redis: Redis, keys: QueueKeys
) -> None:
    await put("failed", *"abcdefgh", score=5)  # all in one millisecond: their ids rank them

    async def go() -> None:
        await redis.zrem(keys.failed, "a", "c")

    assert await through(reading, "failed", 3, go) == [*"abcdefgh"]


@pytest.mark.parametrize("seed", range(6))
async def test_what_stays_is_never_missed(reading: Reading, put: Any, redis: Redis, keys: QueueKeys, seed: int) -> None:
    """Random takes, adds and removals between the pages: whatever is there all the while is on a page."""
    rng = random.Random(seed)  # noqa: S311 - which job goes is no secret
    for state, key in (("wait", keys.wait), ("failed", keys.failed)):
        for n in range(60):
            await put(state, f"{state}{n:02}", score=n // 7)
        stayed = {f"{state}{n:02}" for n in range(60)}

        async def happen(state: str = state, key: str = key, stayed: set[str] = stayed) -> None:
            await put(state, *(f"new{rng.random()}" for _ in range(rng.randrange(4))), score=rng.randrange(12))
            if state == "wait":
                gone = set(await redis.rpop(key, rng.randrange(1, 4)) or ())  # type: ignore[misc]
                gone |= {f"{state}{rng.randrange(60):02}"}
                for job_id in gone:
                    await redis.lrem(key, 0, job_id)
                await put(state, *gone)  # as what has failed comes back
            else:
                gone = {f"{state}{rng.randrange(60):02}" for _ in range(5)}
                await redis.zrem(key, *gone)
            stayed.difference_update(gone)

        found = await through(reading, state, 5, *[happen] * 8)
        assert stayed <= set(found), f"missed: {stayed - set(found)}"
        assert stayed


async def test_ids_rank_by_their_bytes(reading: Reading, put: Any, redis: Redis, keys: QueueKeys) -> None:
    ids = ["B", "a", "a b", "ab", "z", "ä", "é", "☃"]  # as Redis has them; a language would have others
    await put("completed", *ids, score=7)

    async def go() -> None:
        await redis.zrem(keys.completed, *ids[:5])

    assert await through(reading, "completed", 5, go) == ids
