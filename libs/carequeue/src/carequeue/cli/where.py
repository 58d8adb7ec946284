"""`--where`: which jobs are meant, by what they carry and what became of them. It shows nothing of it."""

from __future__ import annotations

import json
import re
from argparse import ArgumentTypeError
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from carequeue.errors import CarequeueError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from carequeue.job import Job

    Test = Callable[[Job[Any]], bool]

HELP = (
    "only jobs of which this holds: WHAT=VALUE, WHAT!=VALUE, or WHAT~TEXT (contains). WHAT is "
    "data, or a place in it like data.patient.id; result; or reason, group, worker, scheduler, id. Repeat it: all hold"
)

TERM = re.compile(r"([\w.-]+?)(!=|=|~)(.*)", re.DOTALL)
TEXTS: Mapping[str, Callable[[Job[Any]], object]] = {
    "reason": lambda job: job.failed_reason,
    "group": lambda job: job.group,
    "worker": lambda job: job.worker_name,
    "scheduler": lambda job: job.scheduler_id,
    "id": lambda job: job.id,
}
VALUES: Mapping[str, Callable[[Job[Any]], object]] = {
    "data": lambda job: job.data,
    "result": lambda job: job.return_value,
}
MISSING = object()


def where(text: str) -> Test:
    """The test that a text stands for.

    Raises:
        ArgumentTypeError: it is none.
    """
    found = TERM.fullmatch(text)
    if found is None:
        raise ArgumentTypeError(f"WHAT=VALUE, WHAT!=VALUE or WHAT~TEXT, got {text!r}")
    what, sign, wanted = found.groups()
    head, *path = what.split(".")
    if head not in VALUES and (path or head not in TEXTS):
        raise ArgumentTypeError(f"of a job one can ask for {', '.join([*VALUES, *TEXTS])}, got {what!r}")
    read = {**VALUES, **TEXTS}[head]
    compare = _contains if sign == "~" else _is

    def holds(job: Job[Any]) -> bool:
        value: object = MISSING
        with suppress(CarequeueError, ValueError):  # what cannot be read is not what was asked for
            value = _at(read(job), path)
        return compare(value, wanted) is not (sign == "!=")

    return holds


def _at(value: object, path: list[str]) -> object:
    for step in path:
        if isinstance(value, dict):
            value = cast("dict[str, object]", value).get(step, MISSING)
        elif isinstance(value, list) and step.isdecimal():
            items = cast("list[object]", value)
            value = items[int(step)] if int(step) < len(items) else MISSING
        else:
            return MISSING
    return value


def _is(value: object, wanted: str) -> bool:
    """A text is compared as it is written, anything else as JSON."""
    if value is MISSING:
        return False
    if isinstance(value, str) and value == wanted:
        return True
    try:
        meant: object = json.loads(wanted)
    except ValueError:
        return False
    return value == meant and isinstance(value, bool) is isinstance(meant, bool)


def _contains(value: object, wanted: str) -> bool:
    if value is MISSING or value is None:
        return False
    return wanted in (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
