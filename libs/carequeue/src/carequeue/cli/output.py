"""What the operator reads: tables and lines for people, or a JSON object a line for programs."""

from __future__ import annotations

import json
import signal
import sys
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

NOTHING = "-"


class Refused(Exception):
    """What was asked cannot be done as it was asked."""


class Output:
    """Writes results to stdout, and what is said about them to stderr."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json: bool = as_json

    def table(self, rows: Sequence[Mapping[str, Any]], *, none: str) -> None:
        """Rows that have the same columns. `none` is said, to people only, if there is no row."""
        if self.as_json:
            for row in rows:
                self.line(row)
            return
        if not rows:
            self.say(none)
            return
        lines = [[name.replace("_", " ").upper() for name in rows[0]]]
        lines += [[printable(_text(value)) for value in row.values()] for row in rows]
        widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
        for line in lines:
            self._write("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())

    def record(self, values: Mapping[str, Any]) -> None:
        """One thing with all that is known of it."""
        if self.as_json:
            self.line(values)
            return
        width = max(map(len, values))
        for name, value in values.items():
            first, *more = _text(value).splitlines() or [""]
            self._write(f"{name.replace('_', ' ').ljust(width)}  {printable(first)}".rstrip())
            for line in more:
                self._write(f"{'':{width}}  {printable(line)}".rstrip())

    def line(self, values: Mapping[str, Any], *texts: str) -> None:
        """Something of a stream; people get the texts, each on a line of its own."""
        if self.as_json:
            self._write(json.dumps(values, default=_plain, ensure_ascii=False))
        else:
            self._write("\n".join(map(printable, texts)))
        sys.stdout.flush()

    def done(self, text: str, **values: Any) -> None:
        """What a command has changed."""
        self.line(values, text)

    def text(self, text: str) -> None:
        self._write(text)

    def say(self, text: str) -> None:
        """To people, and never part of the result."""
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()

    def complain(self, text: str) -> None:
        self.say(f"carequeue: {text}")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Go on only if the operator says so, or said `--yes`.

        Raises:
            Refused: the operator does not, or there is nobody to ask.
        """
        if yes:
            return
        if not sys.stdin.isatty():
            raise Refused(f"{question} Nobody is there to ask: say --yes.")
        with _interruptible():
            sys.stderr.write(f"{printable(question)} [y/N] ")
            sys.stderr.flush()
            answer = sys.stdin.readline()
        if answer.strip().lower() not in ("y", "yes"):
            raise Refused("nothing was done")

    def _write(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")


def refuse(why: str) -> NoReturn:
    raise Refused(why)


@contextmanager
def _interruptible() -> Generator[None]:
    """Let Ctrl-C end what blocks here: asyncio's own handler would wait for the loop, which stands still."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def printable(text: str) -> str:
    """The text on one line, without what would move the cursor or colour the terminal: names and ids are anybody's."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def local(at: datetime | None) -> str:
    """An instant as people here write it, to the second, with its offset."""
    return NOTHING if at is None else at.astimezone().isoformat(" ", "seconds")


def _text(value: Any) -> str:
    match value:
        case None | "":
            return NOTHING
        case datetime():
            return local(value)
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return f"{value.total_seconds():g} s"
        case str():
            return value
        case list() | tuple() | dict():
            return json.dumps(value, default=_plain, ensure_ascii=False)
        case _:
            return str(value)


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case _:
            return str(value)
