"""`carecircle reconcile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecircle_cli.console import output
from carecircle_cli.environment import DEFAULT_DATA_DIR, DataDirOption, adopt

if TYPE_CHECKING:
    from carecircle.usecases.enqueueing import Reconciled


def reconcile(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Look once at everything that is due soon, and give a job to whatever has none or lost it.

    The dispatcher does this every few seconds by itself; this is for looking at what it would find.
    """
    import asyncio

    adopt(data_dir)
    result = asyncio.run(_once())
    output().print(f"{result.enqueued} enqueued, {result.healed} healed.")


async def _once() -> Reconciled:
    from carecircle.db.session import Database
    from carecircle.jobs import Queues
    from carecircle.runtime.settings import Settings
    from carecircle.usecases.enqueueing import reconcile as one_round

    settings = Settings.load()
    database = Database.connect(settings.database_url.get_secret_value(), pool_size=2)
    try:
        async with Queues(settings.redis_url.get_secret_value(), settings.queue_prefix) as queues:
            return await one_round(database, queues, horizon=settings.enqueue_horizon)
    finally:
        await database.close()
