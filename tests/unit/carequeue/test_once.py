"""`once` over any store: who acts, who is told, and what a crash or a cancellation leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from carequeue import Claim, Superseded, Unrecoverable, once
from carequeue.testing import Signal, make_job


class Table:
    """A store in memory. `noting` holds `done` up."""

    def __init__(self) -> None:
        self.fences: dict[str, int] = {}
        self.results: dict[str, str] = {}
        self.noting = asyncio.Event()
        self.noting.set()
        self.asked = Signal("asked")

    async def claim(self, key: str, fence: int) -> Claim:
        if key in self.results:
            return Claim("finished", self.results[key])
        before = self.fences.get(key)
        if before is not None and before > fence:
            return Claim("superseded")
        self.fences[key] = fence
        return Claim("new" if before is None else "in_doubt")

    async def done(self, key: str, fence: int, result: str) -> bool:
        self.asked()
        await self.noting.wait()
        if self.fences.get(key) != fence:
            return False
        self.results[key] = result
        return True


class Action:
    """Counts how often it is done."""

    def __init__(self, result: Any = "sent", error: Exception | None = None) -> None:
        self.times = 0
        self._result = result
        self._error = error

    async def __call__(self) -> Any:
        self.times += 1
        if self._error is not None:
            raise self._error
        return self._result


async def test_what_is_done_is_not_done_again_and_its_result_comes_back() -> None:
    table, action = Table(), Action({"id": 7})
    assert await once(table, "a", action, fence=1) == {"id": 7}
    assert await once(table, "a", action, fence=2) == {"id": 7}
    assert await once(table, "b", action, fence=2) == {"id": 7}
    assert action.times == 2


async def test_even_an_older_attempt_gets_the_result() -> None:
    table, action = Table(), Action()
    await once(table, "a", action, fence=2)
    assert await once(table, "a", action, fence=1) == "sent"
    assert action.times == 1


async def test_nothing_is_a_result_too() -> None:
    table, action = Table(), Action(None)
    assert [await once(table, "a", action, fence=fence) for fence in (1, 2)] == [None, None]
    assert action.times == 1


async def test_a_result_is_a_json_value_the_first_time_as_well() -> None:
    assert await once(Table(), "a", Action((1, 2)), fence=1) == [1, 2]


async def test_what_broke_off_is_done_again() -> None:
    table, action = Table(), Action()
    with pytest.raises(OSError, match="no answer"):
        await once(table, "a", Action(error=OSError("no answer")), fence=1)
    assert await once(table, "a", action, fence=2) == "sent"
    assert action.times == 1


async def test_what_broke_off_is_looked_at_instead_if_there_is_a_way_to() -> None:
    table, action, look = Table(), Action(), Action("was sent already")
    with pytest.raises(OSError, match="no answer"):
        await once(table, "a", Action(error=OSError("no answer")), fence=1, in_doubt=look)
    assert look.times == 0
    assert await once(table, "a", action, fence=2, in_doubt=look) == "was sent already"
    assert await once(table, "a", action, fence=3, in_doubt=look) == "was sent already"
    assert (action.times, look.times) == (0, 1)


async def test_an_attempt_that_comes_too_late_does_nothing() -> None:
    table, action = Table(), Action()
    with pytest.raises(OSError, match="no answer"):
        await once(table, "a", Action(error=OSError("no answer")), fence=2)
    with pytest.raises(Superseded, match="'a'"):
        await once(table, "a", action, fence=1)
    assert action.times == 0


async def test_of_two_attempts_at_once_the_later_ones_result_counts() -> None:
    table = Table()
    begun, release = Signal("begun"), asyncio.Event()

    async def slow() -> str:
        begun()
        await release.wait()
        return "first"

    first = asyncio.create_task(once(table, "a", slow, fence=1))
    await begun.wait()
    assert await once(table, "a", Action("second"), fence=2) == "second"
    release.set()
    with pytest.raises(Superseded, match="while this one did it"):
        await first
    assert await once(table, "a", Action("third"), fence=3) == "second"


async def test_a_cancellation_waits_until_it_is_noted_what_was_done() -> None:
    table, action = Table(), Action()
    table.noting.clear()
    attempt = asyncio.create_task(once(table, "a", action, fence=1))
    await table.asked.wait()
    attempt.cancel()
    asyncio.get_running_loop().call_later(0.05, table.noting.set)
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert await once(table, "a", action, fence=2) == "sent"
    assert action.times == 1


async def test_what_cannot_be_stored_is_not_done_again_for_that() -> None:
    with pytest.raises(Unrecoverable, match="'a' returned what cannot be stored"):
        await once(Table(), "a", Action({1, 2}), fence=1)


def test_later_attempts_and_later_jobs_have_higher_fences() -> None:
    job = make_job("mail")
    second = job.with_fields({"ats": "2"})
    later = job.with_fields({"timestamp": str(int(job.fields["timestamp"]) + 1)})
    assert 0 < job.fence < second.fence < later.fence
    assert later.fence < 2**53  # exact in JavaScript, in Lua and in any database
