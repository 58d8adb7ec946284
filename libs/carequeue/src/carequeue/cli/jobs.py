"""`carequeue jobs`: the jobs of some states, page by page, and those among them that are looked for."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from carequeue.cli.look import UNFINISHED, inspector, row
from carequeue.job import JobState

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from carequeue.cli.output import Output
    from carequeue.inspect import Inspector
    from carequeue.job import Job

PAGE = 200
"""Jobs that are read at once."""


async def jobs(asked: Namespace, output: Output) -> int:
    """At most `--limit` of them, and where to go on after that."""
    states = [JobState(state) for state in asked.state or UNFINISHED]
    shown: dict[str, dict[str, Any]] = {}
    after: str | None = asked.after
    async with inspector(asked) as one:
        while True:
            found, after = await _some(one, states, asked, after, asked.limit - len(shown))
            where = await one.states(job.id for job in found)
            for job in found:
                shown[job.id] = row(job, where.get(job.id), with_data=asked.data)
            if after is None or len(shown) >= asked.limit:
                break
    output.table(list(shown.values()), none="no such job")
    if after is not None:
        output.say(f"there may be more: --after {shlex.quote(after)}")
    return 0


async def _some(
    inspector: Inspector, states: Sequence[JobState], asked: Namespace, after: str | None, most: int
) -> tuple[list[Job[Any]], str | None]:
    """At most so many of those that are meant among the next page of jobs, and where to go on."""
    page = await inspector.search(states, after=after, size=PAGE)
    places = [place for place, job in enumerate(page.jobs) if _is_meant(job, asked)]
    if len(places) > most:  # the page goes on behind the last that is shown: read only as far as that
        page = await inspector.search(states, after=after, size=places[most - 1] + 1)
        places = [place for place, job in enumerate(page.jobs) if _is_meant(job, asked)]
    return [page.jobs[place] for place in places], page.next


def _is_meant(job: Job[Any], asked: Namespace) -> bool:
    return (asked.name is None or job.name == asked.name) and all(holds(job) for holds in asked.where)
