"""Failed jobs by what they failed of: `queue.error_groups()`.

The failed jobs are read page by page, each only as far as its name, reason and stack traces, so a queue with very many
of them stays usable meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from carequeue.fingerprint import Fingerprint, fingerprint_of
from carequeue.wire.times import from_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from carequeue.store.reading import Failure, Reading

PAGE = 200
"""Failed jobs that one call reads."""
MOST_GROUPS = 2000
"""Messages that differ in what no rule knows of could make as many groups as jobs: after these all are one."""
SAMPLES = 5
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failed jobs that failed alike: by the same class of error, at the same place, with messages that differ only in
    numbers, ids, quoted texts and the like.
    """

    fingerprint: str
    """Identifies the group; the same wherever and whenever it is computed. "others" holds what is too various."""
    error: str
    """The class of the error; empty if the jobs did not fail in a handler."""
    message: str
    """The message of the newest one."""
    place: str
    """The file and function where it was raised."""
    count: int
    first_seen: datetime
    last_seen: datetime
    job_ids: tuple[str, ...]
    """Some of the jobs, the newest first."""
    names: tuple[str, ...]
    """The names that its jobs have, some of them if there are many."""


@dataclass(slots=True)
class _Group:
    newest: Failure
    print_: Fingerprint | None
    oldest: Failure
    count: int = 0
    job_ids: list[str] = field(default_factory=list[str])
    names: dict[str, None] = field(default_factory=dict[str, None])

    def add(self, failure: Failure) -> None:
        self.oldest = failure
        self.count += 1
        if len(self.job_ids) < SAMPLES:
            self.job_ids.append(failure.job_id)
        if len(self.names) < SAMPLES:
            self.names[failure.name] = None

    @property
    def value(self) -> ErrorGroup:
        found = self.print_ or Fingerprint("", "", "")
        return ErrorGroup(
            found.id if self.print_ else OTHERS,
            found.error,
            self.newest.reason,
            found.place,
            self.count,
            from_ms(self.oldest.failed_at),
            from_ms(self.newest.failed_at),
            tuple(self.job_ids),
            tuple(self.names),
        )


@dataclass(frozen=True, slots=True)
class ErrorScan:
    """How far a look at all failed jobs is: `done` of `total`."""

    done: int
    total: int
    _found: Mapping[str, _Group]

    @property
    def groups(self) -> list[ErrorGroup]:
        """The groups so far, those with most jobs first; worked out when it is asked for."""
        return [group.value for group in sorted(self._found.values(), key=lambda group: -group.count)]


async def scan(reading: Reading, newest: int | None) -> AsyncIterator[ErrorScan]:
    """The groups of the failed jobs, or of so many of the newest, after each page. The last one is all."""
    groups: dict[str, _Group] = {}
    done = 0
    async for total, page in pages(reading):
        wanted = page if newest is None else page[: newest - done]
        for failure in wanted:
            print_ = fingerprint_of_failure(failure)
            if print_.id not in groups and len(groups) >= MOST_GROUPS:
                group = groups.setdefault(OTHERS, _Group(failure, None, failure))
            else:
                group = groups.setdefault(print_.id, _Group(failure, print_, failure))
            group.add(failure)
        done += len(wanted)
        of_all = total if newest is None else min(total, newest)
        yield ErrorScan(done, max(of_all, done), groups)
        if newest is not None and done >= newest:
            return


async def pages(reading: Reading) -> AsyncIterator[tuple[int, list[Failure]]]:
    """How many failed jobs there are, and a page of them, the newest first, until all were there.

    A page is handed out when the next one has been read: what becomes of its jobs then does not move the place. Jobs
    that fail in the meantime are not among them.
    """
    total, page = await reading.failures(PAGE, [])
    while page:
        following: tuple[int, list[Failure]] = (total, [])
        if len(page) == PAGE:
            following = await reading.failures(PAGE, page)
        yield total, page
        total, page = following


def fingerprint_of_failure(failure: Failure) -> Fingerprint:
    return fingerprint_of(failure.reason, _last(failure.stacktrace))


def _last(stacktrace: str) -> str:
    try:
        traces = json.loads(stacktrace)
    except ValueError:
        return ""
    found = cast("list[object]", traces) if isinstance(traces, list) else []
    return str(found[-1]) if found else ""
