"""The stock of a medication over HTTP: counted, used, refilled, forecast, and who is in whose way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from carecircle.db.audit import AuditEntry

SUPPLY = {"unit": "tablet", "stock": 14, "package_size": 30}


@pytest.fixture
def medication(circle) -> str:
    return f"/v1/medications/{circle.medication['id']}"


@pytest.fixture
def path(medication) -> str:
    return f"{medication}/supply"


def today() -> datetime:
    return datetime.now(ZoneInfo("Europe/Berlin"))


async def kinds(anna, path) -> list[tuple[str, float, float]]:
    """(kind, change, stock after), oldest first."""
    items = (await anna.get(f"{path}/ledger")).json()["items"]
    return [(item["kind"], item["change"], item["stock_after"]) for item in reversed(items)]


async def test_a_stock_is_counted_used_and_refilled(anna, circle, medication, path):
    await circle.schedule()
    started = await anna.post(path, {**SUPPLY, "equivalents": [{"unit": "mg", "quantity": 500}]})
    assert started.status_code == 201, started.text
    assert started.headers["location"] == path
    assert started.json()["equivalents"] == [{"unit": "mg", "quantity": 500}]
    assert (await anna.get(path)).json() == started.json()

    dose = (await circle.occurrences())[0]
    await anna.made(f"/v1/occurrences/{dose['id']}/administrations", {"status": "taken"})
    assert (await anna.get(path)).json()["stock"] == 13
    refill = await anna.made(f"{medication}/refills", {"expires_on": "2031-03-31", "lot": "A1"})
    assert (refill["quantity"], refill["change"], refill["days_supply"]) == (30, 30, 7.5)  # four doses a day
    assert refill["filled_on"] == f"{today():%Y-%m-%d}"
    await anna.made(f"{medication}/losses", {"quantity": 0.5, "note": "Broke"})
    await anna.made(f"{medication}/counts", {"stock": 40})

    expected = [("count", 14, 14), ("intake", -1, 13), ("refill", 30, 43), ("loss", -0.5, 42.5), ("count", -2.5, 40)]
    assert await kinds(anna, path) == expected
    supply = (await anna.get(path)).json()
    assert (supply["stock"], supply["next_expiry"], supply["warnings"]) == (40, "2031-03-31", [])


async def test_it_says_until_when_the_stock_lasts_and_why(anna, circle, path):
    await circle.schedule()
    supply = await anna.made(path, {**SUPPLY, "warn_days": 3})
    assert (supply["basis"], supply["doses_left"]) == ("planned_doses", 14)
    run_out = datetime.fromisoformat(supply["run_out_at"])
    # The 15th of the doses still to come, one every six hours: 14 times 6 h after the first of them, by the wall clock.
    assert timedelta(hours=83) < run_out - datetime.now(UTC) < timedelta(hours=91)
    local = run_out.astimezone(ZoneInfo("Europe/Berlin")).date()
    assert supply["run_out_on"] == f"{local}"
    assert supply["days_left"] == (local - today().date()).days
    assert supply["warnings"] == (["low"] if supply["days_left"] <= 3 else [])


async def test_without_planned_doses_it_says_why_nothing_can_be_said(anna, circle, medication, path):
    supply = await anna.made(path, {**SUPPLY, "warn_stock": 14})
    assert (supply["basis"], supply["run_out_on"], supply["days_left"]) == ("nothing_planned", None, None)
    assert supply["warnings"] == ["low"]  # by the number alone
    await circle.schedule(dose={"quantity": 5, "unit": "drop"})
    assert (await anna.get(path)).json()["basis"] == "unit_unknown"
    assert (await anna.get(path)).json()["warnings"] == ["low", "unit_unknown"]
    await anna.patch(medication, {"status": "on_hold"})
    assert (await anna.get(path)).json()["basis"] == "not_active"


async def test_who_takes_more_than_is_there_is_told(anna, circle, medication, path):
    await circle.schedule()
    await anna.made(path, {"unit": "tablet", "stock": 0.5})
    dose = (await circle.occurrences())[0]
    await anna.made(f"/v1/occurrences/{dose['id']}/administrations", {"status": "taken"})

    supply = (await anna.get(path)).json()
    assert (supply["stock"], supply["warnings"]) == (0, ["out", "low", "discrepancy"])
    assert await kinds(anna, path) == [("count", 0.5, 0.5), ("discrepancy", 0.5, 1), ("intake", -1, 0)]
    await anna.made(f"{medication}/counts", {"stock": 500})
    assert (await anna.get(path)).json()["warnings"] == []


async def test_a_refill_entered_in_error_leaves_the_stock_once(anna, medication, path):
    await anna.made(path, SUPPLY)
    refill = await anna.made(f"{medication}/refills", {})
    for _ in range(2):
        undone = await anna.delete(f"/v1/refills/{refill['id']}")
        assert (undone.status_code, undone.json()["stock"]) == (200, 14)
    assert await kinds(anna, path) == [("count", 14, 14), ("refill", 30, 44), ("undo", -30, 14)]

    again = await anna.made(f"{medication}/refills", {})
    await anna.made(f"{medication}/losses", {"quantity": 40})
    await anna.delete(f"/v1/refills/{again['id']}")
    expected = [("refill", 30, 44), ("loss", -40, 4), ("discrepancy", 26, 30), ("undo", -30, 0)]
    assert (await kinds(anna, path))[3:] == expected
    assert "discrepancy" in (await anna.get(path)).json()["warnings"]

    counted = await anna.made(f"{medication}/refills", {})
    await anna.made(f"{medication}/counts", {"stock": 3})
    assert (await anna.delete(f"/v1/refills/{counted['id']}")).json()["stock"] == 3  # somebody looked since


async def test_a_refill_of_earlier_is_kept_for_its_days_only(anna, medication, path):
    await anna.made(path, SUPPLY)
    body = {"quantity": 90, "filled_on": "2026-01-05", "days_supply": 22.5, "in_stock": False}
    refill = await anna.made(f"{medication}/refills", body)
    assert (refill["change"], refill["quantity"], refill["days_supply"]) == (0, 90, 22.5)
    assert (await anna.get(path)).json()["stock"] == 14


async def test_settings_change_under_their_tag(anna, medication, path, refused):
    tag = (await anna.post(path, SUPPLY)).headers["etag"]
    await anna.made(f"{medication}/refills", {})  # a refill is not in the way
    changed = await anna.patch(path, {"warn_days": None, "package_size": 100}, headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["warn_days"], changed.json()["package_size"], changed.json()["stock"]) == (None, 100, 44)
    assert changed.headers["etag"] != tag
    refused(await anna.patch(path, {"warn_days": 5}, headers={"If-Match": tag}), 412, "revision_mismatch")
    same = await anna.patch(path, {"warn_days": None}, headers={"If-Match": changed.headers["etag"]})
    assert same.headers["etag"] == changed.headers["etag"]
    swapped = await anna.patch(path, {"equivalents": [{"unit": "mg", "quantity": 250}]})
    assert swapped.json()["equivalents"] == [{"unit": "mg", "quantity": 250}]


async def test_who_ends_it_can_begin_anew_in_another_unit(anna, medication, path, refused):
    refused(await anna.get(path), 404, "no_supply")
    refused(await anna.post(f"{medication}/refills", {"quantity": 1}), 404, "no_supply")
    await anna.made(path, SUPPLY)
    refused(await anna.post(path, SUPPLY), 409, "supply_exists")
    assert (await anna.delete(path)).status_code == 204
    refused(await anna.get(path), 404, "no_supply")
    again = await anna.made(path, {"unit": "ml", "stock": 100})
    assert (again["unit"], again["stock"], again["package_size"]) == ("ml", 100, None)
    assert await kinds(anna, path) == [("count", 14, 14), ("count", 86, 100)]


async def test_the_ledger_comes_in_pages_and_says_who(anna, circle, person, medication, path):
    ben = await person("ben")
    await circle.invite(ben, "carer")
    await anna.made(path, SUPPLY)
    for number in range(5):
        await ben.made(f"{medication}/counts", {"stock": number})
    seen, cursor = [], ""
    while cursor is not None:
        page = (await anna.get(f"{path}/ledger?limit=2{cursor and '&cursor=' + cursor}")).json()
        seen += [(item["stock_after"], item["recorded_by"]) for item in page["items"]]
        cursor = page["next"]
    assert seen == [(4, "Ben"), (3, "Ben"), (2, "Ben"), (1, "Ben"), (0, "Ben"), (14, "Anna")]


async def test_the_same_request_twice_refills_once(anna, medication, path):
    await anna.made(path, SUPPLY)
    key = {"Idempotency-Key": "pharmacy-1"}
    first, second = [await anna.post(f"{medication}/refills", {}, headers=key) for _ in range(2)]
    assert first.json() == second.json()
    assert (await anna.get(path)).json()["stock"] == 44


async def test_many_at_once_lose_nothing(anna, circle, medication, path, person):
    await circle.schedule()
    await anna.made(path, {"unit": "tablet", "stock": 100})
    ben = await person("ben")
    await circle.invite(ben, "carer")
    dose = (await circle.occurrences())[0]
    answers = await asyncio.gather(
        *(who.post(f"/v1/occurrences/{dose['id']}/administrations", {"status": "taken"}) for who in [anna, ben] * 3),
        *(who.post(f"{medication}/refills", {"quantity": 2}) for who in [anna, ben] * 3),
        *(who.post(f"{medication}/losses", {"quantity": 1}) for who in [anna, ben]),
        anna.post(path, SUPPLY),
    )
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses[:6]) == [201, 409, 409, 409, 409, 409]
    assert statuses[6:] == [201] * 8 + [409]
    assert (await anna.get(path)).json()["stock"] == 100 - 1 + 12 - 2


async def test_every_write_is_in_the_audit_trail(anna, medication, path, database):
    await anna.made(path, SUPPLY)
    await anna.patch(path, {"warn_days": 9})
    refill = await anna.made(f"{medication}/refills", {})
    await anna.delete(f"/v1/refills/{refill['id']}")
    await anna.made(f"{medication}/counts", {"stock": 4})
    await anna.made(f"{medication}/losses", {"quantity": 1})
    await anna.delete(path)
    async with database.transaction() as session:
        entries = list(
            await session.scalars(
                select(AuditEntry).where(AuditEntry.subject_type == "supply").order_by(AuditEntry.at, AuditEntry.id)
            )
        )
    verbs = [entry.action.removeprefix("supply.") for entry in entries]
    assert verbs == ["created", "changed", "refilled", "refill_undone", "counted", "lost", "ended"]
    assert entries[1].details == {"before": {"warn_days": "7"}, "after": {"warn_days": "9"}}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"unit": "tablet"}, "stock"),
        ({"stock": 1}, "unit"),
        ({"unit": " ", "stock": 1}, "unit"),
        ({"unit": "tablet", "stock": -1}, "stock"),
        ({"unit": "tablet", "stock": "14"}, "stock"),
        ({"unit": "tablet", "stock": True}, "stock"),
        ({"unit": "tablet", "stock": 0.00001}, "stock"),
        ({"unit": "tablet", "stock": 10_000_001}, "stock"),
        ({"unit": "tablet", "stock": 1, "equivalents": [{"unit": "Tablet", "quantity": 2}]}, "equivalents"),
        ({"unit": "tablet", "stock": 1, "equivalents": [{"unit": "mg", "quantity": 0}]}, "equivalents.quantity"),
        ({"unit": "tablet", "stock": 1, "equivalents": [{"unit": "mg"}]}, "equivalents.0.quantity"),
        ({"unit": "tablet", "stock": 1, "warn_days": -1}, "warn_days"),
        ({"unit": "tablet", "stock": 1, "warn_days": 1.5}, "warn_days"),
        ({"unit": "tablet", "stock": 1, "package_size": 0}, "package_size"),
        ({"unit": "tablet", "stock": 1, "colour": "red"}, "colour"),
    ],
)
async def test_a_bad_start_names_the_field(anna, path, refused, body, field):
    refused(await anna.post(path, body), 422, "invalid", field=field)


@pytest.mark.parametrize(
    ("what", "body", "field"),
    [
        ("refills", {}, "quantity"),  # no package size
        ("refills", {"quantity": 0}, "quantity"),
        ("refills", {"quantity": 100_001}, "quantity"),
        ("refills", {"quantity": 1, "filled_on": "2100-01-01"}, "filled_on"),
        ("refills", {"quantity": 1, "filled_on": "2001-01-01"}, "filled_on"),
        ("refills", {"quantity": 1, "filled_on": "2026-02-30"}, "filled_on"),
        ("refills", {"quantity": 1, "days_supply": 0}, "days_supply"),
        ("refills", {"quantity": 1, "days_supply": 1.3}, "days_supply"),
        ("refills", {"quantity": 1, "days_supply": 4000}, "days_supply"),
        ("refills", {"quantity": 1, "expires_on": "soon"}, "expires_on"),
        ("refills", {"quantity": 1, "lot": "a\u0000"}, "lot"),
        ("counts", {"stock": -1}, "stock"),
        ("counts", {}, "stock"),
        ("losses", {"quantity": 15}, "quantity"),
        ("losses", {"quantity": -1}, "quantity"),
    ],
)
async def test_a_bad_entry_names_the_field_and_changes_nothing(anna, medication, path, refused, what, body, field):
    await anna.made(path, {"unit": "tablet", "stock": 14})
    refused(await anna.post(f"{medication}/{what}", body), 422, "invalid", field=field)
    assert await kinds(anna, path) == [("count", 14, 14)]


async def test_a_stock_has_an_upper_end(anna, medication, path, refused):
    await anna.made(path, {"unit": "tablet", "stock": 9_999_999})
    refused(await anna.post(f"{medication}/refills", {"quantity": 2}), 422, "invalid", field="quantity")


async def test_the_unit_stays(anna, path, refused):
    await anna.made(path, SUPPLY)
    refused(await anna.patch(path, {"unit": "ml"}), 422, "invalid", field="unit")
