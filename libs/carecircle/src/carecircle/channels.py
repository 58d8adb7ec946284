"""A channel is one package: it says what it addresses, writes its message, and sends it.

Channels are found by the entry point group `carecircle.channels`; nothing else knows their list.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.domain.delivery import Outcome

GROUP = "carecircle.channels"


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """What the dispatcher needs to know of a channel."""

    name: str
    """Also the name of its queue."""
    targets: Callable[[AsyncSession, UUID], Awaitable[Sequence[UUID]]]
    """The target ids at which this channel reaches an account now; empty when it does not."""
    replaces: bool = False
    """A later message with the same tag replaces the shown one: such channels get the `answered` message of R13."""


@dataclass(frozen=True, slots=True)
class UnremindedDose:
    """One of the doses that a digest tells of; named like the dose of a reminder."""

    nominal_local: datetime
    medication_name: str | None
    dose: str | None


@dataclass(frozen=True, slots=True)
class SupplyLine:
    """One medicine that a refill message tells of, as it was when the circle was to be told."""

    kind: str
    """`low` or `expiring` (`domain.supply.AlertKind`)."""
    medication_name: str | None
    left: str | None
    """What was there, such as `6 tablet`; like the name only with details."""
    empty: bool
    run_out_on: date | None
    expires_on: date | None


@dataclass(frozen=True, slots=True)
class SupplyFacts:
    patient_id: UUID
    lines: tuple[SupplyLine, ...]


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """Everything a channel may put into a message, read fresh at claim time.

    `medication_name` and `dose` are None unless the receiver opted in to details.
    """

    delivery_id: UUID
    occurrence_id: UUID
    """The dose. Of a `refill`, which is about none: the notice, and `due_at` is when it was made."""
    target_id: UUID
    kind: str
    """`due`, `answered`, `not_reminded` or `refill` (`domain.delivery.Kind`)."""
    step: int
    attempt: int
    patient_name: str
    recipient_name: str
    nominal_local: datetime
    """The dose's wall-clock time in the patient's zone, naive."""
    due_at: datetime
    missed_at: datetime
    expires_at: datetime
    """The end of the message's own window: of no use to anybody after it."""
    late: bool
    """Worded late: more than five minutes after the dose was due. The same for every copy of one message."""
    severity: str
    medication_name: str | None
    dose: str | None
    answer: str | None
    """For `answered`: `taken` or `skipped`; with details also by whom, as a phrase."""
    first_handoff_at: datetime
    """The message's own date: constant over all attempts that the provider may have taken."""
    unreminded: tuple[UnremindedDose, ...] = ()
    """For `not_reminded`: the doses that the message is about. The dose above is the newest of its sweep."""
    supply: SupplyFacts | None = None
    """For `refill`: what runs low or expires."""


class Undeliverable(Exception):
    """The target is no longer there, or its owner switched this channel off; `code` says which."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Channel(Protocol):
    """The sending side, one object a worker process. `Any` is the channel's own message type."""

    @property
    def spec(self) -> ChannelSpec: ...

    async def compose(self, session: AsyncSession, facts: MessageFacts) -> Any:
        """The message, with its address, both read fresh. Raises `Undeliverable`."""
        ...

    async def send(self, message: Any) -> Outcome:
        """Hand the message to the provider. Called outside any transaction; raises only on a bug."""
        ...

    async def mark_gone(self, session: AsyncSession, target_id: UUID, now: datetime) -> None:
        """Remember that this target is dead (`Rejected.target_gone`)."""
        ...


def discover() -> dict[str, ChannelSpec]:
    """Every installed channel by name."""
    specs = (point.load() for point in entry_points(group=GROUP))
    return {spec.name: spec for spec in specs}
