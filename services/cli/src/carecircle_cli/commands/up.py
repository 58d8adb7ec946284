"""`carecircle up`."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from carecircle_cli.console import output
from carecircle_cli.environment import DEFAULT_DATA_DIR

INTERRUPTED = 130


def up(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The API's port.  [default: last time's, else 8000, else any]")
    ] = None,
    data_dir: Annotated[
        Path, typer.Option(envvar="CARECIRCLE_DATA_DIR", help="Where all data, secrets and logs are kept.")
    ] = DEFAULT_DATA_DIR,
    real_smtp: Annotated[
        bool, typer.Option("--real-smtp", help="Send mail through CARECIRCLE_SMTP_HOST … instead of the mail sink.")
    ] = False,
    mail_to: Annotated[
        str | None, typer.Option(help="With --real-smtp: who gets the mails of the demo circle.", metavar="ADDRESS")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo/--no-demo", help="Seed a demo circle with a dose that is due within a minute.")
    ] = True,
) -> None:
    """Run the whole system on this machine, with nothing to install or configure first.

    PostgreSQL and Redis are started as well, unless DATABASE_URL or REDIS_URL names one that runs already. Mails go to
    a sink with an inbox page, pushes to a sink that decrypts them. Ctrl-C drains and stops everything in order; the
    next `up` goes on with the data.
    """
    import asyncio

    from carecircle_cli.errors import CommandFailed
    from carecircle_cli.up.report import TerminalReport
    from carecircle_cli.up.run import UpOptions
    from carecircle_cli.up.run import up as run_up

    if sys.platform == "win32":
        raise CommandFailed("`carecircle up` needs Linux or macOS; on Windows use WSL or the compose file")
    options = UpOptions(data_dir, port=port, real_smtp=real_smtp, mail_to=mail_to, demo=demo)
    if not asyncio.run(run_up(options, TerminalReport(output()))):
        raise typer.Exit(INTERRUPTED)
