"""What a person sees of `carecircle up` on the terminal: progress, crashes, warnings, the table."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.text import Text

from carecircle_cli.up.logs import brief

if TYPE_CHECKING:
    import signal
    from collections.abc import Generator

    from rich.console import Console, RenderableType

NAMES = {
    "postgres": "PostgreSQL", "redis": "Redis", "migrate": "migrations", "mail_sink": "mail sink",
    "push_sink": "push sink", "email": "email worker", "push_worker": "push worker", "dispatcher": "dispatcher",
    "api": "API",
}  # fmt: skip
LINES_OF_A_CRASH = 5
WIDTH = max(map(len, NAMES.values()))
COLOURS = ("cyan", "magenta", "blue", "yellow", "green", "bright_cyan", "bright_magenta", "bright_blue")


class TerminalReport:
    """Lines on a `Console`; with a spinner while something is under way, where the terminal can show one."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    def ready(self, name: str, seconds: float) -> None:
        self.done(NAMES.get(name, name), seconds)

    def done(self, what: str, seconds: float) -> None:
        self._print(f"  [green]✓[/] {escape(what):<{WIDTH}}  [dim]{seconds:5.1f} s[/]")

    def crashed(self, name: str, how: str, last_lines: str, again_in: float) -> None:
        self.problem(f"{NAMES.get(name, name)} {how}; starting it again in {again_in:g} s")
        for text in last_lines.splitlines()[-LINES_OF_A_CRASH:]:
            self.line(name, brief(text))

    def back(self, name: str) -> None:
        self._print(f"  [green]✓[/] {NAMES.get(name, name)} is back")

    def stopped(self, name: str, seconds: float) -> None:
        self._print(f"  [dim]■ {NAMES.get(name, name):<{WIDTH}}  {seconds:5.1f} s[/]")

    def killed(self, name: str, grace: float) -> None:
        self.problem(f"{NAMES.get(name, name)} did not stop within {grace:g} s and was killed")

    def line(self, name: str, text: str) -> None:
        colour = COLOURS[list(NAMES).index(name) % len(COLOURS)] if name in NAMES else "white"
        self._print(Text.assemble((f"  {NAMES.get(name, name):>{WIDTH}} │ ", colour), text))

    def problem(self, text: str) -> None:
        self._print(f"  [red]✗[/] {escape(text)}")

    def say(self, text: RenderableType) -> None:
        self._print(text)

    def stopping(self, number: signal.Signals) -> None:
        why = "" if number.name == "SIGINT" else f" ({number.name})"
        self._print(f"\n[bold]Stopping{why}[/]: what is being sent is finished first. Ctrl-C again stops at once.")

    @contextmanager
    def step(self, what: str) -> Generator[None]:
        """Show that this is under way."""
        if not self.console.is_terminal:
            self._print(f"  … {what}")
            yield
            return
        with self.console.status(f"{what} …"):
            yield

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def _print(self, text: RenderableType) -> None:
        try:
            self.console.print(text, highlight=False, soft_wrap=isinstance(text, str | Text))
        except OSError:
            # The terminal was closed, or the pipe's reader has gone: everything still has to be stopped in order.
            return
