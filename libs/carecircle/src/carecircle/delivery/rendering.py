"""The words that all channels share. A dose is named by its absolute time and nobody is told to take one now.

A message may arrive twice or late: read then, it must still be true and must not cause a second intake. Titles are
for lock screens and subjects: never a medicine, never a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecircle.domain.delivery import Kind

if TYPE_CHECKING:
    from datetime import datetime

    from carecircle.channels import MessageFacts

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PLEASE_CHECK = "Check before taking: it may have been given already. Never take a double dose."


def title(facts: MessageFacts) -> str:
    """One short line, the same for everybody: `08:00 medicine`."""
    clock = clock_time(facts.nominal_local)
    if facts.kind == Kind.ANSWERED:
        return f"{clock} medicine: answered"
    return f"{clock} medicine was due" if facts.late else f"{clock} medicine"


def body(facts: MessageFacts) -> str:
    """A few sentences for a small screen. Names the medicine and the patient only for who asked for details."""
    return " ".join(sentences(facts))


def sentences(facts: MessageFacts) -> list[str]:
    """The same, sentence by sentence."""
    slot = f"{clock_time(facts.nominal_local)} dose, {date(facts.nominal_local)}"
    of_what = f": {facts.medication_name}, {facts.dose}, for {facts.patient_name}" if facts.medication_name else ""
    if facts.kind == Kind.ANSWERED:
        return [f"The {slot}{of_what}.", f"Already answered: {facts.answer or 'no longer open'}."]
    if facts.late:
        return [f"The {slot}{of_what}, was due at {clock_time(facts.nominal_local)}.", PLEASE_CHECK]
    return [f"It is time for the {slot}{of_what}.", "Please record it once it was taken or skipped."]


def clock_time(local: datetime) -> str:
    return f"{local:%H:%M}"


def date(local: datetime) -> str:
    """`Tue 3 Mar`, whatever the locale of the machine."""
    return f"{WEEKDAYS[local.weekday()]} {local.day} {MONTHS[local.month - 1]}"
