"""Until when somebody handles a dose, and who is reminded meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecircle.domain.acknowledgement import holds_until
from carecircle.domain.errors import Invalid
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.occurrence import Facts, NotYet, OccurrenceState, Remind, Skip, SkipReason, still_matters

DUE = datetime(2026, 4, 10, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ANNA, BEN = uuid4(), uuid4()


@pytest.mark.parametrize(
    ("now", "window", "wish", "expected"),
    [
        (0, 360, None, 30),
        (-10, 360, None, 30),  # said before it is due: counted from then
        (100, 360, None, 130),
        (0, 30, None, 15),  # a short window: half of it
        (20, 30, None, 25),
        (0, 360, 60, 60),
        (0, 360, DUE + 345 * MINUTE, 345),
    ],
)
def test_it_holds_for_half_an_hour_or_as_wished(
    now: int, window: int, wish: int | datetime | None, expected: int
) -> None:
    until = holds_until(wish, due_at=DUE, missed_at=DUE + window * MINUTE, now=DUE + now * MINUTE)

    assert until == DUE + expected * MINUTE


@pytest.mark.parametrize(
    ("wish", "field"),
    [(4, "minutes"), (241, "minutes"), (50, "minutes"), (DUE, "until"), (DUE + 46 * MINUTE, "until")],
)
def test_a_wish_that_leaves_the_others_no_time_is_refused(wish: int | datetime, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        holds_until(wish, due_at=DUE, missed_at=DUE + 60 * MINUTE, now=DUE)

    assert refused.value.field == field


@given(st.integers(-600, 719), st.integers(1, 720))
def test_the_others_can_always_be_asked_before_it_is_missed(now: int, window: int) -> None:
    missed_at = DUE + window * MINUTE
    at = min(DUE + now * MINUTE, missed_at - timedelta(seconds=1))

    assert max(at, DUE) < holds_until(None, due_at=DUE, missed_at=missed_at, now=at) < missed_at


HANDLED = Facts(
    state=OccurrenceState.DUE,
    revision=1,
    schedule_revision=1,
    schedule_deleted=False,
    medication_status=MedicationStatus.ACTIVE,
    medication_deleted=False,
    due_at=DUE,
    missed_at=DUE + 6 * 60 * MINUTE,
    remind_at=DUE,
    acknowledged_by=ANNA,
    acknowledged_until=DUE + 30 * MINUTE,
)


def test_while_somebody_handles_it_nobody_else_is_reminded() -> None:
    during, after = DUE + 29 * MINUTE, DUE + 30 * MINUTE

    assert still_matters(HANDLED, during) == Remind(late=True, only_to=ANNA)
    assert still_matters(HANDLED, during, recipient=ANNA) == Remind(late=True, only_to=ANNA)
    assert still_matters(HANDLED, during, recipient=BEN) == Skip(SkipReason.ACKNOWLEDGED)
    assert still_matters(HANDLED, after) == Remind(late=True)
    assert still_matters(HANDLED, after, recipient=BEN) == Remind(late=True)


def test_handling_a_dose_neither_answers_nor_hastens_it() -> None:
    answered = replace(HANDLED, state=OccurrenceState.TAKEN)

    assert still_matters(answered, DUE, recipient=BEN) == Skip(SkipReason.ANSWERED)
    assert still_matters(HANDLED, DUE - MINUTE) == NotYet(DUE)
