"""`carecircle queue`: ids and states of jobs, never what is in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from carecircle_cli.console import messages, output
from carecircle_cli.environment import DEFAULT_DATA_DIR, DataDirOption, adopt

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

T = TypeVar("T")
STATES = ("waiting", "prioritized", "delayed", "active", "completed", "failed", "waiting-children")

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Look into the queues and intervene. Shows ids and states only."
)
QueueName = Annotated[str, typer.Argument(metavar="QUEUE", help="As `carecircle queue counts` lists them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def counts(as_json: AsJson = False, data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """How many jobs each queue has in each state."""
    from rich.table import Table

    from carecircle_cli import inspection

    adopt(data_dir)
    rows = _run(inspection.counts())
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("queue")
    for heading in (*STATES[:-1], "children", "paused"):
        table.add_column(heading, justify="right", overflow="fold")
    for name, row in rows.items():
        table.add_row(name, *(str(row[state]) for state in STATES), "yes" if row["paused"] else "")
    output().print(table)


@app.command()
def jobs(
    queue: QueueName,
    state: Annotated[str, typer.Option(help=f"One of: {', '.join(STATES)}.")] = "failed",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """List the jobs of one state, the newest first."""
    from rich.table import Table

    from carecircle_cli import inspection
    from carecircle_cli.errors import CommandFailed

    if state not in STATES:
        raise CommandFailed(f"there is no state {state!r}; one of: {', '.join(STATES)}", exit_code=2)
    adopt(data_dir)
    rows = _run(inspection.jobs(queue, state, limit))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("id", no_wrap=True, min_width=39)  # to be copied: a UUID and its generation
    for heading in ("name", "attempts", "added", "started", "finished"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            row["id"], row["name"], str(row["attempts"]), *(row[key] or "" for key in ("added", "started", "finished"))
        )
    output().print(table)


@app.command()
def retry(
    queue: QueueName,
    job_ids: Annotated[list[str] | None, typer.Argument(metavar="JOB_ID...", help="Failed ones to run again.")] = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Every failed job of the queue.")] = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Run failed jobs again. A job whose moment has passed will find that out and do nothing."""
    from carecircle_cli import inspection
    from carecircle_cli.errors import CommandFailed

    if bool(job_ids) == all_failed:
        raise CommandFailed("say which jobs, or --all-failed", exit_code=2)
    adopt(data_dir)
    count = _run(inspection.retry_all(queue) if all_failed else inspection.retry(queue, job_ids or []))
    output().print(f"{count} to run again.")


@app.command()
def pause(queue: QueueName, data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Let no worker take a job of this queue. What is due waits, and may expire: reminders are not sent meanwhile."""
    from carecircle_cli import inspection

    adopt(data_dir)
    _run(inspection.pause(queue))
    messages().print(f"{queue} is paused. `carecircle queue resume {queue}` ends that.")


@app.command()
def resume(queue: QueueName, data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Let workers take jobs of this queue again."""
    from carecircle_cli import inspection

    adopt(data_dir)
    _run(inspection.resume(queue))
    messages().print(f"{queue} goes on.")


def _run(work: Coroutine[Any, Any, T]) -> T:
    import asyncio

    return asyncio.run(work)
