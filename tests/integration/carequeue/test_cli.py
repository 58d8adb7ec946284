"""`python -m carequeue`, on a real server: what it prints, what it changes, and what it answers when asked wrongly."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.cli_support import Tool, run_main

from carequeue import FlowNode, JobOptions, NewJob, Queue, Repeat

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from carequeue import FlowProducer, Worker

pytestmark = pytest.mark.redis

DRUG = "Warfarin 5 mg"


@pytest.fixture
def tool(redis_url: str, queue_name: str, capsys: pytest.CaptureFixture[str]) -> Tool:
    return Tool(redis_url, queue_name, capsys)


def fails(_: object) -> None:
    raise ValueError(f"no answer about {DRUG}")


async def failed(queue: Queue, new_worker: Callable[..., Worker], count: int) -> None:
    """Let so many jobs of the queue fail."""
    await queue.add_bulk([NewJob("mail", {"drug": DRUG}, JobOptions(attempts=1))] * count)
    async with new_worker(fails) as worker:
        await worker.wait_until_idle()


class TestLooking:
    async def test_counts(self, queue: Queue, tool: Tool) -> None:
        await queue.add("mail")
        await queue.add("mail", delay=timedelta(hours=1))
        await queue.pause()

        [found] = await tool.rows("counts")

        assert {"waiting": 1, "delayed": 1, "failed": 0, "paused": True}.items() <= found.items()

    async def test_queues_of_a_prefix(self, queue: Queue, redis_url: str, tool: Tool) -> None:
        prefix = f"odd[{queue.name}]*"  # what a pattern would mean otherwise
        await queue.add("mail")
        async with Queue("other", redis_url, prefix=prefix) as other:
            await other.add("mail")
            [found] = await tool.rows("queues", "--prefix", prefix, queue=False)
            usual = await tool.rows("queues", queue=False)
            await other.pause()
            await other.obliterate()
        assert (found["queue"], found["waiting"]) == ("other", 1)
        names = [row["queue"] for row in usual]
        assert queue.name in names
        assert "other" not in names

    async def test_jobs_of_a_state_and_a_name(self, queue: Queue, tool: Tool) -> None:
        await queue.add("mail", job_id="a")
        await queue.add("push", job_id="b")
        due = await queue.add("mail", job_id="c", delay=timedelta(hours=1))

        assert sorted(row["id"] for row in await tool.rows("jobs")) == ["a", "b", "c"]
        assert [row["id"] for row in await tool.rows("jobs", "--name", "push")] == ["b"]
        [delayed] = await tool.rows("jobs", "--state", "delayed")
        assert due.added_at is not None
        assert datetime.fromisoformat(delayed["due_at"]) == due.added_at + timedelta(hours=1)
        said = await tool("jobs", "--limit", "2")
        assert len(said.out.splitlines()) == 3
        assert "may be more" in said.err

    async def test_what_jobs_carry_is_shown_only_if_asked(
        self, queue: Queue, new_worker: Callable[..., Worker], tool: Tool
    ) -> None:
        await failed(queue, new_worker, 1)
        [job] = await queue.jobs("failed")
        for command in (
            ["jobs"], ["job", job.id], ["errors"], ["flow", job.id], ["jobs", "--json"], ["job", job.id, "--json"],
        ):  # fmt: skip
            said = await tool(*command)
            assert said.code == 0
            assert DRUG not in said.out + said.err, command
        for command in (["jobs", "--data"], ["job", job.id, "--data"]):
            assert DRUG in (await tool(*command)).out

    async def test_one_job(self, queue: Queue, tool: Tool) -> None:
        await queue.add("mail", job_id="a", priority=3, attempts=5)
        await queue.log("a", "first row")

        [found] = await tool.rows("job", "a", "--data")

        assert {"id": "a", "state": "prioritized", "priority": 3, "attempts": "0/5"}.items() <= found.items()
        assert found["log"] == "first row"
        assert "first row" in (await tool("job", "a", "--data")).out
        missing = await tool("job", "b")
        assert (missing.code, missing.out) == (1, "")
        assert "b" in missing.err

    async def test_a_flow_is_a_tree(self, queue: Queue, flows: FlowProducer, tool: Tool) -> None:
        child = FlowNode("page", None, queue=queue.name, job_id="page")
        await flows.add(FlowNode("report", None, queue=queue.name, job_id="report", children=[child]))

        said = await tool("flow", "report")

        assert said.out.splitlines() == [
            f"report {queue.name}/report waiting-children",
            f"  page {queue.name}/page waiting",
        ]

    async def test_errors_and_what_repeats(self, queue: Queue, new_worker: Callable[..., Worker], tool: Tool) -> None:
        await failed(queue, new_worker, 3)
        await queue.schedule("morning", Repeat.cron("0 8 * * *", zone="Europe/Berlin"), "mail")

        [group] = await tool.rows("errors")
        [scheduler] = await tool.rows("schedulers")

        assert (group["count"], group["error"]) == (3, "ValueError")
        assert (scheduler["id"], scheduler["repeat"], scheduler["zone"]) == ("morning", "0 8 * * *", "Europe/Berlin")
        assert datetime.fromisoformat(scheduler["next_run"]) > datetime.now(UTC)

    async def test_workers_and_groups(self, queue: Queue, new_worker: Callable[..., Worker], tool: Tool) -> None:
        async with new_worker(print, name="here"):
            assert [row["name"] for row in await tool.rows("workers")] == ["here"]
        await queue.pause()
        await queue.add("mail", group="tenant")
        assert await tool.rows("groups") == [{"id": "tenant", "waiting": 1, "active": 0, "status": "ready"}]

    async def test_events_until_the_reader_goes(self, queue: Queue, redis_url: str) -> None:
        await queue.add("mail", job_id="a")
        command = [sys.executable, "-m", "carequeue", "events", queue.name, "--since", "0", "--name", "waiting"]
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, "CAREQUEUE_URL": redis_url},
            stdout=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test's process may ignore Ctrl-C
        )
        assert process.stdout is not None
        async with asyncio.timeout(20):
            line = await process.stdout.readline()
            process.send_signal(signal.SIGINT)
            code = await process.wait()
        assert line.split()[2:] == [b"waiting", b"a"]
        assert code == 130

    async def test_a_reader_that_has_seen_enough_is_no_failure(self, queue: Queue, redis_url: str) -> None:
        await queue.add_bulk([NewJob("mail", None)] * 3000)
        shell = (
            f"{sys.executable} -m carequeue jobs {queue.name} --limit 3000 --json | head -1; echo ${{PIPESTATUS[0]}}"
        )
        done = await asyncio.to_thread(
            subprocess.run, ["bash", "-c", shell], env={**os.environ, "REDIS_URL": redis_url},
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        first, code = done.stdout.splitlines()
        assert json.loads(first)["name"] == "mail"
        assert code == "0"
        assert "Traceback" not in done.stderr

    async def test_metrics(self, queue: Queue, new_worker: Callable[..., Worker], tool: Tool) -> None:
        await queue.add("mail")
        async with new_worker(lambda _: None, max_data_points=10) as worker:
            await worker.wait_until_idle()
        assert (await tool.rows("metrics"))[0]["completed"] == 1
        said = await tool("metrics", "--prometheus")
        assert f'bullmq_job_completed_total{{queue="{queue.name}"}} 1' in said.out


class TestChanging:
    async def test_add(self, queue: Queue, tool: Tool) -> None:
        said = await tool("add", "mail", "--data", '{"to": 7}', "--id", "a", "--delay", "90s", "--attempts", "3")

        job = await queue.get("a")
        assert said.out == "added a\n"
        assert job is not None
        assert (job.data, job.delay, job.attempts_allowed) == ({"to": 7}, timedelta(seconds=90), 3)

    async def test_retry_by_id_by_error_and_all(
        self, queue: Queue, new_worker: Callable[..., Worker], tool: Tool
    ) -> None:
        await failed(queue, new_worker, 4)
        [first, *_] = await queue.jobs("failed", ascending=True)
        [group] = await queue.error_groups()

        assert (await tool("retry", first.id)).out == f"retried {first.id}\n"
        assert await queue.state(first.id) == "waiting"
        assert (await tool.rows("retry", "--error", group.fingerprint, "--limit", "1", "--yes")) == [{"retried": 1}]
        assert (await tool.rows("retry", "--all", "--yes")) == [{"retried": 2}]
        assert (await queue.counts()).waiting == 4

    async def test_one_that_cannot_be_retried_does_not_keep_the_others_from_it(
        self, queue: Queue, new_worker: Callable[..., Worker], tool: Tool
    ) -> None:
        await failed(queue, new_worker, 1)
        [job] = await queue.jobs("failed")

        said = await tool("retry", "nobody", job.id)

        assert (said.code, said.out) == (1, f"retried {job.id}\n")
        assert "nobody" in said.err

    async def test_promote_and_clean_and_drain(self, queue: Queue, tool: Tool) -> None:
        for job_id in "abc":
            await queue.add("mail", job_id=job_id, delay=timedelta(hours=1))
        assert (await tool("promote", "a")).code == 0
        assert await tool.rows("promote", "--all", "--yes") == [{"promoted": 2}]
        assert await tool.rows("clean", "--state", "waiting", "--older-than", "0", "--limit", "1", "--yes") == [
            {"removed": 1}
        ]
        assert (await tool("drain", "--yes")).code == 0
        assert (await queue.counts()).waiting == 0

    async def test_pause_resume_remove_unschedule(self, queue: Queue, tool: Tool) -> None:
        await queue.add("mail", job_id="a")
        await queue.schedule("morning", Repeat.cron("0 8 * * *", zone="Europe/Berlin"), "mail")

        await tool("pause")
        assert await queue.is_paused()
        await tool("resume")
        assert not await queue.is_paused()
        assert (await tool("remove", "a")).code == 0
        assert (await tool("remove", "a")).code == 1
        assert (await tool("unschedule", "morning")).code == 0
        assert await queue.schedulers() == []

    async def test_letters_are_read_and_replayed(
        self, queue: Queue, pages: Queue, new_worker: Callable[..., Worker], redis_url: str, tool: Tool
    ) -> None:
        await queue.add("mail", {"drug": DRUG}, job_id="a", dead_letters=pages.name)
        async with new_worker(fails) as worker:
            await worker.wait_until_idle()
        letters = Tool(redis_url, pages.name, tool.capsys)

        [letter] = await letters.rows("letters")
        assert (letter["queue"], letter["job"]) == (queue.name, "a")
        assert (await letters("replay", letter["id"])).code == 0
        assert await queue.state("a") == "waiting"
        assert await letters.rows("letters") == []

    async def test_obliterate(self, redis_url: str, redis: Redis, queue_name: str, tool: Tool) -> None:
        async with Queue(queue_name, redis_url) as queue:
            await queue.add("mail")
            refused = await tool("obliterate", "--yes")
            assert refused.code == 1
            assert "pause" in refused.err
            await tool("pause")
            assert (await tool("obliterate", "--yes")).code == 0
        assert [key async for key in redis.scan_iter(f"bull:{queue_name}:*")] == []

    @pytest.mark.parametrize(
        "command",
        [
            ["retry", "--all"],
            ["promote", "--all"],
            ["clean", "--older-than", "0"],
            ["drain"],
            ["obliterate"],
            ["replay", "--all"],
            ["remove", "--error", "x"],
        ],
        ids=lambda words: words[0],
    )
    async def test_nothing_is_done_to_many_when_nobody_can_be_asked(
        self, queue: Queue, redis_url: str, command: list[str]
    ) -> None:
        await queue.add("mail", job_id="a", delay=timedelta(hours=1))
        words = [sys.executable, "-m", "carequeue", command[0], queue.name, *command[1:], "--url", redis_url]
        done = await asyncio.to_thread(
            subprocess.run, words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert "--yes" in done.stderr
        assert await queue.state("a") == "delayed"


class TestDoctor:
    async def test_a_fit_server(self, tool: Tool) -> None:
        found = {row["about"]: row["verdict"] for row in await tool.rows("doctor", queue=False)}
        assert found["version"] == found["eviction"] == found["rights"] == found["clock"] == "ok"
        assert "work" not in found

    async def test_a_queue_that_nobody_serves(self, queue: Queue, tool: Tool) -> None:
        await queue.add("mail")
        said = await tool("doctor", "--json")
        found = {row["about"]: row for row in said.rows}
        assert said.code == 1
        assert found["work"]["verdict"] == "problem"
        assert found["work"]["advice"]
        assert found["schedulers"]["verdict"] == "ok"

    async def test_a_server_that_deletes_jobs(self, own_valkey: Any, capsys: pytest.CaptureFixture[str]) -> None:
        subject = Tool(own_valkey.url(), "any", capsys)
        async with Queue("any", own_valkey.url()) as queue:
            await queue.client.config_set("maxmemory-policy", "allkeys-lru")
        said = await subject("doctor")
        assert said.code == 1
        assert "set maxmemory-policy to noeviction" in said.out

    async def test_the_hint_about_memory_keeps_its_promise(
        self, own_valkey: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        subject = Tool(own_valkey.url(), "any", capsys)
        data = {"schedule_id": "0" * 36, "due_at": "2026-01-01T08:00:00+00:00"}
        async with Queue("any", own_valkey.url()) as queue:
            first = await queue.add("due", data, delay=timedelta(hours=1))
            hint = next(row for row in (await subject("doctor", "--json")).rows if row["about"] == "memory of jobs")
            assert hint["verdict"] == "hint"
            words = hint["advice"].split()
            promised = int(words[words.index("about") + 1])
            await queue.client.config_set(words[2], words[3])
            second = await queue.add("due", data, delay=timedelta(hours=1))
            taken = await queue.client.memory_usage(queue.keys.job(second.id))
            assert taken is not None
            assert abs(promised - taken) < taken * 0.2
            await queue.remove(first.id)
            after = next(row for row in (await subject("doctor", "--json")).rows if row["about"] == "memory of jobs")
            assert after["verdict"] == "ok"


class TestAskedWrongly:
    @pytest.mark.parametrize(
        "command",
        [
            ["nonsense"],
            ["jobs", "q", "--state", "nonsense"],
            ["jobs", "q", "--limit", "0"],
            ["clean", "q", "--older-than", "soon"],
            ["clean", "q", "--older-than", "5"],
            ["clean", "q", "--older-than", "9999999999999999d"],
            ["events", "q", "--since", "yesterday"],
            ["counts", "q", "--watch", "0"],
            ["jobs", "q", "--where", "colour=red"],
            ["add", "q", "mail", "--data", "{"],
            ["retry", "q"],
            ["retry", "q", "1", "--all"],
            ["retry", "q", "1", "--completed"],
            ["counts", "a:b"],
            ["counts", "q", "--url", "http://localhost"],
        ],
        ids=" ".join,
    )
    async def test_is_said_in_few_lines_with_code_two(
        self, capsys: pytest.CaptureFixture[str], command: list[str]
    ) -> None:
        code = await asyncio.to_thread(run_main, command)
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert "carequeue" in err
        assert "Traceback" not in err

    async def test_no_server_is_code_one(self, capsys: pytest.CaptureFixture[str], unused_tcp_port: int) -> None:
        url = f"redis://:hush@127.0.0.1:{unused_tcp_port}"
        code = await asyncio.to_thread(run_main, ["counts", "q", "--url", url])
        out, err = capsys.readouterr()
        assert (code, out) == (1, "")
        assert "hush" not in err
        assert "Traceback" not in err

    async def test_every_command_helps(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert await asyncio.to_thread(run_main, ["--help"]) == 0
        commands = re.findall(r"^    (\w+)", capsys.readouterr().out, re.MULTILINE)
        assert {"counts", "jobs", "doctor", "bench", "events", "retry"} <= set(commands)
        for command in commands:
            assert await asyncio.to_thread(run_main, [command, "--help"]) == 0
            assert "--json" in capsys.readouterr().out


async def test_bench_measures_and_leaves_nothing(redis: Redis, tool: Tool) -> None:
    before = {key async for key in redis.scan_iter("bull:carequeue-bench-*")}
    [figures] = await tool.rows("bench", "--jobs", "100", queue=False)
    assert all(value > 0 for value in figures.values())
    assert {key async for key in redis.scan_iter("bull:carequeue-bench-*")} == before
