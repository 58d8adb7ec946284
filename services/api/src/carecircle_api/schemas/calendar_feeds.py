"""Calendar feeds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from pydantic import ConfigDict, Field

from carecircle.db.calendar_feeds import CalendarFeed
from carecircle.usecases.calendar_feeds import MadeFeed, NewFeed
from carecircle_api.schemas.values import Answer, Body, Duration, Flag, ShortText


class NewCalendarFeedBody(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Doses", "medicine_names": False, "alarm_lead": "PT5M"}]}
    )

    name: ShortText = Field(description="What the calendar is called in the program that shows it.")
    medicine_names: Flag = Field(
        default=False, description="true: whoever has the address can read the names and amounts of the medicines."
    )
    alarm_lead: Duration = Field(
        default=timedelta(0), description="How long before a dose its alarm rings, up to 24 hours."
    )

    def feed(self) -> NewFeed:
        return NewFeed(self.name, self.medicine_names, self.alarm_lead)


class CalendarFeedBody(Answer):
    """Without the address: it is shown once, when the feed is made."""

    id: UUID
    patient_id: UUID
    account_id: UUID = Field(description="Who made it.")
    name: str
    medicine_names: bool
    alarm_lead: Duration
    created_at: datetime
    last_read_at: datetime | None = Field(description="When somebody last fetched it, to the hour.")


class MadeCalendarFeedBody(CalendarFeedBody):
    url: str = Field(description="The secret address. Subscribe to it in a calendar program; tell it to nobody else.")

    @classmethod
    def made(cls, made: MadeFeed, public_url: str) -> Self:
        shown = CalendarFeedBody.model_validate(made.feed).model_dump()
        return cls(**shown, url=f"{public_url.rstrip('/')}/v1/calendar/{made.token}.ics")


def feed_body(row: CalendarFeed) -> CalendarFeedBody:
    return CalendarFeedBody.model_validate(row)
