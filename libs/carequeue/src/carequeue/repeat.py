"""When a repeating job runs next. Pure; schedulers use it, and `wall.py` says what happens when the clocks change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from carequeue.cron import MAX_LENGTH, Cron
from carequeue.errors import InvalidOption
from carequeue.misfire import RUN_ONCE
from carequeue.wall import next_instant

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from carequeue.misfire import Misfire

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
TICK = timedelta(microseconds=1)
ZERO = timedelta(0)
MAX_INTERVAL = timedelta(days=365 * 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """How a job repeats: `Repeat.cron("0 8 * * *", zone="Europe/Berlin")` or `Repeat.every(timedelta(minutes=5))`.

    `limit` is the number of runs at the most (the scheduler counts them), `start` and `end` the instants between which
    it runs, both included. `misfire` says what becomes of runs that nobody could take in time: `RunOnce()`,
    `SkipLate(timedelta(minutes=10))` or `CatchUp(5)`.
    """

    pattern: str | None = None
    interval: timedelta | None = None
    zone: str = "UTC"
    limit: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    offset: timedelta | None = None
    immediately: bool = False
    misfire: Misfire = RUN_ONCE
    custom: bool = False

    @classmethod
    def cron(
        cls,
        pattern: str,
        *,
        zone: str = "UTC",
        limit: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        immediately: bool = False,
        misfire: Misfire = RUN_ONCE,
    ) -> Repeat:
        """At the times of a cron pattern (see `cron.py` for what it may say), by the clocks of `zone`.

        `immediately`: the first run is now, whatever the pattern says.
        """
        return cls(
            pattern=pattern, zone=zone, limit=limit, start=start, end=end, immediately=immediately, misfire=misfire
        )

    @classmethod
    def by_strategy(
        cls,
        pattern: str,
        *,
        zone: str = "UTC",
        limit: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        immediately: bool = False,
        misfire: Misfire = RUN_ONCE,
    ) -> Repeat:
        """At the times that the `repeat_strategy` of the queue and its workers finds for `pattern`, which is any text.

        A strategy decides about cron patterns too; this is for those that are none.
        """
        return cls(
            pattern=pattern, zone=zone, limit=limit, start=start, end=end, immediately=immediately, misfire=misfire,
            custom=True,
        )  # fmt: skip

    @classmethod
    def every(
        cls,
        interval: timedelta,
        *,
        limit: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        offset: timedelta | None = None,
        misfire: Misfire = RUN_ONCE,
    ) -> Repeat:
        """Each `interval`, the first time at once or at `start`.

        With an `offset` the runs lie on multiples of the interval since 1970 (UTC), moved on by the offset.
        """
        return cls(interval=interval, limit=limit, start=start, end=end, offset=offset, misfire=misfire)

    def __post_init__(self) -> None:
        if (self.pattern is None) == (self.interval is None):
            raise InvalidOption("a job repeats by a cron pattern or by an interval: use Repeat.cron or Repeat.every")
        if self.pattern is not None:
            _check_pattern(self.pattern, custom=self.custom)
            _check_zone(self.zone)
        if self.interval is not None:
            _check_interval(self.interval, self.offset)
        if self.limit is not None and self.limit < 1:
            raise InvalidOption(f"a limit is at least 1 run, got {self.limit}")
        for name in ("start", "end"):
            check_aware(name, getattr(self, name))
        if self.start is not None and self.end is not None and self.end < self.start:
            raise InvalidOption(f"it ends at {self.end.isoformat()}, before it starts at {self.start.isoformat()}")


def next_run(repeat: Repeat, *, after: datetime, previous: datetime | None = None, seed: str = "") -> datetime | None:
    """The next run, in UTC; None when `end` (or the calendar) leaves none. `limit` is the caller's to count.

    `after` is now, `previous` the instant that the run before was due at. A pattern runs strictly after both; an
    interval one interval after `previous`, or, if that is past, at the next multiple of it that is not. So the runs
    missed in an outage are not made up for: the one that was waiting runs late, and stands for all of them. `seed` (the
    scheduler's id) decides about `H` in a pattern.
    """
    check_aware("after", after)
    check_aware("previous", previous)
    if repeat.interval is not None:
        run = _next_interval(repeat, repeat.interval, after, previous)
    else:
        run = _next_slot(repeat, after, previous, seed)
    if run is None or (repeat.end is not None and run > repeat.end):
        return None
    return run.astimezone(UTC)


def _next_slot(repeat: Repeat, after: datetime, previous: datetime | None, seed: str) -> datetime | None:
    start = repeat.start
    if repeat.immediately and previous is None:
        return after if start is None else max(after, start)
    if repeat.custom:
        raise InvalidOption(f"{repeat.pattern!r} needs a strategy: Queue(…, repeat_strategy=…), and the workers too")
    floor = after if previous is None else max(after, previous)
    if start is not None:
        floor = max(floor, start - TICK)
    return next_instant(Cron.parse(repeat.pattern or "", seed=seed), ZoneInfo(repeat.zone), floor)


def _next_interval(repeat: Repeat, interval: timedelta, after: datetime, previous: datetime | None) -> datetime | None:
    start = repeat.start
    floor = after if start is None else max(after, start)
    try:
        if previous is not None:
            return previous + max(1, _ceil(floor - previous, interval)) * interval
        if repeat.offset is None:
            return floor
        anchor = EPOCH + repeat.offset
        return anchor + _ceil(floor - anchor, interval) * interval
    except OverflowError:  # the year 9999 ended
        return None


def _ceil(span: timedelta, interval: timedelta) -> int:
    return -(-span // interval)


def _check_pattern(pattern: str, *, custom: bool) -> None:
    if not custom:
        Cron.parse(pattern)
    elif not pattern or not pattern.isprintable() or len(pattern) > MAX_LENGTH:
        raise InvalidOption(f"a pattern is printable text of 1 to {MAX_LENGTH} characters, got {pattern[:80]!r}")


def _check_interval(interval: timedelta, offset: timedelta | None) -> None:
    if not MILLISECOND <= interval <= MAX_INTERVAL:
        raise InvalidOption(f"an interval is between 1 ms and {MAX_INTERVAL.days} days, got {interval}")
    if interval % MILLISECOND:
        raise InvalidOption(f"an interval has whole milliseconds, got {interval}")
    if offset is not None and not ZERO <= offset < interval:
        raise InvalidOption(f"an offset lies between 0 and the interval of {interval}, got {offset}")


def _check_zone(zone: str) -> None:
    known = _zones()
    if zone in known:
        return
    close = get_close_matches(zone, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ", such as 'Europe/Berlin' or 'UTC'"
    raise InvalidOption(f"{zone!r} is not an IANA time zone{hint}")


@lru_cache(maxsize=1)
def _zones() -> AbstractSet[str]:
    return frozenset(available_timezones())


def check_aware(name: str, at: datetime | None) -> None:
    if at is not None and at.tzinfo is None:
        raise InvalidOption(f"{name} wants an aware datetime, got the naive {at.isoformat()}")
