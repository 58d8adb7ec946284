"""Is PostgreSQL there, new enough, migrated, durable, and does its clock agree with ours?"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from carecircle.runtime.findings import Finding
from carecircle_cli import migrations
from carecircle_cli.doctor.wording import without_secrets
from carecircle_cli.errors import CommandFailed

if TYPE_CHECKING:
    from datetime import timedelta

SUBJECT = "PostgreSQL"
OLDEST_TESTED = 15
SKEW_WARN, SKEW_FAIL = 1.0, 5.0
FEW_CONNECTIONS = 20
QUESTION = """
SELECT current_setting('server_version'), current_setting('server_version_num')::int,
       current_setting('server_encoding'), current_setting('fsync'), current_setting('synchronous_commit'),
       current_setting('max_connections')::int - (SELECT count(*) FROM pg_stat_activity)::int, clock_timestamp(),
       pg_is_in_recovery()
"""


class Answer(NamedTuple):
    version: str
    version_number: int
    encoding: str
    fsync: str
    synchronous_commit: str
    free_connections: int
    now: datetime
    standby: bool


async def check_postgres(url: str) -> list[Finding]:
    """What is right and wrong with the database at `url` (any form that SQLAlchemy or libpq takes)."""
    try:
        answer, skew = await _ask(libpq_url(url))
    except (psycopg.Error, ArgumentError, OSError) as error:
        return [
            Finding.fail(SUBJECT, "reachable", without_secrets(error), "start it, or set DATABASE_URL to where it runs")
        ]
    return [*judge_postgres(answer, skew), await asyncio.to_thread(_migrated, url)]


def judge_postgres(answer: Answer, skew: timedelta) -> list[Finding]:
    """`skew`: how far our clock is ahead of the server's."""
    return [
        Finding.ok(SUBJECT, "reachable", f"PostgreSQL {answer.version}"),
        _version(answer),
        _role(answer),
        _encoding(answer.encoding),
        _durability(answer),
        _connections(answer.free_connections),
        _clock(skew.total_seconds()),
    ]


def sqlalchemy_url(url: str) -> str:
    """With the driver that we install, whichever way the operator wrote it (`postgres://`, `postgresql://`)."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme in {"postgres", "postgresql"}:
        return f"postgresql+psycopg://{rest}"
    return url


def libpq_url(url: str) -> str:
    return make_url(sqlalchemy_url(url)).set(drivername="postgresql").render_as_string(hide_password=False)


async def _ask(url: str) -> tuple[Answer, timedelta]:
    async with await psycopg.AsyncConnection.connect(url, connect_timeout=5, autocommit=True) as connection:
        await connection.execute("SELECT 1")  # so that the clocks are read over a warm connection
        before = datetime.now(UTC)
        row = await (await connection.execute(QUESTION)).fetchone()
        after = datetime.now(UTC)
    if row is None:
        raise psycopg.DataError("the server gave no answer")
    answer = Answer(*row)
    return answer, before + (after - before) / 2 - answer.now


def _version(answer: Answer) -> Finding:
    if answer.version_number < OLDEST_TESTED * 10_000:
        return Finding.warn(
            SUBJECT, "version", f"{answer.version} is older than anything this was tested with",
            f"use PostgreSQL {OLDEST_TESTED} or later",
        )  # fmt: skip
    return Finding.ok(SUBJECT, "version", answer.version)


def _role(answer: Answer) -> Finding:
    if answer.standby:
        return Finding.fail(SUBJECT, "role", "a standby, which cannot be written to", "set DATABASE_URL to the primary")
    return Finding.ok(SUBJECT, "role", "primary")


def _encoding(encoding: str) -> Finding:
    if encoding != "UTF8":
        return Finding.fail(
            SUBJECT, "encoding", f"{encoding} cannot hold every name", "create the database with ENCODING 'UTF8'"
        )
    return Finding.ok(SUBJECT, "encoding", encoding)


def _durability(answer: Answer) -> Finding:
    off = [name for name in ("fsync", "synchronous_commit") if getattr(answer, name) == "off"]
    if off:
        return Finding.warn(
            SUBJECT, "durability", f"{' and '.join(off)} off: a power cut may undo what was answered",
            f"set {' and '.join(f'{name} = on' for name in off)}",
        )  # fmt: skip
    return Finding.ok(SUBJECT, "durability", "commits are on disk before they are answered")


def _connections(free: int) -> Finding:
    if free < FEW_CONNECTIONS:
        return Finding.warn(
            SUBJECT, "connections", f"only {free} left", "raise max_connections or lower CARECIRCLE_DATABASE_POOL_SIZE"
        )
    return Finding.ok(SUBJECT, "connections", f"{free} left")


def _clock(skew: float) -> Finding:
    detail = f"ours is {abs(skew):.2f} s {'ahead of' if skew > 0 else 'behind'} the server's"
    remedy = "synchronise both machines (NTP); the server's clock decides what is due"
    if abs(skew) > SKEW_FAIL:
        return Finding.fail(SUBJECT, "clock", detail, remedy)
    if abs(skew) > SKEW_WARN:
        return Finding.warn(SUBJECT, "clock", detail, remedy)
    return Finding.ok(SUBJECT, "clock", detail)


def _migrated(url: str) -> Finding:
    try:
        revisions = migrations.revisions(sqlalchemy_url(url))
    except CommandFailed as error:
        return Finding.warn(SUBJECT, "migrations", str(error), f"set {migrations.VARIABLE}")
    if not revisions.known:
        return Finding.fail(
            SUBJECT, "migrations", f"at {revisions.current}, which this release does not know", "run the newer release"
        )
    if not revisions.up_to_date:
        return Finding.fail(
            SUBJECT, "migrations", f"at {revisions.current or 'nothing'}, the code wants {revisions.head}",
            "run `carecircle migrate`",
        )  # fmt: skip
    return Finding.ok(SUBJECT, "migrations", f"at {revisions.head}")
