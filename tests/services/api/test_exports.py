"""Files to take along: who gets them, what is in them, what is noted."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from sqlalchemy import func, select, update

from carecircle.db.audit import AuditEntry
from carecircle.db.occurrences import OccurrenceRow
from carecircle.usecases.exporting import PAGE
from carecircle_api.exports import download as downloading

AHEAD = {"until": (datetime.now(UTC) + timedelta(days=3)).isoformat()}


def lines(answer) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(StringIO(answer.content.decode("utf-8-sig"), newline="")))


async def audit(database, action: str) -> list[AuditEntry]:
    async with database.transaction() as session:
        found = await session.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.at))
        return list(found)


async def test_each_dose_is_a_line(anna, circle):
    await circle.schedule(times=["00:00", "12:00"], dose={"quantity": 1.5, "unit": "tablet"})
    first, second = (await circle.occurrences())[:2]
    skipped = {"status": "skipped", "reason_code": "other", "reason": "=cmd|' /C calc'!A0"}
    await anna.made(f"/v1/occurrences/{first['id']}/administrations", skipped)

    answer = await anna.get(f"{circle.path}/doses.csv", params=AHEAD)

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-disposition"].startswith('attachment; filename="doses-20')
    assert b"\n" not in answer.content.replace(b"\r\n", b"")
    rows = lines(answer)
    assert [row["due_at"] for row in rows[:2]] == [first["due_at"], second["due_at"]]
    assert rows[0] == {
        "nominal_local_time": first["nominal_local_time"],
        "zone": "Europe/Berlin",
        "due_at": first["due_at"],
        "medication": "Secretamol",
        "dose_quantity": "1.5",
        "dose_unit": "tablet",
        "state": "skipped",
        "answered_by": "Anna",
        "answered_at": rows[0]["recorded_at"],
        "recorded_at": rows[0]["recorded_at"],
        "taken_quantity": "",
        "taken_unit": "",
        "timing": "",
        "reason_code": "other",
        "reason": "'=cmd|' /C calc'!A0",
        "note": "",
    }
    assert rows[1]["state"] == "planned"
    assert rows[1]["answered_by"] == ""


async def test_a_mark_for_spreadsheets_is_there_if_asked_for(anna, circle):
    plain = await anna.get(f"{circle.path}/doses.csv")
    marked = await anna.get(f"{circle.path}/doses.csv", params={"bom": "true"})
    assert plain.content.startswith(b'"nominal_local_time"')
    assert marked.content == b"\xef\xbb\xbf" + plain.content


async def test_more_than_a_page_comes_whole_and_in_order(anna, circle, database):
    """Doses of one instant lie on both sides of a page's end."""
    body = {
        "kind": "interval",
        "every": {"n": 5, "unit": "minute"},
        "start": "2026-01-01T00:00",
        "dose": {"quantity": 1, "unit": "drop"},
    }
    await anna.made(f"/v1/medications/{circle.medication['id']}/schedules", body)
    async with database.transaction() as session:
        at = await session.scalar(select(func.max(OccurrenceRow.due_at)))
        await session.execute(update(OccurrenceRow).values(due_at=at))
        expected = await session.scalar(select(func.count()).select_from(OccurrenceRow))
    assert expected > PAGE

    rows = lines(await anna.get(f"{circle.path}/doses.csv", params=AHEAD))

    assert len(rows) == len({row["nominal_local_time"] for row in rows}) == expected


async def test_each_export_is_noted_and_a_refused_one_is_not(anna, circle, person, database, refused):
    stranger = await person("stranger")
    refused(await stranger.get(f"{circle.path}/doses.csv"), 404, "not_found")
    since, until = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
    answer = await anna.get(f"{circle.path}/doses.csv", params={"since": since, "until": until})
    assert answer.headers["content-disposition"] == 'attachment; filename="doses-2026-01-01-to-2026-02-01.csv"'
    (entry,) = await audit(database, "patient.exported")
    assert str(entry.actor_id) == anna.account["id"]
    assert str(entry.patient_id) == str(entry.subject_id) == circle.patient["id"]
    assert entry.details == {
        "what": "doses",
        "since": "2026-01-01T00:00:00+00:00",
        "until": "2026-02-01T00:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2010-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
async def test_no_period_and_one_that_is_too_long_are_refused(anna, circle, refused, since, until):
    answer = await anna.get(f"{circle.path}/doses.csv", params={"since": since, "until": until})
    refused(answer, 422, "invalid", field="until")


async def test_a_person_exports_only_so_often(anna, circle, services, refused):
    for _ in range(services.throttle.exports):
        assert (await anna.get(f"{circle.path}/doses.csv")).status_code == 200
    answer = await anna.get(f"{circle.path}/doses.csv")
    refused(answer, 429, "too_many_attempts")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_file_that_grows_too_large_is_refused_before_a_byte_is_sent(anna, circle, monkeypatch, refused):
    monkeypatch.setattr(downloading, "LARGEST", 10)
    refused(await anna.get(f"{circle.path}/doses.csv"), 409, "export_too_large")


async def test_what_does_not_fit_in_memory_is_sent_all_the_same(anna, circle, monkeypatch):
    await circle.schedule()
    at_once = await anna.get(f"{circle.path}/doses.csv", params=AHEAD)
    monkeypatch.setattr(downloading, "IN_MEMORY", 16)
    monkeypatch.setattr(downloading, "BLOCK", 7)
    assert (await anna.get(f"{circle.path}/doses.csv", params=AHEAD)).content == at_once.content
