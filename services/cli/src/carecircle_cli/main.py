"""The `carecircle` command: its subcommands, and how they fail."""

from __future__ import annotations

import sys
from typing import Any

import typer

from carecircle_cli.commands import demo, doctor, migrate, queue, reconcile, up, vapid
from carecircle_cli.errors import CommandFailed, explain


class Command(typer.Typer):
    """Says what a person can mend in words and with exit code 1; only what nobody foresaw shows a traceback."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:
            words = explain(error)
            if words is None:
                raise
            typer.secho(f"carecircle: {words}", fg="red", err=True)
            sys.exit(error.exit_code if isinstance(error, CommandFailed) else 1)


app = Command(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="CareCircle Reminders: run it, migrate it, look into it, repair it.",
)
app.command()(up.up)
app.command()(demo.demo)
app.command()(migrate.migrate)
app.command()(doctor.doctor)
app.command()(reconcile.reconcile)
app.add_typer(queue.app, name="queue")
app.add_typer(vapid.app, name="vapid")
