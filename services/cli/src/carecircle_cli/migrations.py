"""Finds the migrations and runs them. Used by `carecircle migrate`, and by `doctor` to see whether they ran."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from carecircle_cli.errors import CommandFailed

VARIABLE = "CARECIRCLE_MIGRATIONS"


@dataclass(frozen=True, slots=True)
class Revisions:
    """Where a database is, and where the code wants it."""

    current: str | None
    head: str | None
    known: bool
    """Whether this code knows the current one; if not, a newer release has migrated."""

    @property
    def up_to_date(self) -> bool:
        return self.current == self.head


def upgrade(url: str) -> Revisions:
    """Bring the database up to date; what was there before."""
    before = revisions(url)
    if not before.known:
        raise CommandFailed(
            f"the database is at revision {before.current}, which this release does not know: "
            "a newer one has migrated it. Run that one, or restore a backup."
        )
    command.upgrade(_config(url), "head")
    return before


def revisions(url: str) -> Revisions:
    script = ScriptDirectory.from_config(_config(url))
    engine = create_engine(url, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    known = current is None or current in {revision.revision for revision in script.walk_revisions()}
    return Revisions(current, script.get_current_head(), known)


def find_migrations() -> Path:
    """`$CARECIRCLE_MIGRATIONS`, else beside the installed package, else in the checkout that it lies in."""
    if given := os.environ.get(VARIABLE):
        places = [Path(given)]
    else:
        here = Path(__file__).resolve()
        places = [here.with_name("migrations"), *(parent / "migrations" for parent in here.parents)]
    for place in places:
        if (place / "env.py").exists():
            return place
    raise CommandFailed(f"no migrations found; set {VARIABLE} to the folder that has their env.py")


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(find_migrations()).replace("%", "%%"))
    config.attributes["url"] = url
    return config
