"""Patients and medications: what changes, and what that does to planned doses."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from carecircle.db.audit import AuditEntry
from carecircle.db.medications import Medication


async def states(circle) -> set[str]:
    """Of the doses ahead."""
    return {dose["state"] for dose in await circle.occurrences()}


async def test_a_patient_can_be_read_back_and_renamed(anna):
    answer = await anna.post("/v1/patients", {"display_name": "  Mum ", "zone": "Europe/Berlin"})
    assert answer.status_code == 201
    location = answer.headers["location"]
    assert (await anna.get(location)).json() == answer.json()
    assert answer.json()["display_name"] == "Mum"
    renamed = await anna.patch(location, {"display_name": "Mother"})
    assert renamed.json() == answer.json() | {"display_name": "Mother"}


async def test_a_new_zone_moves_the_planned_doses(circle, anna, hints):
    await circle.schedule()
    before = {dose["nominal_local_time"][11:]: dose["due_at"][11:] for dose in await circle.occurrences()}
    hints.patients.clear()
    assert (await anna.patch(circle.path, {"zone": "Asia/Kathmandu"})).json()["zone"] == "Asia/Kathmandu"
    after = {dose["nominal_local_time"][11:]: dose["due_at"][11:] for dose in await circle.occurrences()}
    assert before["12:00"] != after["12:00"] == "06:15:00Z"
    assert [str(patient) for patient in hints.patients] == [circle.patient["id"]]


async def test_an_unknown_zone_changes_nothing(circle, anna, refused):
    refused(
        await anna.patch(circle.path, {"zone": "Europe/Atlantis", "display_name": "X"}), 422, "invalid", field="zone"
    )
    assert (await anna.get(circle.path)).json()["display_name"] == "Mother"


async def test_a_medication_can_be_read_back_and_changed(circle, anna):
    body = {
        "name": "Metoprolol",
        "strength": "50 mg",
        "form": "tablet",
        "instructions": "With water.\nNot with grapefruit.",
    }
    answer = await anna.post(f"{circle.path}/medications", body)
    assert answer.status_code == 201
    made = answer.json()
    assert made == made | body | {"status": "active", "severity": "normal"}
    assert (await anna.get(answer.headers["location"])).json() == made

    changed = await anna.patch(answer.headers["location"], {"strength": None, "severity": "critical"})
    assert changed.json() == made | {"strength": None, "severity": "critical"}


BAD_MEDICATIONS = [
    ({}, "name"),
    ({"name": None}, "name"),
    ({"name": "A", "status": "paused"}, "status"),
    ({"name": "A", "severity": "high"}, "severity"),
    ({"name": "A", "strength": ""}, "strength"),
    ({"name": "A", "dose": 1}, "dose"),
]


async def test_bad_medications_name_the_field(circle, anna, refused, subtests):
    for body, field in BAD_MEDICATIONS:
        with subtests.test(str(body)):
            refused(await anna.post(f"{circle.path}/medications", body), 422, "invalid", field=field)


async def test_a_name_cannot_be_taken_away(circle, anna, refused):
    refused(
        await anna.patch(f"/v1/medications/{circle.medication['id']}", {"name": None}), 422, "invalid", field="name"
    )


@pytest.mark.parametrize(("status", "state"), [("on_hold", {"on_hold"}), ("stopped", set()), ("completed", set())])
async def test_what_is_not_taken_has_no_open_doses(circle, anna, status, state):
    await circle.schedule()
    assert await states(circle) == {"planned"}
    path = f"/v1/medications/{circle.medication['id']}"
    assert (await anna.patch(path, {"status": status})).json()["status"] == status
    assert await states(circle) == state
    schedules = (await anna.get(f"{path}/schedules")).json()["items"]
    assert schedules[0]["next_occurrences"] == []

    assert (await anna.patch(path, {"status": "active"})).status_code == 200
    assert "planned" in await states(circle)


async def test_new_words_keep_the_planned_doses(circle, anna):
    await circle.schedule()
    before = await circle.occurrences()
    await anna.patch(f"/v1/medications/{circle.medication['id']}", {"name": "New name", "strength": "5 mg"})
    after = await circle.occurrences()
    assert [dose["id"] for dose in before] == [dose["id"] for dose in after]
    assert {dose["medication_name"] for dose in after} == {"New name"}


async def test_a_deleted_medication_is_gone_for_everybody_and_kept_for_the_history(circle, anna, database, refused):
    schedule = await circle.schedule()
    path = f"/v1/medications/{circle.medication['id']}"
    assert (await anna.delete(path)).status_code == 204
    refused(await anna.get(path), 404, "not_found")
    refused(await anna.delete(path), 404, "not_found")
    refused(await anna.get(f"/v1/schedules/{schedule['id']}"), 404, "not_found")
    assert (await anna.get(f"{circle.path}/medications")).json()["items"] == []
    assert await circle.occurrences() == []
    async with database.transaction() as session:
        assert (await session.get_one(Medication, circle.medication["id"])).deleted_at is not None


async def test_medications_come_in_pages(circle, anna):
    names = ["Secretamol"] + [f"M{number}" for number in range(6)]
    for name in names[1:]:
        await anna.made(f"{circle.path}/medications", {"name": name})
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await anna.get(f"{circle.path}/medications?limit=3{cursor and f'&cursor={cursor}'}")).json()
        assert len(page["items"]) <= 3
        seen += [medication["name"] for medication in page["items"]]
        cursor = page["next"]
    assert seen == names


async def test_the_trail_says_what_changed_and_who_changed_it(circle, anna, database):
    await anna.patch(f"/v1/medications/{circle.medication['id']}", {"status": "on_hold"})
    async with database.transaction() as session:
        query = select(AuditEntry).where(AuditEntry.action == "medication.changed")
        (entry,) = (await session.scalars(query)).all()
    assert str(entry.actor_id) == anna.account["id"]
    assert str(entry.patient_id) == circle.patient["id"]
    assert entry.details == {"before": {"status": "active"}, "after": {"status": "on_hold"}}
