"""Planned doses as an iCalendar file (RFC 5545, 7986): one VEVENT a dose, each with an alarm of its own.

Starts are UTC instants, not wall times with a VTIMEZONE: each event is one dose, and its instant was worked out here.
A calendar program with an old database of zones then still rings at the right moment, and somebody in another zone
hears it when the patient has to take it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from icalendar import Alarm, Calendar, Component, Event, vDuration, vText

from carecircle.domain.agenda import AgendaEntry, Standing
from carecircle.domain.zones import GAP

if TYPE_CHECKING:
    from carecircle.usecases.calendar_feeds import FeedSource

MEDIA_TYPE = "text/calendar"
PRODUCER = "-//CareCircle Reminders//Calendar feed//EN"
LENGTH = timedelta(minutes=15)
"""How long a dose is shown; it is due at the start."""
READ_AGAIN = timedelta(hours=1)
NAMELESS = "Medicine"
PREFIX = {Standing.PLANNED: "", Standing.ANSWERED: "Done: ", Standing.CANCELLED: "Cancelled: "}


def write_calendar(source: FeedSource) -> bytes:
    """The whole file. The same doses give the same bytes."""
    again = vDuration(READ_AGAIN, params={"VALUE": "DURATION"})
    calendar = Calendar()
    _put(calendar, prodid=PRODUCER, version="2.0", calscale="GREGORIAN", method="PUBLISH", name=vText(source.name))
    _put(calendar, x_wr_calname=vText(source.name), refresh_interval=again, x_published_ttl=vDuration(READ_AGAIN))
    for entry in source.entries():
        calendar.add_component(_event(entry, source))
    return calendar.to_ical()


def _event(entry: AgendaEntry, source: FeedSource) -> Event:
    event = Event()
    changed_at = entry.changed_at.replace(microsecond=0)
    _put(event, uid=entry.uid, dtstamp=changed_at, last_modified=changed_at, sequence=entry.sequence)
    _put(event, dtstart=entry.due_at, duration=LENGTH)
    summary = f"{entry.medication}: {entry.dose.quantity} {entry.dose.unit}" if source.medicine_names else NAMELESS
    _put(event, summary=PREFIX[entry.standing] + summary, description=_words(entry))
    _put(event, status="CONFIRMED" if entry.standing is Standing.PLANNED else "CANCELLED")
    _put(event, transp="TRANSPARENT", **{"class": "PRIVATE"})
    if entry.standing is Standing.PLANNED:
        alarm = Alarm()
        _put(alarm, action="DISPLAY", description=summary, trigger=-source.alarm_lead)
        event.add_component(alarm)
    return event


def _put(component: Component, **properties: object) -> None:
    """`last_modified=…` is LAST-MODIFIED. Values are escaped, folded and given their type by the library."""
    for name, value in properties.items():
        component.add(name.replace("_", "-"), value)  # pyright: ignore[reportUnknownMemberType] - it takes anything


def _words(entry: AgendaEntry) -> str:
    """Where the patient is, as the calendar shows the time of whoever looks."""
    skipped = ", which the clocks skip that day" if entry.note == GAP else ""
    planned = f"Planned for {entry.nominal_local:%H:%M} ({entry.zone}){skipped}."
    match entry.standing:
        case Standing.PLANNED:
            return f"{planned} Before taking, look in CareCircle whether it was given already."
        case Standing.ANSWERED:
            return f"{planned} Somebody answered this dose."
        case Standing.CANCELLED:
            return f"{planned} This dose is not to be taken."
