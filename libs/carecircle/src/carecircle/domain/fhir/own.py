"""A schedule as the text of our own extension, so that nothing of it is lost on the way through FHIR."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.interval_rule import IntervalRule
from carecircle.domain.medication import Severity
from carecircle.domain.rules import rule_from_json, rule_to_json
from carecircle.domain.schedule import SchedulePlan, ZonePolicy
from carecircle.domain.times import duration, duration_text
from carecircle.domain.zones import instant_of, wall_time, zone_named

LENGTHS = ("min_gap", "on_time", "missed_after")
LONGEST_TEXT = 50_000


def plan_text(plan: SchedulePlan) -> str:
    """The whole plan."""
    return json.dumps(
        {
            "kind": plan.rule.kind,
            "rule": rule_to_json(plan.rule),
            "start_date": plan.start_date.isoformat(),
            "end_date": None if plan.end_date is None else plan.end_date.isoformat(),
            "zone": plan.zone,
            "zone_policy": plan.zone_policy,
            "dose": plan.dose.to_json(),
            "count": plan.count,
            "severity": plan.severity,
            **{name: _text(getattr(plan, name)) for name in LENGTHS},
        },
        sort_keys=True,
    )


def plan_from_text(text: str) -> SchedulePlan | None:
    """The plan that `plan_text` wrote; None if this is none."""
    if len(text) > LONGEST_TEXT:
        return None
    try:
        data: dict[str, Any] = json.loads(text)
        end, severity = data["end_date"], data["severity"]
        lengths = {name: _length(data[name]) for name in LENGTHS}
        return SchedulePlan(
            rule=rule_from_json(data["kind"], data["rule"]),
            start_date=date.fromisoformat(data["start_date"]),
            end_date=None if end is None else date.fromisoformat(end),
            zone=data["zone"],
            zone_policy=ZonePolicy(data["zone_policy"]),
            dose=Dose.from_json(data["dose"]),
            count=data["count"],
            severity=None if severity is None else Severity(severity),
            min_gap=lengths["min_gap"],
            on_time=lengths["on_time"],
            missed_after=lengths["missed_after"],
        )
    except (Invalid, KeyError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError):
        return None


def in_zone(plan: SchedulePlan, zone: str) -> SchedulePlan | None:
    """The same plan for a patient in `zone`, with the start of an interval by the wall clock that counts there.

    None: no wall clock shows that start once, so that it cannot be written down.
    """
    rule = plan.rule
    if not isinstance(rule, IntervalRule) or rule.start_zone is None:
        return plan
    place = zone_named(plan.zone or zone)
    start_at = instant_of(rule.start, zone_named(rule.start_zone))
    start = wall_time(start_at, place)
    if instant_of(start, place) != start_at:
        return None
    shift = start.date() - plan.start_date
    moved = replace(plan, rule=replace(rule, start=start, start_zone=None), start_date=start.date())
    return moved if abs(shift) <= timedelta(days=2) else None


def _text(length: timedelta | None) -> str | None:
    return None if length is None else duration_text(length)


def _length(text: str | None) -> timedelta | None:
    return None if text is None else duration(text, field="duration")
