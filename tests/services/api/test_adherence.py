"""How doses were taken, over HTTP: figures, weeks, fills and use as needed, for one's own circle."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from carecircle.db.base import new_id
from carecircle.db.medications import Medication
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.schedules import ScheduleRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = date(2026, 1, 5)
JANUARY = {"since": "2026-01-05", "until": "2026-01-18"}
TABLET = {"quantity": 1, "unit": "tablet"}
HISTORY = "08:00 taken 0.1, 20:00 taken 3, +1 08:00 missed, +1 20:00 skipped, +2 08:00 unknown, +7 08:00 taken -0.2"


@pytest.fixture
def past(database, anna) -> Callable[..., Awaitable[None]]:
    """Makes doses of a schedule as if time had passed: `await past(schedule, "08:00 taken 0.1, +1 08:00 missed")`."""

    async def make(schedule: dict[str, Any], history: str, *, first: date = MONDAY) -> None:
        async with database.transaction() as session:
            row = await session.get_one(ScheduleRow, UUID(schedule["id"]))
            for item in history.split(","):
                words = item.split()
                days = int(words.pop(0)) if words[0].startswith("+") else 0
                local = datetime.combine(first + timedelta(days), time.fromisoformat(words[0]))
                hours = float(words[2]) if len(words) > 2 else None
                for one in rows_of(row, local, words[1], hours, UUID(anna.account["id"])):
                    session.add(one)
                    await session.flush()

    return make


def rows_of(schedule: ScheduleRow, local: datetime, state: str, hours: float | None, account_id: UUID) -> list[Any]:
    due_at = local.replace(tzinfo=BERLIN).astimezone(UTC)
    dose = OccurrenceRow(
        id=new_id(), schedule_id=schedule.id, medication_id=schedule.medication_id, patient_id=schedule.patient_id,
        revision=schedule.revision, nominal_local=local, zone=BERLIN.key, due_at=due_at,
        missed_at=due_at + timedelta(hours=6), remind_at=due_at, dose_quantity=1, dose_unit="tablet", state=state,
    )  # fmt: skip
    if hours is None:
        return [dose]
    given = Administration(
        id=new_id(), occurrence_id=dose.id, patient_id=schedule.patient_id, status="taken",
        at=due_at + timedelta(hours=hours), dose_quantity=1, dose_unit="tablet", recorded_by=account_id,
    )  # fmt: skip
    return [dose, given]


async def twice_daily(circle) -> dict[str, Any]:
    return await circle.schedule(times=["08:00", "20:00"], start_date="2026-01-01")


async def test_the_figures_of_a_period(anna, circle, past):
    await past(await twice_daily(circle), HISTORY)
    answer = await anna.get(f"{circle.path}/adherence", params=JANUARY)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["since"], body["until"]) == ("2026-01-05", "2026-01-18")
    assert body["overall"]["figures"] == {
        "due": 5, "taken": 3, "on_time": 2, "early": 0, "late": 1, "skipped": 1, "missed": 1, "unknown": 1,
        "on_hold": 0, "open": 0, "taking_adherence": 0.6, "timing_adherence": 0.4, "confidence": 0.8333,
    }  # fmt: skip
    assert body["overall"]["longest_gap"] == {
        "since": "2026-01-05T22:00:00Z", "until": "2026-01-12T06:48:00Z", "length": "PT152H48M", "not_taken": 2,
        "unknown": 1, "began_taken": True, "ended_taken": True,
    }  # fmt: skip
    assert body["overall"]["streaks"] == {"longest_days": 1, "current_days": 1}
    assert body["overall"]["fills"]["pdc"] is None
    [medication] = body["medications"]
    assert (medication["medication_id"], medication["medication_name"]) == (circle.medication["id"], "Secretamol")
    assert medication["figures"] == body["overall"]["figures"]
    assert {one["day"]: one["figures"]["due"] for one in body["by_weekday"] if one["figures"]["due"]} == {
        "mon": 3,
        "tue": 2,
    }
    assert [one["figures"]["due"] for one in body["by_part_of_day"]] == [0, 3, 0, 2]


async def test_the_weeks_of_a_period(anna, circle, past):
    await past(await twice_daily(circle), HISTORY)
    body = (await anna.get(f"{circle.path}/adherence/weeks", params=JANUARY | {"until": "2026-01-25"})).json()
    assert [(one["week"], one["figures"]["taken"], one["figures"]["unknown"]) for one in body["weeks"]] == [
        ("2026-W02", 2, 1),
        ("2026-W03", 1, 0),
        ("2026-W04", 0, 0),
    ]


async def test_both_ends_of_the_period_are_in_it_by_local_date(anna, circle, past):
    await past(await twice_daily(circle), "00:10 taken 0, +1 23:50 missed, +2 00:00 missed")
    params = {"since": "2026-01-05", "until": "2026-01-06"}
    figures = (await anna.get(f"{circle.path}/adherence", params=params)).json()["overall"]["figures"]
    assert (figures["taken"], figures["missed"]) == (1, 1)


async def test_an_answer_taken_back_and_a_cancelled_dose_count_for_nothing(anna, circle, past, database):
    await past(await twice_daily(circle), "08:00 missed 0.1, 20:00 cancelled")
    async with database.transaction() as session:
        await session.execute(
            update(Administration).values(entered_in_error_at=datetime.now(UTC), entered_in_error_by=None)
        )
    figures = (await anna.get(f"{circle.path}/adherence", params=JANUARY)).json()["overall"]["figures"]
    assert (figures["due"], figures["taken"], figures["missed"]) == (1, 0, 1)


async def test_the_window_is_the_schedules_own_or_follows_severity(anna, circle, past):
    for changes, on_time in [
        ({}, 1),
        ({"severity": "critical"}, 0),
        ({"on_time": "PT10M"}, 0),
        ({"times": ["09:00"]}, 2),
    ]:
        circle.medication = await anna.made(f"{circle.path}/medications", {"name": "Other"})
        schedule = await circle.schedule(**{"times": ["08:00", "20:00"], "start_date": "2026-01-01"} | changes)
        await past(schedule, "08:00 taken 0.9, +1 08:00 taken 1.1")
        params = JANUARY | {"medication": circle.medication["id"]}
        found = (await anna.get(f"{circle.path}/adherence", params=params)).json()
        assert (changes, found["overall"]["figures"]["on_time"]) == (changes, on_time)


async def test_one_medication_or_all_and_none_that_was_deleted(anna, circle, past):
    await past(await twice_daily(circle), "08:00 taken 0")
    first = circle.medication["id"]
    circle.medication = await anna.made(f"{circle.path}/medications", {"name": "Other"})
    await past(await twice_daily(circle), "08:00 missed, 20:00 missed")
    path = f"{circle.path}/adherence"
    assert (await anna.get(path, params=JANUARY)).json()["overall"]["figures"]["due"] == 3
    one = (await anna.get(path, params=JANUARY | {"medication": first})).json()
    assert [row["medication_id"] for row in one["medications"]] == [first]
    assert one["overall"]["figures"]["due"] == 1
    await anna.delete(f"/v1/medications/{circle.medication['id']}")
    assert (await anna.get(path, params=JANUARY)).json()["overall"]["figures"]["due"] == 1


async def test_another_circles_medication_does_not_exist(anna, person, circle, new_circle, refused, past, database):
    ben = await person("ben")
    other = await new_circle(ben)
    for path in ("adherence", "adherence/weeks", "as-needed-use"):
        for medication in (other.medication["id"], str(uuid4())):
            answer = await anna.get(f"{circle.path}/{path}", params={"medication": medication})
            refused(answer, 404, "not_found")
        refused(await ben.get(f"{circle.path}/{path}"), 404, "not_found")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"since": "2026-01-06", "until": "2026-01-05"}, "until"),
        ({"since": "2025-01-01", "until": "2026-01-02"}, "until"),
        ({"since": "2020-01-01"}, "since"),
        ({"since": "2026-02-30"}, "since"),
        ({"since": "2026-01-05T00:00:00Z"}, "since"),
        ({"until": "tomorrow"}, "until"),
        ({"medication": "Secretamol"}, "medication"),
    ],
)
async def test_bad_input_names_the_field(anna, circle, refused, params, field):
    for path in ("adherence", "adherence/weeks", "as-needed-use"):
        refused(await anna.get(f"{circle.path}/{path}", params=params), 422, "invalid", field=field)


async def test_without_a_period_it_is_four_weeks_to_today(anna, circle):
    body = (await anna.get(f"{circle.path}/adherence")).json()
    today = datetime.now(BERLIN).date()
    assert abs(date.fromisoformat(body["until"]) - today) <= timedelta(days=1)  # midnight may have passed
    assert date.fromisoformat(body["until"]) - date.fromisoformat(body["since"]) == timedelta(days=27)
    ahead = today + timedelta(days=30)
    body = (await anna.get(f"{circle.path}/adherence", params={"since": str(ahead)})).json()
    assert body["until"] == str(ahead + timedelta(days=27))


async def test_what_fills_covered_comes_from_refills(anna, circle, past):
    """Case 50, and a second medicine with half of it."""
    first = circle.medication["id"]
    second = (await anna.made(f"{circle.path}/medications", {"name": "Other"}))["id"]
    for medication, fills in ((first, ("2026-01-01", "2026-01-25")), (second, ("2026-01-01",))):
        await anna.made(f"/v1/medications/{medication}/supply", {"unit": "tablet", "stock": 0})
        for day in fills:
            refill = {"quantity": 30, "filled_on": day, "days_supply": 30, "in_stock": False}
            await anna.made(f"/v1/medications/{medication}/refills", refill)
    wrong = {"quantity": 30, "filled_on": "2026-03-01", "days_supply": 30, "in_stock": False}
    undone = await anna.made(f"/v1/medications/{first}/refills", wrong)
    await anna.delete(f"/v1/refills/{undone['id']}")

    body = (await anna.get(f"{circle.path}/adherence?since=2026-01-01&until=2026-03-31")).json()
    assert {one["medication_id"]: one["fills"] for one in body["medications"]} == {
        first: {"days": 90, "covered_days": 60, "supplied_days": 60, "fills": 2, "pdc": 0.6667, "mpr": 0.6667},
        second: {"days": 90, "covered_days": 30, "supplied_days": 30, "fills": 1, "pdc": 0.3333, "mpr": 0.3333},
    }
    together = {"days": 180, "covered_days": 90, "supplied_days": 90, "fills": 3, "pdc": 0.5, "mpr": 0.5}
    assert body["overall"]["fills"] == together
    assert body["overall"]["figures"]["due"] == 0


async def test_the_timing_that_was_stored_with_the_answer_stands(anna, circle, past, database):
    schedule = await twice_daily(circle)
    await past(schedule, "08:00 taken 0.5")
    params = {"params": JANUARY}
    async with database.transaction() as session:
        await session.execute(update(Administration).values(timing="late"))
    assert (await anna.get(f"{circle.path}/adherence", **params)).json()["overall"]["figures"]["late"] == 1


async def test_the_use_as_needed(anna, circle, database):
    body = {"kind": "as_needed", "min_interval": "PT4H", "max": {"count": 3, "per": "PT24H"}, "dose": TABLET}
    made = await anna.made(f"/v1/medications/{circle.medication['id']}/schedules", body)
    for hours, quantity in ((60, 1), (20, 1), (15, 0.5), (14, 1)):
        at = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
        dose = {"at": at, "even_if_early": True, "dose": {"quantity": quantity, "unit": "tablet"}}
        await anna.made(f"/v1/schedules/{made['id']}/administrations", dose)
    answer = await anna.get(f"{circle.path}/as-needed-use")
    assert answer.status_code == 200, answer.text
    [found] = answer.json()["schedules"]
    assert (found["schedule_id"], found["medication_name"]) == (made["id"], "Secretamol")
    assert (found["min_interval"], found["max"]) == ("PT4H", {"count": 3, "per": "PT24H"})
    assert found["total"] == {
        "doses": 4, "amounts": [{"quantity": 3.5, "unit": "tablet"}], "near_max": 2, "before_max": 1, "at_max": 1,
        "above_max": 0, "too_early": 1,
    }  # fmt: skip
    assert (
        sum(day["use"]["doses"] for day in found["days"]) == sum(week["use"]["doses"] for week in found["weeks"]) == 4
    )
    # It says nothing of adherence: nothing was due.
    assert (await anna.get(f"{circle.path}/adherence")).json()["overall"]["figures"]["due"] == 0


async def test_a_deleted_schedule_keeps_its_use(anna, circle, database):
    unused = {"kind": "as_needed", "dose": TABLET}
    path = f"/v1/medications/{circle.medication['id']}/schedules"
    used, never = await anna.made(path, unused), await anna.made(path, unused)
    await anna.made(f"/v1/schedules/{used['id']}/administrations", {})
    for one in (used, never):
        assert (await anna.delete(f"/v1/schedules/{one['id']}")).is_success
    shown = (await anna.get(f"{circle.path}/as-needed-use")).json()["schedules"]
    assert [one["schedule_id"] for one in shown] == [used["id"]]
    async with database.transaction() as session:
        assert await session.get(Medication, UUID(circle.medication["id"])) is not None
