"""Real engines for every test that asks: one PostgreSQL and one Valkey a session, a database and a queue name a test.

With CARECIRCLE_TEST_DATABASE_URL or CARECIRCLE_TEST_REDIS_URL set, those servers are used and written to instead.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession
from tests.redis_servers import RedisServer

from carecircle.db.session import Database
from carecircle_cli.engines import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "carecircle_template"  # cloned, never opened: PostgreSQL refuses to copy a database in use
SHARED = "carecircle_shared"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, so that with several processes none of them is left to the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Valkey. Tests share it: use `queue_name`, never FLUSHALL."""
    if given := os.environ.get("CARECIRCLE_TEST_REDIS_URL"):
        yield given
        return
    server = RedisServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server.url()
    server.stop()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A plain client for looking at what is stored; text in, text out."""
    client = Redis.from_url(redis_url, decode_responses=True, socket_timeout=10, retry=Retry(NoBackoff(), 0))
    yield client
    await client.aclose()


@pytest.fixture
def queue_name() -> str:
    """A queue that no other test uses."""
    return f"t-{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real PostgreSQL whose template database is migrated to head."""
    given = os.environ.get("CARECIRCLE_TEST_DATABASE_URL")
    server = None
    if given is None:
        server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "data", durable=False)
        server.start()
    url = given or (server.url() if server else "")
    for name in (SHARED, TEMPLATE):
        statement(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    statement(url, f"CREATE DATABASE {TEMPLATE}")
    migrate(database_url(url, TEMPLATE))
    statement(url, f"CREATE DATABASE {SHARED} TEMPLATE {TEMPLATE}")
    yield url
    if server:
        server.stop()


@pytest.fixture
def new_database_url(postgres_url: str) -> Iterator[str]:
    """A fresh, migrated database that only this test sees."""
    name = f"t_{secrets.token_hex(6)}"
    statement(postgres_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield database_url(postgres_url, name)
    statement(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(new_database_url: str) -> AsyncIterator[Database]:
    """A `Database` on a fresh database, for tests of code that commits."""
    database = Database.connect(new_database_url)
    yield database
    await database.close()


@pytest.fixture
async def session(postgres_url: str) -> AsyncIterator[AsyncSession]:
    """A session whose transaction is rolled back at the end, for tests of queries and use cases."""
    database = Database.connect(database_url(postgres_url, SHARED), pool_size=1)
    async with database.engine.connect() as connection:
        transaction = await connection.begin()
        async with AsyncSession(
            connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        ) as session:
            yield session
        await transaction.rollback()
    await database.close()


def migrate(url: str) -> None:
    config = Config(toml_file=ROOT / "pyproject.toml")
    config.attributes["url"] = url
    command.upgrade(config, "head")


def database_url(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def statement(url: str, sql: str) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(sql)  # pyright: ignore[reportArgumentType] - names made above, not input
