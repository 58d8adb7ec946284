"""`carecircle migrate`."""

from __future__ import annotations

import os

from carecircle_cli.console import output
from carecircle_cli.environment import DEFAULT_DATA_DIR, DataDirOption, adopt


def migrate(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Bring the tables of the database that DATABASE_URL names up to date. Safe to run at any time, and by several."""
    from carecircle.runtime.settings import Settings
    from carecircle_cli import migrations
    from carecircle_cli.doctor.postgres import sqlalchemy_url

    adopt(data_dir)
    settings = Settings.load()
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    before = migrations.upgrade(sqlalchemy_url(settings.database_url.get_secret_value()))
    if before.up_to_date:
        output().print(f"The tables are up to date ({before.head}).")
    else:
        output().print(f"Migrated from {before.current or 'an empty database'} to {before.head}.")
