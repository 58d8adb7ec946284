"""What a schedule will do, or would have done, and why: asked before it is saved, and with a journey ahead. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from carecircle.domain.as_needed import Allowance, AsNeededRule, allowance
from carecircle.domain.interval_rule import IntervalRule
from carecircle.domain.moving import MOVED
from carecircle.domain.schedule import (
    ORDINARY,
    Background,
    PlannedDose,
    SchedulePlan,
    ZonePolicy,
    occurrences,
    raised_from,
)
from carecircle.domain.windows import LOOK_AHEAD
from carecircle.domain.zones import zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from zoneinfo import ZoneInfo

LONG_AGO = datetime(1999, 1, 1, tzinfo=UTC)
MOST_DOSES = 5000
INSTANT = timedelta.resolution
NOTHING: frozenset[datetime] = frozenset()

ZONE_CHANGE = "zone_change"
"""The first dose in a new zone."""
RAISED_AT_ONCE = "raised_at_once"
"""Past in the new zone already when the patient arrived, but not yet missed."""
MIN_GAP = "min_gap"
"""Left out: too close to the last dose before a change of zone."""
AFTER_TAKEN = "after_taken"
"""Counted from when the last dose was taken."""


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """From this instant on the patient is in another zone."""

    at: datetime
    zone: str


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One dose and why it is there, or why it is not."""

    dose: PlannedDose
    notes: tuple[str, ...]
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    occurrences: list[Foreseen]
    dropped: list[Foreseen]
    as_needed: list[tuple[datetime, Allowance]]
    """For a schedule as needed: after each dose taken, when the next is allowed."""
    truncated: bool
    """There are more than `MOST_DOSES`; the first ones are there."""


@dataclass(frozen=True, slots=True)
class Stay:
    """The time in one zone: doses due after `begin` (for the first stay: all) up to `end`, inclusive."""

    zone: str
    begin: datetime | None
    end: datetime


def preview(
    plan: SchedulePlan,
    *,
    zone: str,
    since: datetime,
    until: datetime,
    zone_changes: Sequence[ZoneChange] = (),
    background: Background = ORDINARY,
    valid_from: datetime = LONG_AGO,
) -> Preview:
    """The doses due in [since, until). `zone` is the patient's before the first change."""
    plan, stays = _stays(plan, zone, until, sorted(zone_changes, key=lambda change: change.at))
    all_doses = _foreseen(plan, stays, since, background, valid_from)
    shown = list(islice((one for one in all_doses if since <= one.dose.due_at < until), MOST_DOSES + 1))
    kept = sorted(shown[:MOST_DOSES], key=lambda one: one.dose.due_at)
    resumed = {stay.zone: _resumed(plan, background.taken, zone_named(plan.zone or stay.zone)) for stay in stays}
    return Preview(
        occurrences=[_noted(one, resumed.get(one.dose.zone, NOTHING)) for one in kept if not one.dropped],
        dropped=[one for one in kept if one.dropped],
        as_needed=_as_needed(plan, background.taken),
        truncated=len(shown) > MOST_DOSES,
    )


def with_moved(found: Preview, moved: Sequence[PlannedDose]) -> Preview:
    """The same with single doses where people moved them; their notes say `moved`."""
    places = {dose.nominal_local for dose in moved}
    stay = [one for one in found.occurrences if one.dose.nominal_local not in places]
    both = [*stay, *(Foreseen(dose, (MOVED,)) for dose in moved)]
    return replace(found, occurrences=sorted(both, key=lambda one: one.dose.due_at))


def _stays(
    plan: SchedulePlan, zone: str, until: datetime, changes: list[ZoneChange]
) -> tuple[SchedulePlan, list[Stay]]:
    """What the patient's journey means for this plan; and the plan with what must not travel tied to its home."""
    zone_named(plan.zone or zone)
    if plan.keeps_its_instants and isinstance(plan.rule, IntervalRule) and plan.zone is None:
        plan = replace(plan, rule=replace(plan.rule, start_zone=plan.rule.start_zone or zone))
    if plan.zone is not None or plan.zone_policy is ZonePolicy.HOME:
        changes = []
    edges = [change.at for change in changes if change.at < until] + [until]
    zones = [zone, *(change.zone for change in changes)]
    begins: list[datetime | None] = [None, *edges[:-1]]
    return plan, [Stay(*one) for one in zip(zones, begins, edges, strict=False)]


def _foreseen(
    plan: SchedulePlan, stays: list[Stay], since: datetime, background: Background, valid_from: datetime
) -> Iterator[Foreseen]:
    min_gap = plan.smallest_gap(background.routine)
    matters = min_gap + LOOK_AHEAD
    last: datetime | None = None
    for stay in stays:
        begin = min(since, stay.end - matters)  # far enough back to know the last dose before the next change
        if stay.begin is None or begin - stay.begin > matters:
            doses = _first_stay(plan, stay, begin, background, valid_from)
        else:
            last = max([at for at in (last, *background.taken) if at is not None and at <= stay.begin], default=None)
            doses = _next_stay(plan, stay, stay.begin, last, min_gap, background, valid_from)
        for one in doses:
            if not one.dropped:
                last = one.dose.due_at if last is None else max(last, one.dose.due_at)
            yield one


def _first_stay(
    plan: SchedulePlan, stay: Stay, since: datetime, background: Background, valid_from: datetime
) -> Iterator[Foreseen]:
    for dose in occurrences(
        plan, zone=stay.zone, valid_from=valid_from, since=since, until=stay.end + INSTANT, background=background
    ):
        yield Foreseen(dose, ())


def _next_stay(
    plan: SchedulePlan,
    stay: Stay,
    begin: datetime,
    last: datetime | None,
    min_gap: timedelta,
    background: Background,
    valid_from: datetime,
) -> Iterator[Foreseen]:
    if plan.keeps_its_instants:
        yield from _first_stay(plan, stay, begin + INSTANT, background, valid_from)
        return
    arrived = (ZONE_CHANGE,)
    for dose in raised_from(
        plan,
        zone=stay.zone,
        valid_from=valid_from,
        changed_at=begin,
        until=stay.end + INSTANT,
        background=background,
    ):
        if last is not None and dose.due_at - last < min_gap:
            yield Foreseen(dose, (ZONE_CHANGE, MIN_GAP), dropped=True)
        else:
            yield Foreseen(dose, (*arrived, RAISED_AT_ONCE) if dose.due_at <= begin else arrived)
            arrived = ()


def _resumed(plan: SchedulePlan, taken: Sequence[datetime], zone: ZoneInfo) -> frozenset[datetime]:
    """The instants that are counted from a dose that was taken."""
    rule = plan.rule
    if not isinstance(rule, IntervalRule) or not rule.follows_answers:
        return NOTHING
    return frozenset(rule.resumes_at(at, zone) for at in taken if rule.is_answered_by(at, zone))


def _noted(one: Foreseen, resumed: frozenset[datetime]) -> Foreseen:
    """With what the dose itself says: a gap, or the answer that it is counted from."""
    notes = one.notes if one.dose.note is None else (one.dose.note, *one.notes)
    return replace(one, notes=(*notes, AFTER_TAKEN) if one.dose.due_at in resumed else notes)


def _as_needed(plan: SchedulePlan, taken: Sequence[datetime]) -> list[tuple[datetime, Allowance]]:
    if not isinstance(plan.rule, AsNeededRule):
        return []
    return [(at, allowance(plan.rule, taken, at)) for at in taken]
