"""Alembic's entry point: runs the migrations against `config.attributes["url"]`, else DATABASE_URL."""

from __future__ import annotations

import importlib
import os
import pkgutil

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from carecircle import db
from carecircle.db.base import Row

# One instance migrates at a time; the others wait here and then find nothing to do.
ADVISORY_LOCK = 7_415_963

# A migration that cannot get its lock quickly gives up instead of queueing all traffic behind it.
LOCK_TIMEOUT = "2s"


def run() -> None:
    for module in pkgutil.iter_modules(db.__path__):  # a table is known once its module is imported
        importlib.import_module(f"{db.__name__}.{module.name}")
    url = context.config.attributes.get("url") or os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("DATABASE_URL is not set: it names the PostgreSQL to migrate (postgresql+psycopg://…)")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Row.metadata,
            compare_type=True,
            compare_server_default=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})


run()
