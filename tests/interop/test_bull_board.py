"""Bull Board lists and draws a queue of ours, and its buttons work on it."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from carequeue import Unrecoverable, Worker
from carequeue.testing import drain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from carequeue import Job, Queue

pytestmark = [pytest.mark.node, pytest.mark.redis]

BOARD = Path(__file__).resolve().parent / "node" / "board.mjs"


@asynccontextmanager
async def board(node_program: Path, redis_url: str, queue: Queue) -> AsyncIterator[Board]:
    process = await asyncio.create_subprocess_exec(
        str(node_program), str(BOARD), urlsplit(redis_url).netloc.rpartition("@")[2], queue.name,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    async with asyncio.timeout(30):
        port = int(await process.stdout.readline())
    yield Board(f"http://127.0.0.1:{port}/board", queue.name)
    process.stdin.close()
    await process.wait()


class Board:
    """The pages' own interface."""

    def __init__(self, url: str, queue: str) -> None:
        self._url = url
        self._queue = queue

    async def page(self) -> str:
        return (await asyncio.to_thread(self._fetch, "/", "GET")).decode()

    async def shown(self, state: str) -> dict[str, Any]:
        """The queue as it is drawn, with the jobs of one state."""
        path = f"/api/queues?activeQueue={self._queue}&status={state}&page=1&jobsPerPage=10"
        [queue] = json.loads(await asyncio.to_thread(self._fetch, path, "GET"))["queues"]
        return queue  # type: ignore[no-any-return]

    async def press(self, job_id: str, button: str) -> None:
        await asyncio.to_thread(self._fetch, f"/api/queues/{self._queue}/{job_id}/{button}", "PUT")

    def _fetch(self, path: str, method: str) -> bytes:
        request = urllib.request.Request(self._url + path, method=method)  # noqa: S310 - our own board
        with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310
            return reply.read()  # type: ignore[no-any-return]


async def paint(job: Job[Any]) -> dict[str, int]:
    if job.data.get("colour") == "none":
        raise Unrecoverable("no paint")
    return {"layers": 2}


async def test_the_board_shows_our_jobs_and_its_buttons_work(node_program: Path, redis_url: str, queue: Queue) -> None:
    done = await queue.add("paint", {"colour": "red"})
    failed = await queue.add("paint", {"colour": "none"})
    await drain(Worker(queue.name, redis_url, paint))
    later = await queue.add("paint", {"colour": "blue"}, delay=timedelta(hours=1))
    first = await queue.add("paint", {"colour": "green"}, priority=3)
    async with board(node_program, redis_url, queue) as shown:
        assert "<html" in await shown.page()

        counts = (await shown.shown("completed"))["counts"]
        assert {state: counts[state] for state in ("completed", "failed", "delayed", "prioritized", "active")} == {
            "completed": 1, "failed": 1, "delayed": 1, "prioritized": 1, "active": 0,
        }  # fmt: skip
        [job] = (await shown.shown("completed"))["jobs"]
        assert (job["id"], job["name"], job["data"], job["returnValue"]) == (
            done.id, "paint", {"colour": "red"}, {"layers": 2},
        )  # fmt: skip
        [job] = (await shown.shown("failed"))["jobs"]
        assert (job["id"], job["failedReason"]) == (failed.id, "no paint")
        assert "Unrecoverable" in "".join(job["stacktrace"])
        assert [job["id"] for job in (await shown.shown("delayed"))["jobs"]] == [later.id]
        assert [job["id"] for job in (await shown.shown("prioritized"))["jobs"]] == [first.id]

        await shown.press(later.id, "promote")
        await shown.press(failed.id, "retry")
        assert await queue.state(later.id) == "waiting"
        assert await queue.state(failed.id) == "waiting"


async def test_the_board_draws_a_queue_with_groups(node_program: Path, redis_url: str, queue: Queue) -> None:
    for colour in ("red", "none"):
        await queue.add("paint", {"colour": colour}, group="tenant 7")
    await drain(Worker(queue.name, redis_url, paint))
    await queue.add("paint", {"colour": "green"}, job_id="waits", group="tenant 7")
    await queue.add("paint", {"colour": "blue"}, job_id="later", group="tenant 7", delay=timedelta(hours=1))
    plain = await queue.add("paint", {"colour": "red"})
    async with board(node_program, redis_url, queue) as shown:
        counts = (await shown.shown("latest"))["counts"]
        assert {state: count for state, count in counts.items() if count} == {
            "completed": 1, "failed": 1, "delayed": 1, "waiting": 1,
        }  # fmt: skip
        assert [job["id"] for job in (await shown.shown("waiting"))["jobs"]] == [plain.id]
        [failed] = (await shown.shown("failed"))["jobs"]
        assert failed["opts"]["group"] == {"id": "tenant 7"}
        # its buttons know no groups: what they let run waits before those
        await shown.press("later", "promote")
        await shown.press(failed["id"], "retry")
        assert [job.id for job in await queue.jobs("waiting", ascending=True)] == [
            plain.id,
            "later",
            failed["id"],
            "waits",
        ]
    await drain(Worker(queue.name, redis_url, paint))
    assert (await queue.counts()).waiting == 0
