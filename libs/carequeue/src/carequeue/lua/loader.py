"""Reads the scripts: a command is one file whose `--- @include "name"` lines pull in one function each."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
INCLUDE = re.compile(r'^--- @include "(\w+)"\n', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A script ready to run; `sha` is the name under which a server keeps it."""

    name: str
    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """The script of a command, e.g. `load("step")`, with everything it includes in front of its own text."""
    included: dict[str, str] = {}
    body = _resolve((FOLDER / "commands" / f"{name}-1.lua").read_text("utf-8"), included)
    text = "\n".join([*included.values(), body])
    return Script(name, text, hashlib.sha1(text.encode()).hexdigest())  # noqa: S324 - Redis names scripts by SHA-1


def _resolve(text: str, included: dict[str, str]) -> str:
    """The text without its include lines; what they name goes into `included` first, each once, depth first."""
    for name in INCLUDE.findall(text):
        if name not in included:
            body = _resolve((FOLDER / "includes" / f"{name}.lua").read_text("utf-8"), included)
            included[name] = body
    return INCLUDE.sub("", text)
