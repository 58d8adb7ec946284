"""From a stored plan back to the body that would make it."""

from __future__ import annotations

from typing import Any

from carecircle.domain.dose import Dose
from carecircle.domain.interval_rule import IntervalRule
from carecircle.domain.schedule import SchedulePlan
from carecircle.domain.times import duration_text


def body_of(plan: SchedulePlan) -> dict[str, Any]:
    """What to POST to get this plan: only what is not as usual. `start_zone` is not part of it."""
    stored = plan.rule.to_json()
    rule = {name: value for name, value in stored.items() if value not in (None, []) and name != "start_zone"}
    if "steps" in rule:
        rule["steps"] = [_step(step) for step in rule["steps"]]
    else:
        rule["dose"] = _dose(plan.dose.to_json())
    if not isinstance(plan.rule, IntervalRule):
        rule["start_date"] = plan.start_date.isoformat()
    wishes = {
        "end_date": None if plan.end_date is None else plan.end_date.isoformat(),
        "zone": plan.zone,
        "zone_policy": plan.zone_policy.value,
        "count": plan.count,
        "severity": plan.severity,
        **{
            name: None if (length := getattr(plan, name)) is None else duration_text(length)
            for name in ("min_gap", "on_time", "missed_after")
        },
    }
    given = {name: value for name, value in wishes.items() if value is not None}
    return {"kind": plan.rule.kind, **rule, **given}


def _step(step: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in step.items() if value is not None}
    return {**given, "dose": _dose(step["dose"])}


def _dose(stored: dict[str, str]) -> dict[str, Any]:
    dose = Dose.from_json(stored)
    whole = dose.quantity == dose.quantity.to_integral_value()
    return {"quantity": int(dose.quantity) if whole else float(dose.quantity), "unit": dose.unit}
