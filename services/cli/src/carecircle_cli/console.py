"""Where commands write: results to standard output, everything about them to standard error."""

from __future__ import annotations

import sys

from rich.console import Console

WIDE = 160


def output() -> Console:
    """On a terminal as wide as that is; into a pipe or a file wide enough for whole ids."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def messages() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)
