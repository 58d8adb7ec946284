"""The one table that people see once the demo circle is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from carecircle_cli.demo.circle import Circle


def demo_table(circle: Circle | None, places: Mapping[str, str]) -> Table:
    """Where everything is, who can log in, and what is due when."""
    table = Table(show_header=False, title_justify="left", border_style="dim", min_width=70)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, place in places.items():
        table.add_row(name, escape(place))
    if circle is not None:
        state = circle.state
        table.add_section()
        table.add_row("Logins", f"{state.owner} (owner, Europe/Berlin) · {state.carer} (carer, America/New_York)")
        table.add_row("Password", state.password)
        table.add_section()
        for index, dose in enumerate(circle.plan):
            table.add_row("Doses of Rosa" if index == 0 else "", f"{dose.medicine}: {dose.when}")
        table.add_row("Due next", f"{circle.due_at.astimezone():%H:%M:%S} your time, on every channel")
    return table
