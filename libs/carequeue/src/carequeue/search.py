"""Going through the jobs of a queue page by page, while others take and add jobs: `queue.search(…)`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from carequeue.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carequeue.job import Job
    from carequeue.store.administration import WireState
    from carequeue.store.reading import Fields, Reading

AT_ONCE = 1000
"""Jobs that one call reads at the most: more would keep other clients waiting."""


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, and where to go on."""

    jobs: list[Job[Any]]
    next: str | None
    """For `search(…, after=page.next)`, also in another process or on another day; None: that was all."""


async def look(
    reading: Reading, states: Sequence[WireState], after: str | None, size: int
) -> tuple[list[tuple[str, Fields]], str | None]:
    """The next `size` jobs, fewer where a state ends, and the place behind them; none are there only at the end.

    Raises:
        InvalidOption: `after` is no place in these states.
    """
    if not 1 <= size <= AT_ONCE:
        raise InvalidOption(f"a page has between 1 and {AT_ONCE} jobs, got {size}")
    state, *place = _place(after) if after is not None else states[:1]
    if state not in states:
        raise InvalidOption(f"`after` is the `next` of a page of the same states, got {after!r}")
    left = states[states.index(cast("WireState", state)) :]
    for at, each in enumerate(left):
        found, place = await reading.search(each, size, place)
        if found or place:
            rest = [each, *place] if place else left[at + 1 : at + 2]
            return found, json.dumps(rest, separators=(",", ":")) if rest else None
    return [], None


def _place(after: str) -> list[str]:
    try:
        found: object = json.loads(after)
    except ValueError:
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(part, str) for part in cast("list[Any]", found)):
        raise InvalidOption(f"`after` is the `next` of a page, got {after!r}")
    return cast("list[str]", found)
