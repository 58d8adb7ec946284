"""The send log."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from carecircle.domain.delivery import DeliveryState
from carecircle.usecases.overview import DeliveryView
from carecircle_api.schemas.values import Answer


class RecipientBody(Answer):
    account_id: UUID
    display_name: str


class DeliveryBody(Answer):
    """One message to one person on one channel."""

    id: UUID
    occurrence_id: UUID | None = Field(description="null for a `refill`, which is about no dose.")
    recipient: RecipientBody
    channel: str
    kind: str = Field(
        description="`due`: a reminder; `answered`: replaces it when somebody answered; `not_reminded`: one message "
        "about all the doses that ended without a reminder while the service could send none; `refill`: medicines run "
        "low or expire."
    )
    step: int = Field(description="0 for the first reminder of a dose, more after each snooze.")
    severity: str
    state: DeliveryState
    attempts: int
    ambiguous_attempts: int = Field(description="Attempts of which nobody knows whether the provider took them.")
    outcome: str | None
    due_at: datetime | None
    created_at: datetime
    next_attempt_at: datetime | None
    expires_at: datetime
    sent_at: datetime | None

    @classmethod
    def of(cls, view: DeliveryView) -> Self:
        row = view.delivery
        return cls(
            id=row.id,
            occurrence_id=row.occurrence_id,
            recipient=RecipientBody(account_id=row.recipient_id, display_name=view.recipient_name),
            channel=row.channel,
            kind=row.kind,
            step=row.step,
            severity=row.severity,
            state=DeliveryState(row.state),
            attempts=row.attempt,
            ambiguous_attempts=row.ambiguous,
            outcome=row.outcome,
            due_at=view.due_at,
            created_at=row.created_at,
            next_attempt_at=row.next_attempt_at,
            expires_at=row.expires_at,
            sent_at=row.sent_at,
        )
