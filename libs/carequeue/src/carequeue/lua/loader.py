"""Reads the scripts: a command is one file whose `--- @include "name"` lines pull in one function each.

Redis makes every function of a script anew at every call, which would be a third of what a call with one job costs. So
a function that few calls need says `--- @late` in its first line: it is made when it is first called, and with it what
only such functions need.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

FOLDER = Path(__file__).parent
INCLUDE = re.compile(r'^--- @include "(\w+)"\n', re.MULTILINE)
LATE = "--- @late\n"


@dataclass(frozen=True, slots=True)
class Script:
    """A script ready to run; `sha` is the name under which a server keeps it."""

    name: str
    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """The script of a command, e.g. `load("step")`, with everything it includes in front of its own text."""
    text = _put_together((FOLDER / "commands" / f"{name}-1.lua").read_text("utf-8"))
    return Script(name, text, hashlib.sha1(text.encode()).hexdigest())  # noqa: S324 - Redis names scripts by SHA-1


def _put_together(command: str) -> str:
    made = _needed(command, late=False)
    first = [_late(name, made) if _is_late(name) else _plain(_read(name)) for name in _needed(command) if name in made]
    return "\n".join([*first, _plain(command)])


def _needed(text: str, *, late: bool = True) -> dict[str, None]:
    """What a text includes, each once, what is needed before what needs it; `late`: also what late functions need."""
    names: dict[str, None] = {}
    for name in INCLUDE.findall(text):
        if late or not _is_late(name):
            names |= _needed(_read(name), late=late)
        names[name] = None
    return names


def _late(name: str, made: Container[str]) -> str:
    """A function that puts itself together at its first call: its own text then takes its place."""
    own = [_plain(_read(needed)) for needed in _needed(_read(name)) if needed not in made]
    itself = _plain(_read(name)).replace(f"local function {name}(", f"function {name}(")
    return f"local function {name}(...)\n" + "\n".join([*own, itself]) + f"return {name}(...)\nend\n"


def _is_late(name: str) -> bool:
    return _read(name).startswith(LATE)


def _plain(text: str) -> str:
    return INCLUDE.sub("", text.removeprefix(LATE))


@cache
def _read(name: str) -> str:
    return (FOLDER / "includes" / f"{name}.lua").read_text("utf-8")
