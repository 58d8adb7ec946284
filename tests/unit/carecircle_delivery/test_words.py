"""The words of a message: true whenever they are read, and without a medicine unless somebody asked for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from carecircle.channels import MessageFacts, SupplyFacts, SupplyLine, UnremindedDose
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
    expires_at=datetime(2026, 3, 3, 13, 0, tzinfo=UTC),
    late=False,
    severity="normal",
    medication_name=None,
    dose=None,
    answer=None,
    first_handoff_at=datetime(2026, 3, 3, 7, 0, tzinfo=UTC),
)
LATE = replace(PLAIN, late=True)
ANSWERED = replace(PLAIN, kind="answered", answer="taken")
MORNINGS = tuple(
    UnremindedDose(datetime(2026, 3, day, 8, 0), None, None)  # noqa: DTZ001 - wall time
    for day in (1, 2, 3)
)
DIGEST = replace(PLAIN, kind="not_reminded", unreminded=MORNINGS)
NAMED = tuple(replace(dose, medication_name="Canarium 5 mg", dose="1 tablet") for dose in MORNINGS)
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


def test_a_digest_names_every_dose_says_whose_fault_it_is_and_what_to_do() -> None:
    assert title(DIGEST) == "3 doses had no reminder"
    assert body(DIGEST) == (
        "These doses had no reminder: 08:00 on Sun 1 Mar, 08:00 on Mon 2 Mar, 08:00 on Tue 3 Mar. "
        "This is our fault, not yours. Check the plan or ask the pharmacist; never double a dose."
    )


def test_a_digest_of_one_dose_is_about_one() -> None:
    one = replace(DIGEST, unreminded=MORNINGS[:1])
    assert title(one) == "A dose had no reminder"
    assert body(one).startswith("This dose had no reminder: 08:00 on Sun 1 Mar. ")


def test_doses_of_the_same_time_are_one_time_to_who_gets_no_names() -> None:
    twice = replace(DIGEST, unreminded=MORNINGS[:1] * 2)
    assert title(twice) == "2 doses had no reminder"
    assert body(twice).startswith("These doses had no reminder: 08:00 on Sun 1 Mar. ")


@pytest.mark.parametrize(("number", "said"), [(4, "1 earlier one and "), (40, "37 earlier ones and ")])
def test_of_many_doses_the_newest_are_named_and_the_others_counted(number: int, said: str) -> None:
    first = datetime(2026, 3, 1, 8, 0)  # noqa: DTZ001 - wall time
    many = tuple(replace(MORNINGS[0], nominal_local=first + timedelta(hours=6 * n)) for n in range(number))
    text = body(replace(DIGEST, unreminded=many))
    assert f"had no reminder: {said}" in text
    assert f"{many[-1].nominal_local:%H:%M}" in text
    assert len(text) < 300


def test_a_digest_names_medicines_only_to_who_asked_and_fits_a_small_screen() -> None:
    text = body(replace(DETAILS, kind="not_reminded", unreminded=NAMED))
    assert text.startswith(
        "These doses for Canary Patient had no reminder: 08:00 on Sun 1 Mar (Canarium 5 mg, 1 tablet)"
    )
    long = tuple(replace(dose, medication_name="Canarium " * 30) for dose in NAMED)
    text = body(replace(DETAILS, kind="not_reminded", unreminded=long, patient_name="C" * 100))
    assert len(text) <= 400
    assert text.endswith("never double a dose.")


@pytest.mark.parametrize("facts", [PLAIN, LATE, ANSWERED, DIGEST], ids=["due", "late", "answered", "digest"])
def test_without_details_nobody_and_nothing_is_named(facts: MessageFacts) -> None:
    assert "Canar" not in title(facts) + body(facts)


def test_details_are_in_the_body_and_never_in_the_title() -> None:
    assert "Canarium 5 mg, 1 tablet, for Canary Patient" in body(DETAILS)
    assert "Canar" not in title(DETAILS)


@pytest.mark.parametrize("facts", [PLAIN, LATE, ANSWERED, DETAILS, DIGEST])
def test_nobody_is_told_to_take_one_now(facts: MessageFacts) -> None:
    assert "now" not in (title(facts) + body(facts)).lower().split()


@pytest.mark.parametrize(
    ("quantity", "text"), [("1.0000", "1"), ("0.5000", "0.5"), ("20.0000", "20"), ("100", "100"), ("2E+1", "20")]
)
def test_quantities_are_written_as_people_do(quantity: str, text: str) -> None:
    assert plain(Decimal(quantity)) == text


LOW = SupplyLine("low", None, None, empty=False, run_out_on=date(2026, 3, 9), expires_on=None)
GONE = replace(LOW, empty=True)
EXPIRING = SupplyLine("expiring", None, None, empty=False, run_out_on=None, expires_on=date(2026, 3, 31))
PATIENT = UUID(int=7)


def supplies(*lines: SupplyLine, **changes: Any) -> MessageFacts:
    return replace(PLAIN, kind="refill", supply=SupplyFacts(PATIENT, lines), **changes)


def test_a_supply_message_says_what_to_do_and_names_nothing() -> None:
    facts = supplies(LOW, GONE, EXPIRING)
    assert title(facts) == "A medicine's supply needs a look"
    assert body(facts) == (
        "A medicine runs low, the first dose without is on Mon 9 Mar. A medicine is used up, as far as we know. "
        "A package is not to be used after Tue 31 Mar. "
        "Please get more in time, or say what you counted."
    )


def test_a_supply_message_with_details_names_medicine_amount_and_patient_in_the_body() -> None:
    named = replace(LOW, medication_name="Canarium 5 mg", left="6 tablet")
    facts = supplies(named, medication_name="Canarium 5 mg")
    assert body(facts).startswith(
        "For Canary Patient. Canarium 5 mg: 6 tablet left, the first dose without is on Mon 9 Mar."
    )
    assert "Canar" not in title(facts)


def test_a_supply_message_of_many_is_never_cut_before_what_to_do() -> None:
    long = replace(LOW, medication_name="Canarium " * 30, left="6 " + "t" * 60)
    text = body(supplies(*[long] * 9, medication_name="Canarium " * 30, patient_name="C" * 100))
    assert "And 6 more." in text
    assert text.endswith("say what you counted.")
    assert len(text) <= 600


def test_who_answered_is_a_detail() -> None:
    assert phrase(Answer("taken", "Ana"), details=True) == "taken, recorded by Ana"
    assert phrase(Answer("taken", "Ana"), details=False) == "taken"
