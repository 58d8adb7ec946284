"""Facts for messages, as the delivery runner gives them to a channel."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from carecircle.channels import MessageFacts, UnremindedDose

if TYPE_CHECKING:
    from collections.abc import Callable

FACTS = MessageFacts(
    delivery_id=UUID("01936f0e-0000-7000-8000-00000000d311"),
    occurrence_id=UUID("01936f0e-0000-7000-8000-00000000d05e"),
    target_id=UUID("01936f0e-0000-7000-8000-00000000ac00"),
    kind="due",
    step=0,
    attempt=1,
    patient_name="Rosa Blum",
    recipient_name="Ana",
    nominal_local=datetime(2026, 3, 3, 8, 0),  # noqa: DTZ001 - a wall-clock time
    due_at=datetime(2026, 3, 3, 7, 0, tzinfo=UTC),
    missed_at=datetime(2026, 3, 3, 19, 0, tzinfo=UTC),
    expires_at=datetime(2026, 3, 3, 19, 0, tzinfo=UTC),
    late=False,
    severity="normal",
    medication_name=None,
    dose=None,
    answer=None,
    first_handoff_at=datetime(2026, 3, 3, 7, 0, 1, 250_000, tzinfo=UTC),
)


@pytest.fixture
def digest(facts: Callable[..., MessageFacts]) -> Callable[..., MessageFacts]:
    """Facts of a digest of so many doses, one a day until the one above."""

    def make(number: int = 2, *, name: str | None = None, **changes: Any) -> MessageFacts:
        days = (FACTS.nominal_local - timedelta(days=day) for day in reversed(range(number)))
        doses = tuple(UnremindedDose(day, name, "1 tablet" if name else None) for day in days)
        return facts(kind="not_reminded", unreminded=doses, medication_name=name, **changes)

    return make


@pytest.fixture
def facts() -> Callable[..., MessageFacts]:
    """Facts of one dose, with what the test wants otherwise."""

    def make(**changes: Any) -> MessageFacts:
        return replace(FACTS, **changes)

    return make
