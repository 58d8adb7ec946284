"""Where commands write: results to standard output, everything about them to standard error."""

from __future__ import annotations

from rich.console import Console


def output() -> Console:
    return Console(highlight=False)


def messages() -> Console:
    return Console(stderr=True, highlight=False)
