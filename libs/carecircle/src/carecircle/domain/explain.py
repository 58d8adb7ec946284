"""Why a reminder was or was not sent: one sentence a step, from the plan to the answer. Pure: facts in, words out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from carecircle.domain.delivery import DeliveryState
from carecircle.domain.moving import MOVED
from carecircle.domain.occurrence import AS_NEEDED, OPEN, OccurrenceState
from carecircle.domain.zones import GAP, wall_time, zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class DoseStory:
    """The dose itself, as it is now."""

    nominal_local: datetime
    zone: str
    revision: int
    due_at: datetime
    missed_at: datetime
    remind_at: datetime
    note: str | None
    state: OccurrenceState
    reason: str | None
    snoozes: int
    decided: bool
    """Who is to be told was decided."""
    created_at: datetime
    updated_at: datetime
    acknowledged_until: datetime | None = None
    moved_from: datetime | None = None
    """Where it was due before a person moved it, and when that was."""
    moved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MessageStory:
    """One message to one person."""

    recipient: str
    channel: str
    kind: str
    state: DeliveryState
    outcome: str | None
    attempts: int
    created_at: datetime
    sent_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AnswerStory:
    status: str
    at: datetime
    recorded_by: str
    recorded_at: datetime
    undone_at: datetime | None


@dataclass(frozen=True, slots=True)
class Explained:
    """One step: when, what in a word, and why in a sentence."""

    at: datetime
    code: str
    text: str


NOT_SENT = {
    "answered": "the dose was answered before",
    "snoozed": "somebody asked to be reminded later",
    "acknowledged": "somebody else said that they handle it",
    MOVED: "the dose was moved to another time",
    "superseded": "the dose was replaced by another one",
    "inactive": "the medication was not being taken",
    "expired": "the time for this dose was over",
}
ENDED = {
    "superseded": ("replaced", "The times were changed, so another dose took its place."),
    "deleted": ("deleted", "The schedule or the medication was deleted."),
    "stopped": ("stopped", "The medication was stopped."),
    "completed": ("completed", "The medication was completed."),
    "entered_in_error": ("entered_in_error", "What was logged was taken back, so there was no such dose."),
}


def explain(
    dose: DoseStory, messages: Sequence[MessageStory], answers: Sequence[AnswerStory], now: datetime
) -> list[Explained]:
    """What happened, in its order, and last what holds now."""
    happened = [*_planned(dose), *_asked(dose, messages), *map(_message, messages)]
    for answer in answers:
        happened += _answer(answer)
    return [*sorted(happened, key=lambda step: step.at), *_end(dose, now)]


def _planned(dose: DoseStory) -> Iterator[Explained]:
    slot = f"{dose.nominal_local:%H:%M} on {dose.nominal_local:%Y-%m-%d} in {dose.zone}"
    if dose.note == AS_NEEDED:
        yield Explained(dose.created_at, "logged", f"Logged as taken at {slot}; it is taken as needed, not planned.")
        return
    yield Explained(dose.created_at, "planned", f"Planned for {slot} by revision {dose.revision} of the schedule.")
    if dose.note == GAP:
        shown = wall_time(dose.moved_from or dose.due_at, zone_named(dose.zone))
        text = f"The clocks skip {dose.nominal_local:%H:%M} that day, so it is due when they show {shown:%H:%M}."
        yield Explained(dose.created_at, GAP, text)
    if dose.moved_from is not None:
        text = f"Somebody moved this one dose from {_utc(dose.moved_from)} to {_utc(dose.due_at)}."
        yield Explained(dose.moved_at or dose.created_at, MOVED, text)


def _asked(dose: DoseStory, messages: Sequence[MessageStory]) -> Iterator[Explained]:
    if dose.note == AS_NEEDED:
        return
    if dose.snoozes:
        times = "once" if dose.snoozes == 1 else f"{dose.snoozes} times"
        text = f"Asked for again {times}, the last time for {_utc(dose.remind_at)}."
        yield Explained(dose.remind_at, "asked_again", text)
    if dose.decided and not messages:
        text = "Nobody was told: the reminder did not matter any more, or no one in the circle could be reached."
        yield Explained(dose.updated_at, "nobody_told", text)


def _message(message: MessageStory) -> Explained:
    whom = f"{message.recipient} by {message.channel}"
    if message.kind == "answered":
        whom += " (that the dose was answered)"
    match message.state:
        case DeliveryState.SENT:
            return Explained(message.sent_at or message.updated_at, "sent", f"Sent to {whom}.")
        case DeliveryState.CANCELLED:
            why = NOT_SENT.get(message.outcome or "", message.outcome or "it was called off")
            return Explained(message.updated_at, "not_sent", f"Not sent to {whom}, because {why}.")
        case DeliveryState.EXPIRED:
            return Explained(message.updated_at, "expired", f"Not sent to {whom} in time: its window ended.")
        case DeliveryState.FAILED:
            text = f"Could not be sent to {whom}: {message.outcome or 'refused'}."
            return Explained(message.updated_at, "failed", text)
        case DeliveryState.AMBIGUOUS:
            text = f"Handed over for {whom}, but nobody knows whether it arrived."
            return Explained(message.updated_at, "ambiguous", text)
        case DeliveryState.RETRY:
            text = f"Not sent to {whom} yet: {message.outcome or 'the provider did not take it'}; it is tried again."
            return Explained(message.updated_at, "retry", text)
        case _:
            return Explained(message.created_at, "waiting", f"On its way to {whom}.")


def _answer(answer: AnswerStory) -> Iterator[Explained]:
    text = f"{answer.recorded_by} said that it was {answer.status} at {_utc(answer.at)}."
    yield Explained(answer.recorded_at, answer.status, text)
    if answer.undone_at is not None:
        yield Explained(answer.undone_at, "undone", f"What {answer.recorded_by} had said was taken back.")


def _end(dose: DoseStory, now: datetime) -> Iterator[Explained]:
    match dose.state:
        case OccurrenceState.MISSED:
            text = f"Nobody answered until {_utc(dose.missed_at)}, so it counts as missed; it can still be answered."
            yield Explained(dose.missed_at, "missed", text)
        case OccurrenceState.UNKNOWN:
            text = "No reminder could be handed over in its window: nothing is known of it, and it does not count."
            yield Explained(dose.missed_at, "unknown", text)
        case OccurrenceState.ON_HOLD:
            yield Explained(dose.updated_at, "on_hold", "The medication was on hold, so nobody is asked.")
        case OccurrenceState.CANCELLED:
            code, text = ENDED.get(dose.reason or "", ("cancelled", "It was cancelled."))
            yield Explained(dose.updated_at, code, text)
        case state if state in OPEN and dose.acknowledged_until is not None and now < dose.acknowledged_until:
            text = f"Somebody handles it; without an answer it is asked for again at {_utc(dose.acknowledged_until)}."
            yield Explained(now, "acknowledged", text)
        case state if state in OPEN and now < dose.remind_at:
            yield Explained(now, "waiting", f"Its reminder goes out at {_utc(dose.remind_at)}.")
        case state if state in OPEN:
            yield Explained(now, "open", f"It waits for an answer until {_utc(dose.missed_at)}.")
        case _:
            return


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
