"""What makes two failures the same: the class of the error, its message without what varies, and where it was raised.

Pure. Reads the stack traces that Python and Node write.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

LONGEST = 300
"""Characters of a message that are looked at."""

VARIABLE = (
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE), "<url>"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<email>"),
    (re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"), "<time>"),
    (re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`"), "<text>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}\b"), "<hex>"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "<n>"),
)
"""What varies from one failure to the next, the longest first, and what stands for it."""
NOTE = re.compile(r" \((?:no dead letter|not tried again): .*\)$", re.DOTALL)
"""What a worker adds to a reason."""
PYTHON_FRAME = re.compile(r'^  File "(?P<file>.*)", line \d+, in (?P<function>.*)$')
NODE_FRAME = re.compile(r"^    at (?:async )?(?:(?P<function>.*?) \()?(?P<file>[^()]*?)(?::\d+){1,2}\)?$")
ERROR = re.compile(r"^(?P<error>[A-Za-z_][\w.]*)(?:: |$)")
GROUP = re.compile(r"^  (?:\+ Exception Group|\| )")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a failure has in common with others. `id` is short enough to be told to somebody."""

    error: str
    """The name of the error's class; empty if nothing tells."""
    message: str
    """The message without what varies."""
    place: str
    """`file in function` of the innermost frame, without the line: it moves with every edit. Empty if nothing tells."""

    @property
    def id(self) -> str:
        text = "\0".join((self.error, self.message, self.place))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def fingerprint_of(reason: str, trace: str) -> Fingerprint:
    """What identifies a failure: its reason, and its last stack trace, which may be missing or older than it."""
    reason = NOTE.sub("", reason)
    first = reason.partition("\n")[0]
    if not first or first not in trace:  # it failed without an attempt of its own: expired, stalled, condemned
        return Fingerprint("", normalised(reason), "")
    lines = trace.splitlines()
    error, place = _of_node(lines) if "\n    at " in trace else _of_python(lines)
    return Fingerprint(error, normalised(reason if reason != error else ""), place)


def normalised(message: str) -> str:
    """The first line of a message with a word for each part that varies."""
    text = message.partition("\n")[0][:LONGEST]
    for pattern, word in VARIABLE:
        text = pattern.sub(word, text)
    return text


def _of_python(lines: list[str]) -> tuple[str, str]:
    if lines and GROUP.match(lines[0]):
        lines = [line[4:] for line in lines[1:] if line.startswith("  | ")]  # the group itself; what it holds is deeper
    frames = [(number, found) for number, line in enumerate(lines) if (found := PYTHON_FRAME.match(line))]
    if not frames:
        return _error(lines[0] if lines else ""), ""
    number, frame = frames[-1]
    told = next((line for line in lines[number + 1 :] if line and not line.startswith(" ")), "")
    return _error(told), f"{_file(frame['file'])} in {frame['function']}"


def _of_node(lines: list[str]) -> tuple[str, str]:
    frame = next((found for line in lines if (found := NODE_FRAME.match(line))), None)
    if frame is None:
        return _error(lines[0]), ""
    # the same function is `act` or `Worker.act [as processFn]`, before and after it has awaited something
    function = (frame["function"] or "<anonymous>").partition(" [as ")[0].rpartition(".")[2]
    place = f"{_file(frame['file'])} in {function}"
    return _error(lines[0]), place


def _error(line: str) -> str:
    found = ERROR.match(line)
    return found["error"].rpartition(".")[2] if found else ""


def _file(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]
