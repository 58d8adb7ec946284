"""The other commands, run as a person runs them: what they print, how they fail, with which exit code."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from carecircle.jobs import PLAN, Plan
from carecircle_cli.engines import free_port
from carecircle_cli.main import app
from carecircle_cli.up.data_dir import DataDir, Running
from carequeue import Queue, Unrecoverable, Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis.asyncio import Redis

COMMANDS = ("up", "demo", "migrate", "doctor", "reconcile", "queue counts", "queue jobs", "queue retry", "queue pause",
            "queue resume", "vapid generate", "vapid show")  # fmt: skip


def carecircle(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command with this environment and no other."""
    return subprocess.run(
        [sys.executable, "-m", "carecircle_cli", *arguments],
        env={"PATH": os.environ["PATH"], "CARECIRCLE_DATA_DIR": "/nonexistent", **environment},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"])
    assert done.exit_code == 0
    assert done.stdout.startswith("Usage: ")
    assert done.stderr == ""


def test_migrate_makes_the_tables_and_then_finds_them_up_to_date(empty_database_url: str) -> None:
    first = carecircle("migrate", DATABASE_URL=empty_database_url)
    assert first.stdout.startswith("Migrated from an empty database to ")
    second = carecircle("migrate", DATABASE_URL=empty_database_url.replace("postgresql+psycopg", "postgres"))
    assert second.stdout.startswith("The tables are up to date (")
    assert (first.returncode, second.returncode) == (0, 0)


def test_several_migrate_at_once_without_harm(empty_database_url: str) -> None:
    command = [sys.executable, "-m", "carecircle_cli", "migrate"]
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": empty_database_url}
    started = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]


def test_a_database_of_a_newer_release_is_left_alone(
    new_database_url: str, statement: Callable[[str, str], None]
) -> None:
    statement(new_database_url, "UPDATE alembic_version SET version_num = 'from_the_future'")
    done = carecircle("migrate", DATABASE_URL=new_database_url)
    assert done.returncode == 1
    assert "from_the_future, which this release does not know" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "words"),
    [
        (["migrate"], {}, 1, "DATABASE_URL is not set"),
        (["migrate"], {"DATABASE_URL": "postgresql://u:pw@127.0.0.1:{port}/x"}, 1, "PostgreSQL: connection failed"),
        (["migrate"], {"DATABASE_URL": "postgresql://x", "CARECIRCLE_MIGRATIONS": "/nope"}, 1, "no migrations found"),
        (["reconcile"], {"DATABASE_URL": "postgresql://u:pw@127.0.0.1:{port}/x"}, 1, "PostgreSQL: connection failed"),
        (["queue", "counts"], {"REDIS_URL": "redis://:pw@127.0.0.1:{port}/0"}, 1, "did not answer"),
        (["queue", "pause", "nope"], {}, 2, "there is no queue 'nope'; there are: reminders, email, push, housek"),
        (["queue", "jobs", "email", "--state", "nope"], {}, 2, "there is no state 'nope'"),
        (["queue", "retry", "email"], {}, 2, "say which jobs, or --all-failed"),
        (["vapid", "show"], {}, 1, "name the key's file"),
        (["vapid", "show", "/nope"], {}, 1, "/nope: No such file"),
        (["demo"], {}, 1, "nothing runs here"),
        (["up", "--port", "{port}x"], {}, 2, "Invalid value"),
        (["up", "--real-smtp"], {}, 1, "--real-smtp needs your mail server in the environment"),
        (["up", "--real-smtp"], {"CARECIRCLE_SMTP_HOST": "smtp.example.org"}, 1, "would go to made-up people"),
        (["nonsense"], {}, 2, "No such command"),
    ],
)
def test_what_can_go_wrong_is_said_in_words(
    arguments: list[str], environment: dict[str, str], code: int, words: str
) -> None:
    port = str(free_port())
    done = carecircle(
        *(argument.replace("{port}", port) for argument in arguments),
        **{name: value.replace("{port}", port) for name, value in environment.items()},
    )
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "pw" not in done.stderr
    assert done.returncode == code


def test_a_vapid_key_is_made_once_and_shown(tmp_path: Path) -> None:
    path = str(tmp_path / "keys" / "vapid.pem")
    made = carecircle("vapid", "generate", "--out", path)
    shown = carecircle("vapid", "show", CARECIRCLE_VAPID_PRIVATE_KEY_FILE=path)
    assert made.stdout == shown.stdout
    assert len(made.stdout.strip()) == 87
    again = carecircle("vapid", "generate", "--out", path)
    assert again.returncode == 1
    assert "is there already" in again.stderr


def test_commands_find_the_system_that_runs_on_the_data_folder(
    new_database_url: str, redis_url: str, tmp_path: Path
) -> None:
    data = DataDir(tmp_path / "data")
    with data.lock():
        data.announce(Running(1, "http://x", {"DATABASE_URL": new_database_url, "REDIS_URL": redis_url}))
        done = carecircle("reconcile", CARECIRCLE_DATA_DIR=str(data.path))
    assert (done.returncode, done.stdout) == (0, "0 enqueued, 0 healed.\n")


def test_addresses_may_come_from_secret_files(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "redis_url").write_text(redis_url)
    done = carecircle("queue", "counts", "--json", REDIS_URL_FILE=str(tmp_path / "redis_url"))
    assert done.returncode == 0, done.stderr


@pytest.fixture
def prefix(queue_name: str) -> str:
    """A world of queues that no other test sees: theirs have fixed names."""
    return queue_name


async def test_queues_are_counted_listed_paused_and_retried(redis_url: str, prefix: str, redis: Redis) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return carecircle("queue", *arguments, REDIS_URL=redis_url, CARECIRCLE_QUEUE_PREFIX=prefix)

    async with Queue("housekeeping", redis_url, prefix=prefix) as queue:
        await fail_one(redis_url, prefix, queue)
        counts = json.loads((await asyncio.to_thread(run, "counts", "--json")).stdout)
        assert counts["housekeeping"]["failed"] == 1
        assert counts.keys() == {"reminders", "email", "push", "housekeeping"}
        (row,) = json.loads((await asyncio.to_thread(run, "jobs", "housekeeping", "--json")).stdout)
        assert (row["id"], row["name"], row["attempts"]) == ("only", "plan", 1)
        text = (await asyncio.to_thread(run, "jobs", "housekeeping")).stdout
        assert "only" in text
        assert "Secretamol" not in text + json.dumps(row)  # not even what a handler's error said
        assert (await asyncio.to_thread(run, "retry", "housekeeping", "only")).stdout == "1 to run again.\n"
        assert (await queue.counts()).failed == 0
        assert (await asyncio.to_thread(run, "pause", "housekeeping")).returncode == 0
        assert await queue.is_paused()
        assert "yes" in (await asyncio.to_thread(run, "counts")).stdout
        assert (await asyncio.to_thread(run, "resume", "housekeeping")).returncode == 0
        assert not await queue.is_paused()
        gone = await asyncio.to_thread(run, "retry", "housekeeping", "no-such-job")
        assert (gone.returncode, gone.stderr[:29]) == (1, "carecircle: job no-such-job: ")


async def fail_one(redis_url: str, prefix: str, queue: Queue) -> None:
    """Leave one failed job in the queue."""
    failed = asyncio.Event()
    worker = Worker("housekeeping", redis_url, prefix=prefix)

    @worker.handles(PLAN)
    async def plan(job: object) -> None:
        raise Unrecoverable("could not plan Secretamol")

    @worker.on_failed
    async def note(job: object, error: BaseException) -> None:
        failed.set()

    async with worker:
        await queue.add(PLAN, Plan(), job_id="only")
        await asyncio.wait_for(failed.wait(), 10)
