"""The report over HTTP: what was lived is what it says, and drawing it keeps nobody waiting."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import UUID

import pytest
from pypdf import PdfReader
from sqlalchemy import select, update
from starlette.exceptions import HTTPException

from carecircle.db.audit import AuditEntry
from carecircle.db.occurrences import OccurrenceRow
from carecircle.domain.adherence import Figures
from carecircle.usecases.access import Actor
from carecircle.usecases.reporting import make_report
from carecircle_api.exports.reports import Printer

NOW = datetime.now(UTC)
TOMORROW = (NOW + timedelta(days=1)).date()


def text_of(answer) -> str:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(answer.content)).pages).split())


async def made(circle, session_of, **dates):
    async with session_of.snapshot() as session:
        return await make_report(
            session,
            Actor(UUID(circle.owner.account["id"])),
            UUID(circle.patient["id"]),
            dates.get("since"),
            dates.get("until"),
            NOW,
        )


async def lived_in(circle, database) -> None:
    """Two planned doses were answered, one was missed, one nobody was asked of; two were taken as needed."""
    await circle.schedule(times=["00:00", "06:00", "12:00", "18:00"])
    doses = (await circle.occurrences())[:4]
    async with database.transaction() as session:
        for n, dose in enumerate(doses):  # they were due in the last hours
            at = NOW - timedelta(hours=4 - n)
            state = {2: "missed", 3: "unknown"}.get(n, "due")
            values = {"due_at": at, "nominal_local": at.replace(tzinfo=None), "missed_at": at + timedelta(hours=1)}
            await session.execute(
                update(OccurrenceRow).where(OccurrenceRow.id == dose["id"]).values(state=state, **values)
            )
    taken = {"status": "taken", "at": (NOW - timedelta(hours=4)).isoformat()}
    await circle.owner.made(f"/v1/occurrences/{doses[0]['id']}/administrations", taken)
    skipped = {"status": "skipped", "reason_code": "side_effects", "reason": "dizzy"}
    await circle.owner.made(f"/v1/occurrences/{doses[1]['id']}/administrations", skipped)
    body = {"kind": "as_needed", "min_interval": "PT4H", "dose": {"quantity": 400, "unit": "mg"}}
    pain = await circle.owner.made(f"{circle.path}/medications", {"name": "Ibuprofen", "strength": "400 mg"})
    as_needed = await circle.owner.made(f"/v1/medications/{pain['id']}/schedules", body)
    for minutes in (5, 0):
        given = {"at": (NOW - timedelta(minutes=minutes)).isoformat(), "even_if_early": True}
        await circle.owner.made(f"/v1/schedules/{as_needed['id']}/administrations", given)
    for name, status in (("Stopped", "stopped"), ("Paused", "on_hold")):
        await circle.owner.made(f"{circle.path}/medications", {"name": name, "status": status})


async def test_it_counts_what_was_lived(circle, database):
    await lived_in(circle, database)
    report = await made(circle, database, until=TOMORROW)
    (line,) = report.figures
    assert line.name == "Secretamol"
    counted = Figures(on_time=1, skipped=1, missed=1, unknown=1, open=line.figures.open)
    assert line.figures == counted
    assert [(one.name, one.skipped, one.reason) for one in report.not_taken] == [
        ("Secretamol", True, "side effects: dizzy"),
        ("Secretamol", False, ""),
    ]
    (used,) = report.as_needed
    assert (used.name, used.doses, used.amounts, used.remarks) == (
        "Ibuprofen",
        2,
        ("800 mg",),
        ("1 dose came too early",),
    )
    assert [(one.name, one.paused, one.how) for one in report.medications] == [
        ("Secretamol", False, ("1 tablet every day at 00:00, 06:00, 12:00 and 18:00",)),
        ("Ibuprofen", False, ("400 mg as needed, at least 4 hours apart",)),
        ("Paused", True, ()),
    ]


async def test_only_the_days_asked_for_count(circle, database):
    await lived_in(circle, database)
    long_ago = (NOW - timedelta(days=100)).date()
    report = await made(circle, database, since=long_ago, until=long_ago)
    assert report.figures == report.not_taken == report.as_needed == ()
    assert len(report.medications) == 3


async def test_it_is_a_file_to_hand_over(anna, circle, database):
    await lived_in(circle, database)
    answer = await anna.get(f"{circle.path}/report.pdf", params={"until": TOMORROW.isoformat(), "paper": "letter"})
    text = text_of(answer)
    for said in ("Mother", "Secretamol", "side effects: dizzy", "Ibuprofen", "800 mg", "Paused (paused)", "for Anna."):
        assert said in text, said
    assert "Stopped" not in text
    assert answer.headers["cache-control"] == "no-store"
    since = TOMORROW - timedelta(days=29)
    name = f"medication-report-{since}-to-{TOMORROW}.pdf"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    async with database.transaction() as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "patient.exported"))
        assert entry.details == {"what": "report", "since": since.isoformat(), "until": TOMORROW.isoformat()}


@pytest.mark.parametrize(("since", "until"), [("2026-02-01", "2026-01-01"), ("2025-01-01", "2026-01-02")])
async def test_no_period_and_one_that_is_too_long_are_refused(anna, circle, refused, since, until):
    answer = await anna.get(f"{circle.path}/report.pdf", params={"since": since, "until": until})
    refused(answer, 422, "invalid", field="until")


async def test_a_stranger_learns_nothing_and_leaves_no_entry(circle, person, database, refused):
    stranger = await person("stranger")
    refused(await stranger.get(f"{circle.path}/report.pdf"), 404, "not_found")
    async with database.transaction() as session:
        assert await session.scalar(select(AuditEntry).where(AuditEntry.action == "patient.exported")) is None


async def test_others_are_served_while_it_is_drawn(anna, circle):
    """The loop goes round all the time: it is another process that draws."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    turning = asyncio.create_task(turn())
    assert (await anna.get(f"{circle.path}/report.pdf")).status_code == 200
    turning.cancel()
    assert turns > 100


async def test_one_that_takes_too_long_is_given_up(circle, database):
    report = await made(circle, database)
    with pytest.raises(HTTPException) as given_up:
        await Printer(seconds=0.001).printed(report, "a4")
    assert given_up.value.status_code == 503
    assert (await Printer().printed(report, "a4")).startswith(b"%PDF")
