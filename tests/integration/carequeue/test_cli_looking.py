"""`carequeue counts` and `jobs`, which go through queues at work; what `doctor` knows of workers; orphans."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.integration.carequeue.cli_support import Tool

from carequeue import NewJob, Queue, RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from carequeue import Worker

pytestmark = pytest.mark.redis


@pytest.fixture
def tool(redis_url: str, queue_name: str, capsys: pytest.CaptureFixture[str]) -> Tool:
    return Tool(redis_url, queue_name, capsys)


class TestCounts:
    async def test_priorities_and_limits(self, queue: Queue, tool: Tool) -> None:
        await queue.add("mail")
        for priority in (2, 5, 5):
            await queue.add("mail", priority=priority)
        await queue.set_global_concurrency(3)
        await queue.set_global_rate_limit(RateLimit(10, timedelta(seconds=1)))

        [found] = await tool.rows("counts", "--priorities", "0,2,4-5")

        assert {
            "queue": queue.name, "waiting": 1, "prioritized": 3, "priority_0": 1, "priority_2": 1, "priority_4": 0,
            "priority_5": 2, "paused": False, "concurrency": 3, "rate_limit": "10 in 1 s",
        }.items() <= found.items()  # fmt: skip

    async def test_several_queues_are_a_table(self, queue: Queue, pages: Queue, tool: Tool) -> None:
        await pages.add("page")

        rows = await tool.rows("counts", pages.name)
        said = await tool("counts", pages.name)

        assert [(row["queue"], row["waiting"]) for row in rows] == [(queue.name, 0), (pages.name, 1)]
        assert [line.split()[0] for line in said.out.splitlines()] == ["QUEUE", queue.name, pages.name]

    async def test_watching_goes_on_until_nobody_reads(self, queue: Queue, redis_url: str) -> None:
        command = [sys.executable, "-m", "carequeue", "counts", queue.name, "--watch", "100ms", "--json"]
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, "CAREQUEUE_URL": redis_url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(30):
            first = json.loads(await process.stdout.readline())
            await queue.add("mail")
            while json.loads(await process.stdout.readline())["waiting"] == 0:
                pass
            process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined] # as `| head` does
            errors, code = await process.stderr.read(), await process.wait()
        assert first["waiting"] == 0
        assert datetime.fromisoformat(first["at"]).tzinfo is not None
        assert (code, errors) == (0, b"")


class TestJobs:
    async def test_those_that_are_looked_for(self, queue: Queue, tool: Tool) -> None:
        await queue.add("mail", {"patient": 7}, job_id="a")
        await queue.add("mail", {"patient": 8}, job_id="b")
        await queue.add("push", {"patient": 7}, job_id="c")

        rows = await tool.rows("jobs", "--where", "data.patient=7", "--where", "id!=c")
        said = await tool("jobs", "--where", "data.patient=7")

        assert [row["id"] for row in rows] == ["a"]
        assert "patient" not in said.out + said.err

    async def test_a_list_goes_on_where_it_ended(self, queue: Queue, tool: Tool) -> None:
        """Jobs are looked for among many others, and no page shows a job again or leaves one out."""
        await queue.add_bulk([NewJob("mail" if number % 7 else "push", {"number": number}) for number in range(700)])
        await queue.add("push", {"number": 1000}, delay=timedelta(hours=1))
        numbers: list[int] = []
        after: list[str] = []
        pages = 0
        while True:
            said = await tool("jobs", "--name", "push", "--limit", "30", "--data", "--json", *after)
            assert said.code == 0
            pages += 1
            assert len(said.rows) <= 30
            numbers += [json.loads(row["data"])["number"] for row in said.rows]
            found = re.search(r"(--after .*)", said.err)
            if found is None:
                break
            after = shlex.split(found[1])
        assert sorted(numbers) == [*range(0, 700, 7), 1000]
        assert pages >= 4

    async def test_a_place_that_is_none_is_refused(self, queue: Queue, tool: Tool) -> None:
        assert (await tool("jobs", "--after", "nonsense")).code == 2


async def test_doctor_tells_which_workers_there_are(
    queue: Queue, new_worker: Callable[..., Worker], tool: Tool
) -> None:
    async with new_worker(print, name="here"):
        found = {row["about"]: row for row in (await tool("doctor", "--json")).rows}
    assert (found["workers"]["verdict"], found["workers"]["found"].split()[0]) == ("ok", "1")
    assert "redis-py" in found["workers"]["found"]


async def test_doctor_without_the_right_to_see_clients_blames_nobody(
    queue: Queue, redis: Redis, redis_url: str, queue_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It used to say that no worker is connected, which it could not know."""
    await queue.add("mail")
    user = f"blind-{queue_name}"
    await redis.execute_command("ACL", "SETUSER", user, "on", ">secret", "~*", "&*", "+@all", "-client|list")
    try:
        blind = Tool(redis_url.replace("redis://", f"redis://{user}:secret@"), queue_name, capsys)
        said = await blind("doctor", "--json")
    finally:
        await redis.execute_command("ACL", "DELUSER", user)
    found = {row["about"]: row for row in said.rows}
    assert found["work"]["verdict"] == "ok"
    assert found["workers"]["verdict"] == "hint"
    assert "CLIENT LIST" in found["workers"]["advice"]
    assert "secret" not in said.out + said.err


async def test_orphans_are_removed(queue: Queue, redis: Redis, tool: Tool) -> None:
    await queue.add("mail", job_id="placed")
    await queue.add("mail", job_id="lost")
    await redis.lrem(f"bull:{queue.name}:wait", 0, "lost")

    refused = await tool("remove-orphans")
    assert refused.code == 2
    assert await tool.rows("remove-orphans", "--yes") == [{"removed": 1}]
    assert await queue.get("lost") is None
    assert await queue.state("placed") == "waiting"
