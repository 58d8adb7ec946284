"""The story of a dose, told from its rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from carecircle.domain.delivery import DeliveryState
from carecircle.domain.explain import AnswerStory, DoseStory, MessageStory, explain
from carecircle.domain.occurrence import OccurrenceState

DUE = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
DOSE = DoseStory(
    nominal_local=datetime(2026, 3, 29, 2, 30),  # noqa: DTZ001 - a wall time
    zone="Europe/Berlin",
    revision=2,
    due_at=DUE,
    missed_at=DUE + timedelta(hours=11),
    remind_at=DUE,
    note="gap",
    state=OccurrenceState.DUE,
    reason=None,
    snoozes=0,
    decided=True,
    created_at=DUE - timedelta(days=2),
    updated_at=DUE,
)
MAIL = MessageStory(
    recipient="Anna",
    channel="email",
    kind="due",
    state=DeliveryState.SENT,
    outcome="sent",
    attempts=1,
    created_at=DUE,
    sent_at=DUE + timedelta(seconds=2),
    updated_at=DUE + timedelta(seconds=2),
)
LATER = DUE + timedelta(hours=1)


def test_a_dose_that_was_sent_and_taken() -> None:
    answer = AnswerStory("taken", LATER, "Ben", LATER, None)
    push = replace(MAIL, recipient="Ben", channel="push", state=DeliveryState.CANCELLED, outcome="answered")
    taken = replace(DOSE, state=OccurrenceState.TAKEN)

    steps = explain(taken, [MAIL, replace(push, updated_at=LATER)], [answer], LATER)

    assert [(step.code, step.text) for step in steps] == [
        ("planned", "Planned for 02:30 on 2026-03-29 in Europe/Berlin by revision 2 of the schedule."),
        ("gap", "The clocks skip 02:30 that day, so it is due when they show 03:30."),
        ("sent", "Sent to Anna by email."),
        ("not_sent", "Not sent to Ben by push, because the dose was answered before."),
        ("taken", "Ben said that it was taken at 2026-03-29 02:30 UTC."),
    ]


def test_an_answer_that_was_taken_back_leaves_the_dose_open() -> None:
    answer = AnswerStory("skipped", LATER, "Ben", LATER, LATER + timedelta(minutes=1))

    steps = explain(replace(DOSE, note=None), [MAIL], [answer], LATER + timedelta(minutes=2))

    assert [step.code for step in steps] == ["planned", "sent", "skipped", "undone", "open"]


@pytest.mark.parametrize(
    ("state", "reason", "code"),
    [
        (OccurrenceState.MISSED, None, "missed"),
        (OccurrenceState.UNKNOWN, "not_reminded", "unknown"),
        (OccurrenceState.ON_HOLD, None, "on_hold"),
        (OccurrenceState.CANCELLED, "superseded", "replaced"),
        (OccurrenceState.CANCELLED, "stopped", "stopped"),
        (OccurrenceState.CANCELLED, "deleted", "deleted"),
        (OccurrenceState.CANCELLED, None, "cancelled"),
        (OccurrenceState.DUE, None, "open"),
    ],
)
def test_the_last_step_says_what_holds_now(state: OccurrenceState, reason: str | None, code: str) -> None:
    assert explain(replace(DOSE, state=state, reason=reason), [MAIL], [], LATER)[-1].code == code


def test_a_dose_ahead_waits_for_its_time() -> None:
    ahead = replace(DOSE, state=OccurrenceState.PLANNED, decided=False, note=None)

    assert [step.code for step in explain(ahead, [], [], DUE - timedelta(hours=1))] == ["planned", "waiting"]


def test_nobody_to_tell_is_said() -> None:
    assert "nobody_told" in [step.code for step in explain(DOSE, [], [], LATER)]


@pytest.mark.parametrize("state", list(DeliveryState))
def test_every_state_of_a_message_has_its_sentence(state: DeliveryState) -> None:
    steps = explain(DOSE, [replace(MAIL, state=state)], [], LATER)

    assert sum("Anna by email" in step.text for step in steps) == 1


def test_a_dose_as_needed_was_only_logged() -> None:
    logged = replace(DOSE, note="as_needed", state=OccurrenceState.TAKEN, decided=True)

    steps = explain(logged, [], [AnswerStory("taken", DUE, "Ben", DUE, None)], LATER)

    assert [step.code for step in steps] == ["logged", "taken"]
