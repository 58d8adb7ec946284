"""Calendar feeds: a patient's planned doses in anybody's calendar program, which then rings without us."""

from __future__ import annotations

import asyncio
import hashlib

from fastapi import APIRouter, Request, Response

from carecircle.db.session import database_now
from carecircle.domain.errors import NotFound
from carecircle.usecases.calendar_feeds import create_feed, list_feeds, read_feed, revoke_feed
from carecircle_api.calendar_file import MEDIA_TYPE, write_calendar
from carecircle_api.deps import ServicesDep, WorkDep
from carecircle_api.idempotency import KeepingRoute
from carecircle_api.routes.auth import client_address
from carecircle_api.schemas.calendar_feeds import (
    CalendarFeedBody,
    MadeCalendarFeedBody,
    NewCalendarFeedBody,
    feed_body,
)
from carecircle_api.schemas.pages import ListOf
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Id

router = APIRouter(prefix="/v1", tags=["calendar"], route_class=KeepingRoute)
CALENDAR = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}, "description": "An iCalendar file."},
    304: {"description": "It is still what `If-None-Match` names."},
}


# Without an Idempotency-Key: the answer holds the secret, which is kept nowhere. One made twice can be revoked.
@router.post("/patients/{patient_id}/calendar-feeds", status_code=201, responses=problems(*IN_A_CIRCLE, 409))
async def add_calendar_feed(
    patient_id: Id, body: NewCalendarFeedBody, work: WorkDep, services: ServicesDep, response: Response
) -> MadeCalendarFeedBody:
    """Make a secret address with the planned doses. The answer is the only place where it is shown."""
    made = await create_feed(work.session, work.actor, patient_id, body.feed(), work.now)
    response.headers["Location"] = f"/v1/patients/{patient_id}/calendar-feeds/{made.feed.id}"
    return MadeCalendarFeedBody.made(made, services.settings.public_url)


@router.get("/patients/{patient_id}/calendar-feeds", responses=problems(*IN_A_CIRCLE))
async def list_calendar_feeds(patient_id: Id, work: WorkDep) -> ListOf[CalendarFeedBody]:
    """Your calendar feeds of this patient; owners see everybody's."""
    feeds = await list_feeds(work.session, work.actor, patient_id)
    return ListOf(items=[feed_body(feed) for feed in feeds])


@router.delete("/patients/{patient_id}/calendar-feeds/{feed_id}", status_code=204, responses=problems(*IN_A_CIRCLE))
async def revoke_calendar_feed(patient_id: Id, feed_id: Id, work: WorkDep) -> None:
    """End a feed at once: your own, or as an owner anybody's."""
    await revoke_feed(work.session, work.actor, patient_id, feed_id, work.now)


@router.get(
    "/calendar/{token}.ics",
    responses=problems(404, 429) | CALENDAR,
    response_class=Response,
)
async def read_calendar(token: str, request: Request, services: ServicesDep) -> Response:
    """The doses of the last 7 and the next 60 days, as an iCalendar file with alarms. No login: the address is it."""
    async with services.database.transaction() as session:
        now = await database_now(session)
        source = await read_feed(session, token, now)
    if source is None:
        await services.throttle.unknown_feed(client_address(request), now)
        raise NotFound("There is no such calendar.")
    await services.throttle.feed(token, now)
    body = await asyncio.to_thread(write_calendar, source)  # a second for thousands: others are not kept waiting
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _known(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = 'inline; filename="doses.ics"'
    return Response(body, headers=headers, media_type=f"{MEDIA_TYPE}; charset=utf-8")


def _known(if_none_match: str, tag: str) -> bool:
    """RFC 9110, 13.1.2: weak comparison."""
    given = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return given == ["*"] or tag in given
