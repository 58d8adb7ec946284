"""The migrations make exactly the tables that the code knows, and can be taken back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import ProgrammingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config(new_database_url: str) -> Config:
    config = Config(toml_file=ROOT / "pyproject.toml")
    config.attributes["url"] = new_database_url
    return config


@pytest.fixture
def engine(new_database_url: str) -> Iterator[Engine]:
    engine = create_engine(new_database_url)
    yield engine
    engine.dispose()


def test_a_migrated_database_has_nothing_left_to_generate(config: Config) -> None:
    try:
        command.check(config)
    except CommandError as error:
        pytest.fail(f"the tables of the code differ from the migrations: {error}")


def test_every_migration_can_be_taken_back_and_made_again(config: Config, engine: Engine) -> None:
    command.downgrade(config, "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    command.upgrade(config, "head")
    assert "occurrence" in inspect(engine).get_table_names()


def test_the_history_is_one_line() -> None:
    scripts = ScriptDirectory.from_config(Config(toml_file=ROOT / "pyproject.toml"))
    assert len(scripts.get_heads()) == 1
    assert len(scripts.get_bases()) == 1


def test_migrations_are_named_after_their_date() -> None:
    names = [path.name for path in (ROOT / "migrations" / "versions").glob("*.py")]
    assert names
    assert [name for name in names if not re.fullmatch(r"\d{4}_\d{2}_\d{2}_\d{4}-[a-z0-9_]+\.py", name)] == []


def test_the_audit_trail_refuses_changes(engine: Engine) -> None:
    entry = text(
        "INSERT INTO audit_entry (id, action, subject_type, subject_id, details) "
        "VALUES (gen_random_uuid(), 'x.y', 'x', gen_random_uuid(), '{}')"
    )
    with engine.begin() as connection:
        connection.execute(entry)
    for change in ("UPDATE audit_entry SET action = 'z'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"):
        with pytest.raises(ProgrammingError, match="append-only"), engine.begin() as connection:
            connection.execute(text(change))
