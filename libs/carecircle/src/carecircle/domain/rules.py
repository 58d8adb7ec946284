"""The kinds of rules that yield planned times. A kind is one class in a file of its own; `Rule` and `RULES` list them.

Each kind yields its slots in the order they are due, and knows its stored form. What is common to all kinds (windows,
start and end, dose, zone) is in `schedule.py`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from carecircle.domain.as_needed import AsNeededRule
from carecircle.domain.calendar_rule import CalendarRule
from carecircle.domain.errors import Invalid
from carecircle.domain.interval_rule import IntervalRule
from carecircle.domain.steps_rule import StepsRule

Rule: TypeAlias = CalendarRule | IntervalRule | StepsRule | AsNeededRule
"""The union of all kinds."""
RULES: dict[str, type[Rule]] = {kind.kind: kind for kind in (CalendarRule, IntervalRule, StepsRule, AsNeededRule)}


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """What is stored of a rule beside its `kind`."""
    return rule.to_json()


def rule_from_json(kind: str, data: dict[str, Any]) -> Rule:
    """The rule that was stored.

    Raises:
        Invalid: there is no such kind, or what was stored is none of it.
    """
    if (rule := RULES.get(kind)) is None:
        raise Invalid(f"Unknown kind of schedule; there is: {', '.join(RULES)}.", field="kind")
    try:
        return rule.from_json(data)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise Invalid(f"This is not a rule of the kind {kind}.", field="rule") from error
