"""The doctor: each judgement as a table, each check against a real server, and the command with its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carecircle.runtime import vapid
from carecircle.runtime.findings import Finding, Level
from carecircle_cli.doctor.postgres import Answer, check_postgres, judge_postgres, sqlalchemy_url
from carecircle_cli.doctor.redis import check_redis, judge_redis
from carecircle_cli.doctor.wording import without_secrets
from carecircle_cli.engines import EmbeddedValkey, free_port
from carecircle_cli.errors import CommandFailed
from carecircle_cli.up.given import usable_postgres, usable_redis
from carecircle_email.testing import SmtpSink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

GOOD_REDIS: dict[str, Any] = {
    "redis_version": "7.2.4", "maxmemory_policy": "noeviction", "role": "master", "aof_enabled": 1,
    "aof_last_write_status": "ok", "used_memory": 1024, "maxmemory": 0,
}  # fmt: skip
GOOD_POSTGRES = Answer("17.5", 170005, "UTF8", "on", "on", 90, datetime(2026, 11, 24, tzinfo=UTC), standby=False)
AGREED = timedelta(0)


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        ({}, "version", Level.OK),
        ({"redis_version": "6.2.0"}, "version", Level.OK),
        ({"redis_version": "6.0.16"}, "version", Level.FAIL),
        ({"redis_version": "5.0.14"}, "version", Level.FAIL),
        ({"redis_version": "unknown"}, "version", Level.WARN),
        ({"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy", Level.FAIL),
        ({"maxmemory_policy": "volatile-ttl"}, "maxmemory-policy", Level.FAIL),
        ({"role": "slave"}, "role", Level.FAIL),
        ({"aof_enabled": 0}, "persistence", Level.WARN),
        ({"aof_last_write_status": "err"}, "persistence", Level.FAIL),
        ({"maxmemory": 1100}, "memory", Level.WARN),
        ({"maxmemory": 10_000}, "memory", Level.OK),
    ],
)
def test_what_a_redis_says_of_itself_is_judged(change: dict[str, Any], check: str, level: Level) -> None:
    found = judge_redis(GOOD_REDIS | change)
    assert one(found, check).level is level
    assert all(finding.level is Level.OK for finding in found if finding.check != check)


@pytest.mark.parametrize(
    ("change", "skew", "check", "level"),
    [
        ({}, 0.2, "clock", Level.OK),
        ({}, -2.0, "clock", Level.WARN),
        ({}, 6.0, "clock", Level.FAIL),
        ({}, -6.0, "clock", Level.FAIL),
        ({"version_number": 140_010}, 0, "version", Level.WARN),
        ({"encoding": "SQL_ASCII"}, 0, "encoding", Level.FAIL),
        ({"fsync": "off"}, 0, "durability", Level.WARN),
        ({"synchronous_commit": "off"}, 0, "durability", Level.WARN),
        ({"free_connections": 3}, 0, "connections", Level.WARN),
        ({"standby": True}, 0, "role", Level.FAIL),
    ],
)
def test_what_a_postgres_says_of_itself_is_judged(
    change: dict[str, Any], skew: float, check: str, level: Level
) -> None:
    found = judge_postgres(GOOD_POSTGRES._replace(**change), timedelta(seconds=skew))
    assert one(found, check).level is level
    assert all(finding.level is Level.OK for finding in found if finding.check != check)


def test_whoever_is_told_of_a_problem_is_told_what_to_do() -> None:
    bad = [*judge_redis({"maxmemory_policy": "allkeys-lru", "redis_version": "6.0"}), *judge_postgres(
        GOOD_POSTGRES._replace(standby=True, encoding="LATIN1"), timedelta(seconds=9))]  # fmt: skip
    assert all((finding.remedy is None) == (finding.level is Level.OK) for finding in bad)


async def test_a_real_migrated_database_is_fine(new_database_url: str) -> None:
    found = await check_postgres(new_database_url)
    assert {finding.level for finding in found if finding.check != "durability"} == {Level.OK}
    assert abs(float(one(found, "clock").detail.split()[2])) < 1


async def test_a_database_without_tables_is_found(postgres_url: str) -> None:
    found = one(await check_postgres(postgres_url), "migrations")
    assert (found.level, found.remedy) == (Level.FAIL, "run `carecircle migrate`")


async def test_servers_that_are_not_there_are_said_without_their_passwords() -> None:
    port = free_port()
    (postgres,) = await check_postgres(f"postgresql+psycopg://u:s3cret@127.0.0.1:{port}/x")
    (redis,) = await check_redis(f"redis://:s3cret@127.0.0.1:{port}/0")
    for finding in (postgres, redis):
        assert finding.level is Level.FAIL
        assert "refused" in finding.detail.lower() or "connect" in finding.detail.lower()
        assert "s3cret" not in str(finding)


async def test_addresses_that_are_none_are_said() -> None:
    assert one(await check_postgres("nonsense"), "reachable").level is Level.FAIL
    assert one(await check_redis("nonsense"), "reachable").level is Level.FAIL


def test_an_error_is_one_line_without_a_password() -> None:
    error = ValueError("cannot reach redis://me:hunter2@host:1/0\nmore")
    assert without_secrets(error) == "cannot reach redis://me:***@host:1/0"
    assert without_secrets(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
    ],
)
def test_every_way_to_write_a_database_url_works(given: str, used: str) -> None:
    assert sqlalchemy_url(given) == used


@pytest.fixture
def evicting(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A real server that throws keys away when memory is short."""
    server = EmbeddedValkey(tmp_path / "valkey", persistent=False)
    program = server.prepare()
    command = tuple("allkeys-lru" if part == "noeviction" else part for part in program.command)
    server.process.start(replace(program, command=command))
    yield server
    server.stop()


async def test_a_redis_that_evicts_is_refused_with_words(evicting: EmbeddedValkey) -> None:
    with pytest.raises(CommandFailed, match=r"REDIS_URL names cannot be used:\n.*allkeys-lru.*maxmemory-policy noevic"):
        await usable_redis(evicting.url())


async def test_given_engines_that_will_do_are_taken(redis_url: str, postgres_url: str) -> None:
    assert await usable_redis(redis_url) == redis_url
    plain = postgres_url.replace("postgresql+psycopg", "postgres")
    assert await usable_postgres(plain) == postgres_url


async def test_a_given_database_that_is_not_there_is_refused_with_words() -> None:
    with pytest.raises(CommandFailed, match=r"DATABASE_URL names cannot be used:\n  reachable:"):
        await usable_postgres(f"postgresql://u:p@127.0.0.1:{free_port()}/x")


@pytest.fixture
def surroundings(new_database_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing is wrong, but for the mail server."""
    vapid.generate(tmp_path / "vapid.pem")
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": new_database_url,
        "REDIS_URL": redis_url,
        "CARECIRCLE_VAPID_PRIVATE_KEY_FILE": str(tmp_path / "vapid.pem"),
        "CARECIRCLE_VAPID_SUBJECT": "mailto:operator@example.org",
        "CARECIRCLE_SMTP_HOST": "127.0.0.1",
        "CARECIRCLE_SMTP_SECURITY": "none",
    }


async def test_the_doctor_finds_nothing_wrong_where_nothing_is(surroundings: dict[str, str]) -> None:
    async with SmtpSink(http_port=None) as sink:
        code, findings = await doctor(surroundings | {"CARECIRCLE_SMTP_PORT": str(sink.port)})
        assert sink.connections == 1
        assert sink.total == 0  # it looked, and sent nothing
    assert [finding for finding in findings if finding["level"] == "fail"] == []
    assert code == 0
    assert {finding["subject"] for finding in findings} == {
        "PostgreSQL", "Redis", "Time zones", "Mail server", "Web Push",
    }  # fmt: skip


async def test_the_doctor_fails_where_the_mail_server_wants_other_words(surroundings: dict[str, str]) -> None:
    async with SmtpSink(http_port=None) as sink:  # offers no STARTTLS
        environment = surroundings | {
            "CARECIRCLE_SMTP_PORT": str(sink.port), "CARECIRCLE_SMTP_SECURITY": "starttls",
        }  # fmt: skip
        code, findings = await doctor(environment)
    (wrong,) = [finding for finding in findings if finding["level"] == "fail"]
    assert (code, wrong["subject"], wrong["check"]) == (1, "Mail server", "accepts us")
    assert "at tls: no_starttls" in wrong["detail"]


async def test_the_doctor_fails_without_a_mail_server_or_a_key(surroundings: dict[str, str], tmp_path: Path) -> None:
    code, findings = await doctor(
        surroundings
        | {"CARECIRCLE_SMTP_PORT": str(free_port()), "CARECIRCLE_VAPID_PRIVATE_KEY_FILE": str(tmp_path / "none.pem")}
    )
    wrong = {(finding["subject"], finding["check"]) for finding in findings if finding["level"] == "fail"}
    assert (code, wrong) == (
        1, {("Mail server", "accepts us"), ("Web Push", "VAPID key"), ("Web Push", "key file")},
    )  # fmt: skip


async def test_the_doctor_says_which_settings_are_missing() -> None:
    code, findings = await doctor({"PATH": os.environ["PATH"]})
    assert code == 1
    (settings,) = [finding for finding in findings if finding["subject"] == "Settings"]
    assert settings["detail"].startswith("DATABASE_URL is not set")


async def test_the_doctor_warns_of_a_key_that_others_can_read(surroundings: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    key = folder / "vapid.pem"
    vapid.generate(key)
    key.chmod(0o644)
    async with SmtpSink(http_port=None) as sink:
        environment = surroundings | {
            "CARECIRCLE_SMTP_PORT": str(sink.port), "CARECIRCLE_VAPID_PRIVATE_KEY_FILE": str(key),
        }  # fmt: skip
        code, findings = await doctor(environment)
    (found,) = [finding for finding in findings if finding["check"] == "key file"]
    assert (code, found["level"], found["remedy"]) == (0, "warn", f"chmod 600 {key}")


async def doctor(environment: dict[str, str]) -> tuple[int, list[dict[str, Any]]]:
    """The command as a person runs it, in another process: its exit code and what it found."""
    import asyncio

    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "carecircle_cli", "doctor", "--json", "--data-dir", "/nonexistent"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def one(findings: Iterable[Finding], check: str) -> Finding:
    (found,) = [finding for finding in findings if finding.check == check]
    return found
