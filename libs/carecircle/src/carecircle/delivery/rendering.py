"""The words that all channels share. A dose is named by its absolute time and nobody is told to take one now.

A message may arrive twice or late: read then, it must still be true and must not cause a second intake. Titles are
for lock screens and subjects: never a medicine, never a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecircle.delivery.wording import plain
from carecircle.domain.delivery import Kind
from carecircle.domain.supply import AlertKind

if TYPE_CHECKING:
    import datetime as calendar
    from datetime import datetime

    from carecircle.channels import MessageFacts, SupplyFacts, SupplyLine, UnremindedDose

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
OUR_FAULT = "This is our fault, not yours."
ASK_FIRST = "Check the plan or ask the pharmacist; never double a dose."
SHOWN_DOSES = 3
"""As many as a small screen has room for beside what to do about them."""
NAME_LENGTH = 40
SUPPLY_TITLE = "A medicine's supply needs a look"
REFILL_OR_COUNT = "Please get more in time, or say what you counted."
PLEASE_CHECK = "Check before taking: it may have been given already. Never take a double dose."


def title(facts: MessageFacts) -> str:
    """One short line, the same for everybody: `08:00 medicine`."""
    if facts.supply is not None:
        return SUPPLY_TITLE
    if facts.kind == Kind.NOT_REMINDED:
        return no_reminder_for(len(facts.unreminded))
    clock = clock_time(facts.nominal_local)
    if facts.kind == Kind.ANSWERED:
        return f"{clock} medicine: answered"
    return f"{clock} medicine was due" if facts.late else f"{clock} medicine"


def body(facts: MessageFacts) -> str:
    """A few sentences for a small screen. Names the medicine and the patient only for who asked for details."""
    return " ".join(sentences(facts))


def sentences(facts: MessageFacts) -> list[str]:
    """The same, sentence by sentence."""
    if facts.supply is not None:
        return supply_sentences(facts, facts.supply)
    if facts.kind == Kind.NOT_REMINDED:
        return unreminded_sentences(facts)
    slot = f"{clock_time(facts.nominal_local)} dose, {date(facts.nominal_local)}"
    of_what = f": {facts.medication_name}, {facts.dose}, for {facts.patient_name}" if facts.medication_name else ""
    if facts.kind == Kind.ANSWERED:
        return [f"The {slot}{of_what}.", f"Already answered: {facts.answer or 'no longer open'}."]
    if facts.late:
        return [f"The {slot}{of_what}, was due at {clock_time(facts.nominal_local)}.", PLEASE_CHECK]
    return [f"It is time for the {slot}{of_what}.", "Please record it once it was taken or skipped."]


def unreminded_sentences(facts: MessageFacts) -> list[str]:
    """Of many doses the newest are named, so that what to do is never cut off."""
    slots = list(dict.fromkeys(unreminded_slot(dose) for dose in facts.unreminded))
    named = ", ".join(slots[-SHOWN_DOSES:])
    more = f"{earlier_ones(len(slots) - SHOWN_DOSES)} and " if len(slots) > SHOWN_DOSES else ""
    of_whom = f" for {plain(facts.patient_name, NAME_LENGTH)}" if named_for(facts) else ""
    these = "This dose" if len(facts.unreminded) == 1 else "These doses"
    return [f"{these}{of_whom} had no reminder: {more}{named}.", OUR_FAULT, ASK_FIRST]


def supply_sentences(facts: MessageFacts, supply: SupplyFacts) -> list[str]:
    """The first few medicines, so that what to do is never cut off."""
    told = [f"{supply_line(line)}." for line in supply.lines[:SHOWN_DOSES]]
    more = len(supply.lines) - SHOWN_DOSES
    rest = [f"And {more} more."] if more > 0 else []
    of_whom = [f"For {plain(facts.patient_name, NAME_LENGTH)}."] if named_for(facts) else []
    return [*of_whom, *told, *rest, REFILL_OR_COUNT]


def supply_line(line: SupplyLine) -> str:
    """`Levodopa: 6 tablet left, the first dose without is on Thu 16 Apr`; without details `A medicine runs low, …`."""
    name = plain(line.medication_name, NAME_LENGTH) if line.medication_name else None
    if line.kind == AlertKind.EXPIRING:
        when = f" after {day(line.expires_on)}" if line.expires_on else ""
        return f"{name}: a package is not to be used{when}" if name else f"A package is not to be used{when}"
    if line.empty:
        return f"{name}: nothing is left, as far as we know" if name else "A medicine is used up, as far as we know"
    what = f"{name}: {plain(line.left or '', NAME_LENGTH)} left" if name else "A medicine runs low"
    return f"{what}, the first dose without is on {day(line.run_out_on)}" if line.run_out_on else what


def unreminded_slot(dose: UnremindedDose) -> str:
    """`08:00 on Tue 3 Mar`, for who asked for details with the medicine."""
    what = f" ({plain(f'{dose.medication_name}, {dose.dose}', NAME_LENGTH)})" if dose.medication_name else ""
    return f"{clock_time(dose.nominal_local)} on {date(dose.nominal_local)}{what}"


def named_for(facts: MessageFacts) -> bool:
    """Whether the recipient asked for details."""
    return facts.medication_name is not None


def earlier_ones(number: int) -> str:
    return "1 earlier one" if number == 1 else f"{number} earlier ones"


def no_reminder_for(number: int) -> str:
    return "A dose had no reminder" if number == 1 else f"{number} doses had no reminder"


def clock_time(local: datetime) -> str:
    return f"{local:%H:%M}"


def date(local: datetime) -> str:
    """`Tue 3 Mar`, whatever the locale of the machine."""
    return day(local)


def day(on: calendar.date) -> str:
    """The same of a date."""
    return f"{WEEKDAYS[on.weekday()]} {on.day} {MONTHS[on.month - 1]}"
