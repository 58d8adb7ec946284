"""What becomes of a planned dose: whether its reminder still matters, what silence means, answers, undo, snooze."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carecircle.domain.errors import Invalid
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.occurrence import (
    AdministrationStatus,
    Facts,
    NotYet,
    OccurrenceState,
    Remind,
    Skip,
    SkipReason,
    check_administered_at,
    nearest,
    reopened_state,
    snoozed_until,
    still_matters,
    sweep_state,
)

# Berlin, 2026-04-10: once a day at 08:00.
DUE = datetime(2026, 4, 10, 6, 0, tzinfo=UTC)
MISSED = datetime(2026, 4, 10, 18, 0, tzinfo=UTC)
OPEN_FACTS = Facts(
    state=OccurrenceState.PLANNED,
    revision=2,
    schedule_revision=2,
    schedule_deleted=False,
    medication_status=MedicationStatus.ACTIVE,
    medication_deleted=False,
    due_at=DUE,
    missed_at=MISSED,
    remind_at=DUE,
)


@pytest.mark.parametrize(
    ("now", "decision"),
    [
        pytest.param(DUE - timedelta(milliseconds=1), NotYet(DUE), id="a clock ahead"),
        pytest.param(DUE, Remind(late=False), id="on time"),
        pytest.param(DUE + timedelta(minutes=5), Remind(late=False), id="5 minutes"),
        pytest.param(DUE + timedelta(minutes=5, seconds=1), Remind(late=True), id="more than 5 minutes"),
        pytest.param(DUE.replace(hour=9, minute=10), Remind(late=True), id="37 after a downtime"),
        pytest.param(MISSED - timedelta(seconds=1), Remind(late=True), id="just in time"),
        pytest.param(MISSED, Skip(SkipReason.EXPIRED), id="too late"),
    ],
)
def test_an_open_dose_is_asked_for_from_due_to_missed(now: datetime, decision: Remind | NotYet | Skip) -> None:
    assert still_matters(OPEN_FACTS, now) == decision


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": OccurrenceState.TAKEN}, SkipReason.ANSWERED),
        ({"state": OccurrenceState.SKIPPED}, SkipReason.ANSWERED),
        ({"state": OccurrenceState.ON_HOLD}, SkipReason.INACTIVE),
        ({"state": OccurrenceState.CANCELLED}, SkipReason.SUPERSEDED),
        ({"state": OccurrenceState.MISSED}, SkipReason.EXPIRED),
        ({"state": OccurrenceState.UNKNOWN}, SkipReason.EXPIRED),
        ({"medication_status": MedicationStatus.ON_HOLD}, SkipReason.INACTIVE),
        ({"medication_status": MedicationStatus.STOPPED}, SkipReason.INACTIVE),
        ({"medication_status": MedicationStatus.COMPLETED}, SkipReason.INACTIVE),
        ({"medication_deleted": True}, SkipReason.INACTIVE),
        ({"schedule_deleted": True}, SkipReason.INACTIVE),
        ({"revision": 1}, SkipReason.SUPERSEDED),
        ({"already_sent": True}, SkipReason.ALREADY_SENT),
        ({"newer_is_due": True}, SkipReason.SUPERSEDED),
        ({"state": OccurrenceState.TAKEN, "revision": 1, "schedule_deleted": True}, SkipReason.ANSWERED),
        ({"state": OccurrenceState.CANCELLED, "medication_status": MedicationStatus.STOPPED}, SkipReason.INACTIVE),
    ],
)
def test_what_no_longer_matters_says_why(change: dict[str, Any], reason: SkipReason) -> None:
    assert still_matters(replace(OPEN_FACTS, **change), DUE) == Skip(reason)


def test_a_dose_that_is_not_there_says_so() -> None:
    assert still_matters(None, DUE) == Skip(SkipReason.NOT_FOUND)


def test_an_answer_before_the_dose_is_due_says_so_at_once() -> None:
    taken = replace(OPEN_FACTS, state=OccurrenceState.TAKEN)

    assert still_matters(taken, DUE - timedelta(hours=1)) == Skip(SkipReason.ANSWERED)


def test_a_snoozed_dose_waits_and_is_worded_late() -> None:
    snoozed = replace(OPEN_FACTS, state=OccurrenceState.DUE, remind_at=DUE + timedelta(minutes=10))

    assert still_matters(snoozed, DUE + timedelta(minutes=9)) == NotYet(DUE + timedelta(minutes=10))
    assert still_matters(snoozed, DUE + timedelta(minutes=10)) == Remind(late=True)


def test_38_after_a_downtime_each_dose_gets_what_is_left_for_it() -> None:
    """Berlin 08, 14 and 20; nothing ran from 05:00Z to 13:30Z."""

    def on_that_day(hour: int, missed_hour: int) -> Facts:
        due_at = DUE.replace(hour=hour)
        return replace(OPEN_FACTS, due_at=due_at, remind_at=due_at, missed_at=DUE.replace(hour=missed_hour))

    now = datetime(2026, 4, 10, 13, 30, tzinfo=UTC)

    assert still_matters(on_that_day(6, 9), now) == Skip(SkipReason.EXPIRED)
    assert still_matters(on_that_day(12, 15), now) == Remind(late=True)
    assert still_matters(on_that_day(18, 23), now) == NotYet(DUE.replace(hour=18))


def test_silence_is_missed_only_if_somebody_was_asked() -> None:
    assert sweep_state(reminded=True) is OccurrenceState.MISSED
    assert sweep_state(reminded=False) is OccurrenceState.UNKNOWN


@pytest.mark.parametrize(
    ("now", "replaced", "state"),
    [
        (DUE - timedelta(hours=1), False, OccurrenceState.PLANNED),
        (DUE, False, OccurrenceState.DUE),
        (MISSED - timedelta(seconds=1), False, OccurrenceState.DUE),
        (MISSED, False, OccurrenceState.MISSED),
        (DUE - timedelta(hours=1), True, OccurrenceState.CANCELLED),
        (DUE, True, OccurrenceState.MISSED),
    ],
)
def test_an_undone_answer_opens_the_dose_again_within_its_window(
    now: datetime, *, replaced: bool, state: OccurrenceState
) -> None:
    assert reopened_state(DUE, MISSED, now, replaced=replaced) is state


@pytest.mark.parametrize(
    ("at", "status", "kept"),
    [
        (DUE - timedelta(hours=24), AdministrationStatus.TAKEN, DUE - timedelta(hours=24)),
        (DUE - timedelta(days=9), AdministrationStatus.SKIPPED, DUE - timedelta(days=9)),
        (DUE, AdministrationStatus.TAKEN, DUE),
        (DUE + timedelta(hours=1, minutes=2), AdministrationStatus.TAKEN, DUE + timedelta(hours=1)),
    ],
    ids=["a day early", "skipped long before", "on time", "a phone two minutes ahead"],
)
def test_the_time_of_an_answer(at: datetime, status: AdministrationStatus, kept: datetime) -> None:
    assert check_administered_at(at, status, due_at=DUE, now=DUE + timedelta(hours=1)) == kept


@pytest.mark.parametrize(
    "at",
    [DUE + timedelta(hours=1, minutes=2, seconds=1), DUE - timedelta(hours=24, seconds=1), DUE.replace(tzinfo=None)],
    ids=["in the future", "of another dose", "without an offset"],
)
def test_a_time_that_cannot_be_meant_is_refused(at: datetime) -> None:
    with pytest.raises(Invalid) as refused:
        check_administered_at(at, AdministrationStatus.TAKEN, due_at=DUE, now=DUE + timedelta(hours=1))

    assert refused.value.field == "at"


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (DUE + timedelta(minutes=3), DUE + timedelta(minutes=13)),
        (DUE - timedelta(hours=2), DUE + timedelta(minutes=10)),
    ],
    ids=["from now", "from when it is due"],
)
def test_a_snooze_asks_again_that_much_later(now: datetime, until: datetime) -> None:
    assert snoozed_until(10, due_at=DUE, missed_at=MISSED, now=now) == until


@pytest.mark.parametrize(
    ("minutes", "now"),
    [(0, DUE), (-5, DUE), (241, DUE), (10, MISSED - timedelta(minutes=10))],
    ids=["none", "negative", "too long", "past the window"],
)
def test_a_snooze_that_makes_no_sense_is_refused(minutes: int, now: datetime) -> None:
    with pytest.raises(Invalid) as refused:
        snoozed_until(minutes, due_at=DUE, missed_at=MISSED, now=now)

    assert refused.value.field == "minutes"


@dataclass(frozen=True)
class Dose:
    name: str
    due_at: datetime
    missed_at: datetime


# Berlin, every night at 23:30 (21:30Z).
TENTH = Dose("10 April", datetime(2026, 4, 10, 21, 30, tzinfo=UTC), datetime(2026, 4, 11, 9, 30, tzinfo=UTC))
ELEVENTH = Dose("11 April", datetime(2026, 4, 11, 21, 30, tzinfo=UTC), datetime(2026, 4, 12, 9, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("at", "bound"),
    [
        pytest.param("2026-04-10T22:20Z", TENTH, id="44 twenty past midnight"),
        pytest.param("2026-04-10T19:30Z", TENTH, id="early"),
        pytest.param("2026-04-11T09:30Z", TENTH, id="late"),
        pytest.param("2026-04-11T19:30Z", ELEVENTH, id="the next, early"),
        pytest.param("2026-04-11T12:00Z", None, id="in between"),
        pytest.param("2026-04-10T19:29Z", None, id="too early"),
    ],
)
def test_an_answer_without_an_id_is_for_the_nearest_dose(at: str, bound: Dose | None) -> None:
    instant = datetime.fromisoformat(at)

    assert nearest([TENTH, ELEVENTH], instant, early=timedelta(hours=2)) == bound
