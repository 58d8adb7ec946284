"""`carecircle doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from carecircle_cli.console import messages, output
from carecircle_cli.environment import DEFAULT_DATA_DIR, DataDirOption, adopt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from carecircle.runtime.findings import Finding

MARKS = {"ok": "[green]✓ ok[/]", "warn": "[yellow]! warn[/]", "fail": "[red]✗ fail[/]"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Look at everything that the system leans on, and say what to do about it. Changes nothing and sends nothing.

    Exit code 1 if something keeps reminders from going out.
    """
    import asyncio

    from carecircle.runtime.findings import Level
    from carecircle_cli.doctor.checks import examine

    running = adopt(data_dir)
    if running is not None and not as_json:
        messages().print(f"[dim]Looking at the system that `carecircle up` runs (process {running.pid}).[/]")
    findings = asyncio.run(examine())
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        output().print(_table(findings))
    if any(finding.level is Level.FAIL for finding in findings):
        raise typer.Exit(1)


def _table(findings: Sequence[Finding]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("", "What", "Check", "Finding"):
        table.add_column(heading, no_wrap=heading != "Finding")
    subject = None
    for finding in findings:
        text = escape(finding.detail) + (f"\n[bold]→ {escape(finding.remedy)}[/]" if finding.remedy else "")
        table.add_row(MARKS[finding.level], finding.subject if finding.subject != subject else "", finding.check, text)
        subject = finding.subject
    return table
