"""Calendar feeds over HTTP: made by a member, read by whoever has the address, gone when revoked."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from icalendar import Calendar
from prometheus_client import generate_latest
from sqlalchemy import select

from carecircle.db.audit import AuditEntry
from carecircle.db.calendar_feeds import CalendarFeed
from carecircle.usecases.accounts import digest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx2

    from carecircle.db.session import Database

pytestmark = pytest.mark.postgres


async def made(circle, **options) -> dict:
    return await circle.owner.made(f"{circle.path}/calendar-feeds", {"name": "Doses"} | options)


def path_of(feed: dict) -> str:
    return urlsplit(feed["url"]).path


async def events(client: httpx2.AsyncClient, feed: dict) -> dict[str, object]:
    """By UID."""
    answer = await client.get(path_of(feed))
    assert answer.status_code == 200, answer.text
    return {str(event["UID"]): event for event in Calendar.from_ical(answer.content).walk("VEVENT")}


async def test_the_address_alone_reads_the_doses_of_sixty_days(client, circle) -> None:
    await circle.schedule()
    feed = await made(circle, alarm_lead="PT5M")
    assert feed["url"].startswith("http://reminders.example.org/v1/calendar/")
    found = await events(client, feed)
    starts = sorted(event.start for event in found.values())
    now = datetime.now(UTC)
    assert starts[0] > now
    assert timedelta(days=59) < starts[-1] - now < timedelta(days=62)
    assert {b - a for a, b in pairwise(starts)} == {timedelta(hours=6)}
    assert all(len(event.walk("VALARM")) == 1 for event in found.values())
    assert {str(event["SUMMARY"]) for event in found.values()} == {"Medicine"}


async def test_stored_doses_and_those_worked_out_meet_without_a_seam(client, circle) -> None:
    """What the planner stored is the same dose as before: its UID and its SEQUENCE stay."""
    await circle.schedule()
    feed = await made(circle)
    stored = await circle.occurrences()
    found = await events(client, feed)
    by_start = {event.start: event for event in found.values()}
    assert stored
    for dose in stored:
        assert by_start[datetime.fromisoformat(dose["due_at"])]["SEQUENCE"] == 0
    assert len(by_start) == len(found)


async def test_an_answered_dose_rings_no_more_and_an_undone_answer_rings_again(client, circle) -> None:
    await circle.schedule()
    feed = await made(circle)
    before = await events(client, feed)
    dose = (await circle.occurrences())[0]
    given = await circle.owner.made(f"/v1/occurrences/{dose['id']}/administrations", {"status": "taken"})
    answered = await events(client, feed)
    assert answered.keys() == before.keys()
    [changed] = [uid for uid in answered if answered[uid]["STATUS"] == "CANCELLED"]
    assert answered[changed].walk("VALARM") == []
    assert answered[changed]["SEQUENCE"] > before[changed]["SEQUENCE"]
    assert answered[changed]["LAST-MODIFIED"].dt >= before[changed]["LAST-MODIFIED"].dt
    undone = await circle.owner.delete(f"/v1/occurrences/{dose['id']}/administrations/{given['id']}")
    assert undone.status_code in {200, 204}
    again = await events(client, feed)
    assert again[changed]["STATUS"] == "CONFIRMED"
    assert again[changed]["SEQUENCE"] >= answered[changed]["SEQUENCE"]
    assert len(again[changed].walk("VALARM")) == 1


async def test_a_pause_silences_the_calendar(client, circle) -> None:
    await circle.schedule()
    feed = await made(circle)
    paused = await circle.owner.patch(f"/v1/medications/{circle.medication['id']}", {"status": "on_hold"})
    assert paused.status_code == 200
    found = await events(client, feed)
    assert found
    assert {str(event["STATUS"]) for event in found.values()} == {"CANCELLED"}


async def test_names_are_shown_only_if_asked_for(client, circle) -> None:
    await circle.schedule()
    quiet, loud = await made(circle), await made(circle, medicine_names=True)
    assert b"Secretamol" not in (await client.get(path_of(quiet))).content
    assert b"SUMMARY:Secretamol: 1 tablet" in (await client.get(path_of(loud))).content


async def test_it_is_private_and_need_not_be_sent_twice(client, circle) -> None:
    await circle.schedule()
    feed = await made(circle)
    first = await client.get(path_of(feed))
    assert first.headers["content-type"] == "text/calendar; charset=utf-8"
    assert first.headers["cache-control"] == "private, no-cache"
    same = await client.get(path_of(feed), headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert same.status_code == 304
    assert same.content == b""
    await circle.schedule(times=["03:00"])
    other = await client.get(path_of(feed), headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200
    assert other.headers["etag"] != first.headers["etag"]


async def test_revoked_unknown_and_malformed_look_the_same(client, circle, refused) -> None:
    feed = await made(circle)
    assert (await circle.owner.delete(f"{circle.path}/calendar-feeds/{feed['id']}")).status_code == 204
    problems = []
    for path in [path_of(feed), f"/v1/calendar/{'A' * 43}.ics", "/v1/calendar/x.ics", "/v1/calendar/%00%ff.ics"]:
        problem = refused(await client.get(path), 404, "not_found")
        problems.append({key: value for key, value in problem.items() if key != "trace_id"})
    assert all(problem == problems[0] for problem in problems)
    assert (await circle.owner.get(f"{circle.path}/calendar-feeds")).json()["items"] == []
    refused(await circle.owner.delete(f"{circle.path}/calendar-feeds/{feed['id']}"), 404, "not_found")


async def test_guessing_addresses_is_slowed_down(client, circle, refused) -> None:
    answers = [await client.get(f"/v1/calendar/{'A' * 43}.ics") for _ in range(61)]
    refused(answers[-1], 429, "too_many_attempts")
    assert answers[-2].status_code == 404
    feed = await made(circle)
    assert (await client.get(path_of(feed))).status_code == 200  # who knows an address is not kept waiting


async def test_reading_one_feed_over_and_over_is_slowed_down(client, circle, refused) -> None:
    feed = await made(circle)
    answers = [await client.get(path_of(feed)) for _ in range(121)]
    assert answers[-2].status_code == 200
    refused(answers[-1], 429, "too_many_attempts")


async def test_a_feed_ends_with_the_membership_of_who_made_it(
    client, circle, person: Callable[..., Awaitable], refused
) -> None:
    ben = await person("ben")
    await circle.invite(ben, "viewer")
    feed = await ben.made(f"{circle.path}/calendar-feeds", {"name": "Mother"})
    assert (await client.get(path_of(feed))).status_code == 200
    assert [one["id"] for one in (await circle.owner.get(f"{circle.path}/calendar-feeds")).json()["items"]] == [
        feed["id"]
    ]
    await circle.owner.delete(f"{circle.path}/members/{await circle.member_id(ben)}")
    refused(await client.get(path_of(feed)), 404, "not_found")


async def test_others_feeds_are_the_owners_business(circle, person: Callable[..., Awaitable], refused) -> None:
    ben, mallory = await person("ben"), await person("mallory")
    await circle.invite(ben, "carer")
    feed = await made(circle)
    assert (await ben.get(f"{circle.path}/calendar-feeds")).json()["items"] == []
    refused(await ben.delete(f"{circle.path}/calendar-feeds/{feed['id']}"), 403, "not_allowed")
    for answer in [
        await mallory.get(f"{circle.path}/calendar-feeds"),
        await mallory.post(f"{circle.path}/calendar-feeds", {"name": "x"}),
        await mallory.delete(f"{circle.path}/calendar-feeds/{feed['id']}"),
    ]:
        refused(answer, 404, "not_found")


async def test_only_the_hash_is_kept_and_nothing_of_the_secret_is_told(
    client, circle, database: Database, services, caplog, capsys
) -> None:
    caplog.set_level(logging.DEBUG)
    feed = await made(circle)
    token = path_of(feed).removeprefix("/v1/calendar/").removesuffix(".ics")
    assert len(token) == 43
    await client.get(path_of(feed))
    async with database.transaction() as session:
        row = (await session.scalars(select(CalendarFeed))).one()
        trail = (await session.scalars(select(AuditEntry).where(AuditEntry.subject_id == row.id))).all()
    assert row.token_hash == digest(token)
    assert row.last_read_at is not None
    assert [entry.action for entry in trail] == ["calendar_feed.created"]
    assert token not in str([entry.details for entry in trail])
    listed = (await circle.owner.get(f"{circle.path}/calendar-feeds")).json()["items"]
    assert listed[0].keys() == feed.keys() - {"url"}
    assert token not in generate_latest(services.metrics.registry).decode()
    assert "/v1/calendar/{token}.ics" in generate_latest(services.metrics.registry).decode()
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    said = capsys.readouterr().out
    assert "route=/v1/calendar/{token}.ics" in said
    assert token not in said + "\n".join(ours)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "alarm_lead": "PT25H"}, "alarm_lead"),
        ({"name": "x", "alarm_lead": "five"}, "alarm_lead"),
        ({"name": "x", "medicine_names": "yes"}, "medicine_names"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "x", "other": 1}, "other"),
    ],
)
async def test_bad_wishes_are_refused_by_field(circle, refused, body: dict, field: str) -> None:
    refused(await circle.owner.post(f"{circle.path}/calendar-feeds", body), 422, "invalid", field=field)


async def test_there_are_ten_feeds_at_most(circle, refused) -> None:
    for _ in range(10):
        await made(circle)
    refused(await circle.owner.post(f"{circle.path}/calendar-feeds", {"name": "x"}), 409, "limit_reached")
