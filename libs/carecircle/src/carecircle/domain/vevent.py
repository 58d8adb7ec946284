"""One event of an iCalendar file (RFC 5545) as a rule of ours: its start, its zone and its recurrence."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from carecircle.domain.calendar_rule import CalendarRule
from carecircle.domain.errors import Invalid
from carecircle.domain.rrule import Imported, ical_time, import_rrule
from carecircle.domain.zones import zone_named

LONGEST_FILE = 20_000
FIELD = "icalendar"
PARAMETER = r';[A-Za-z-]{1,60}=(?:"[^"]{0,200}"|[^";:]{0,200})'
LINE = re.compile(rf"([A-Za-z-]{{1,60}})((?:{PARAMETER})*):(.*)", re.ASCII | re.DOTALL)
NOT_KEPT = {
    "EXDATE": "Dates left out (EXDATE) cannot be kept; pause the medication on those days.",
    "RDATE": "Extra dates (RDATE) cannot be kept; make a schedule of their own for them.",
    "EXRULE": "EXRULE cannot be kept.",
    "RECURRENCE-ID": "A changed instance (RECURRENCE-ID) cannot be kept; give the event that repeats.",
}
IGNORED = "Only start and recurrence were read; alarms, length and texts of the event were not."


def import_vevent(text: str) -> Imported:
    """The recurrence of the one event in an iCalendar text.

    Raises:
        Invalid: there is not exactly one, or it says what cannot be kept.
    """
    found = _event(text)
    if (refused := next((name for name in NOT_KEPT if name in found), None)) is not None:
        raise Invalid(NOT_KEPT[refused], field=FIELD)
    if "DTSTART" not in found:
        raise Invalid("The event has no DTSTART.", field=FIELD)
    zone, start = _start(*found["DTSTART"])
    if "RRULE" not in found:
        rule = CalendarRule((start.time(),))
        return Imported(rule, start.date(), start.date(), 1, zone, (IGNORED,))
    imported = _with_field(found["RRULE"][1], start, zone)
    return replace(imported, notes=(*imported.notes, IGNORED))


def _with_field(rrule: str, start: datetime, zone: str | None) -> Imported:
    try:
        return import_rrule(rrule, start, zone)
    except Invalid as refused:
        raise Invalid(f"RRULE: {refused.message}", field=FIELD) from None


def _event(text: str) -> dict[str, tuple[str, str]]:
    """The properties of the event by name: their parameters and value. Those of alarms inside it are left out."""
    if len(text) > LONGEST_FILE:
        raise Invalid(f"The file has more than {LONGEST_FILE:,} characters; give one event.", field=FIELD)
    lines = re.sub(r"\r?\n[ \t]", "", text).splitlines()
    path: list[str] = []
    events = 0
    found: dict[str, tuple[str, str]] = {}
    for line in filter(None, (line.strip() for line in lines)):
        name, parameters, value = _split(line)
        if name == "BEGIN":
            path.append(value.upper())
            events += value.upper() == "VEVENT"
            if events > 1:
                break
        elif name == "END":
            if not path or path.pop() != value.upper():
                raise Invalid(f"END:{value[:40]} ends nothing.", field=FIELD)
        elif path[-1:] == ["VEVENT"]:
            if name in {"RRULE", "DTSTART"} and name in found:
                raise Invalid(f"The event has {name} twice.", field=FIELD)
            found[name] = (parameters, value)
    if events != 1 or path:
        raise Invalid(f"Give exactly one whole VEVENT; there are {events}.", field=FIELD)
    return found


def _split(line: str) -> tuple[str, str, str]:
    match = LINE.fullmatch(line)
    if match is None:
        raise Invalid(f"This is no line of an iCalendar file: {line[:40]!r}.", field=FIELD)
    return match[1].upper(), match[2], match[3]


def _start(parameters: str, value: str) -> tuple[str | None, datetime]:
    """The zone (None: a floating time) and the wall-clock start."""
    named = re.search(r";TZID=\"?([^\";:]+)\"?", parameters, re.IGNORECASE)
    zone = zone_named(named[1], field=FIELD).key if named else "UTC" if value.endswith("Z") else None
    start = ical_time(value, zone, field=FIELD)
    if not isinstance(start, datetime):
        raise Invalid("The event lasts whole days; a dose needs a time of day in DTSTART.", field=FIELD)
    if start.second:
        raise Invalid("Doses are due on the minute; DTSTART has seconds.", field=FIELD)
    return zone, start
