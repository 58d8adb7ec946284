"""`carecircle demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from carecircle_cli.console import output
from carecircle_cli.environment import DEFAULT_DATA_DIR, DataDirOption


def demo(
    url: Annotated[
        str | None, typer.Option(help="The API.  [default: that of the `carecircle up` that runs here]")
    ] = None,
    mail_to: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Who gets the mails; else a made-up person of example.org.")
    ] = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Seed the demo circle over REST: two caregivers, a patient, three medications, one dose due within a minute.

    Run again it finds what is there, and has one more dose due. The login is kept in the data folder.
    """
    import asyncio
    from datetime import UTC, datetime

    from carecircle_cli.demo.circle import seed
    from carecircle_cli.demo.state import DemoState
    from carecircle_cli.demo.table import demo_table
    from carecircle_cli.errors import CommandFailed
    from carecircle_cli.up.data_dir import DataDir

    data = DataDir(data_dir)
    running = data.running()
    address = url or (running.api_url if running else None)
    if address is None:
        raise CommandFailed("nothing runs here: say with --url where the API is, or start `carecircle up`")
    data.path.mkdir(parents=True, exist_ok=True)
    state = DemoState.load_or_make(data.demo, owner=mail_to)
    circle = asyncio.run(seed(address, state, datetime.now(UTC), carer_mail=state.made_up))
    output().print(demo_table(circle, {"API": f"{address.rstrip('/')}/docs"}))
