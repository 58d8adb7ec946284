"""The words of a message: true whenever they are read, and without a medicine unless somebody asked for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from carecircle.channels import MessageFacts
from carecircle.db.facts import Answer
from carecircle.delivery.message import phrase, plain
from carecircle.delivery.rendering import body, title

ONE = UUID(int=1)
PLAIN = MessageFacts(
    delivery_id=ONE,
    occurrence_id=ONE,
    target_id=ONE,
    kind="due",
    step=0,
    attempt=1,
    patient_name="Canary Patient",
    recipient_name="Canary Recipient",
    nominal_local=datetime(2026, 3, 3, 8, 0),  # noqa: DTZ001 - wall time
    due_at=datetime(2026, 3, 3, 7, 0, tzinfo=UTC),
    missed_at=datetime(2026, 3, 3, 13, 0, tzinfo=UTC),
    late=False,
    severity="normal",
    medication_name=None,
    dose=None,
    answer=None,
    first_handoff_at=datetime(2026, 3, 3, 7, 0, tzinfo=UTC),
)
LATE = replace(PLAIN, late=True)
ANSWERED = replace(PLAIN, kind="answered", answer="taken")
DETAILS = replace(PLAIN, medication_name="Canarium 5 mg", dose="1 tablet")


def test_a_dose_is_named_by_its_absolute_time() -> None:
    assert title(PLAIN) == "08:00 medicine"
    assert body(PLAIN).startswith("It is time for the 08:00 dose, Tue 3 Mar.")


def test_a_late_one_says_when_it_was_due_and_warns() -> None:
    assert title(LATE) == "08:00 medicine was due"
    assert "was due at 08:00" in body(LATE)
    assert "Check before taking" in body(LATE)
    assert "Never take a double dose" in body(LATE)


def test_an_answered_one_says_so() -> None:
    assert title(ANSWERED) == "08:00 medicine: answered"
    assert "Already answered: taken." in body(ANSWERED)


@pytest.mark.parametrize("facts", [PLAIN, LATE, ANSWERED], ids=["due", "late", "answered"])
def test_without_details_nobody_and_nothing_is_named(facts: MessageFacts) -> None:
    assert "Canar" not in title(facts) + body(facts)


def test_details_are_in_the_body_and_never_in_the_title() -> None:
    assert "Canarium 5 mg, 1 tablet, for Canary Patient" in body(DETAILS)
    assert "Canar" not in title(DETAILS)


@pytest.mark.parametrize("facts", [PLAIN, LATE, ANSWERED, DETAILS])
def test_nobody_is_told_to_take_one_now(facts: MessageFacts) -> None:
    assert "now" not in (title(facts) + body(facts)).lower().split()


@pytest.mark.parametrize(
    ("quantity", "text"), [("1.0000", "1"), ("0.5000", "0.5"), ("20.0000", "20"), ("100", "100"), ("2E+1", "20")]
)
def test_quantities_are_written_as_people_do(quantity: str, text: str) -> None:
    assert plain(Decimal(quantity)) == text


def test_who_answered_is_a_detail() -> None:
    assert phrase(Answer("taken", "Ana"), details=True) == "taken, recorded by Ana"
    assert phrase(Answer("taken", "Ana"), details=False) == "taken"
