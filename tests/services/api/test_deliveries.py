"""The send log: newest first, in pages, without addresses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from carecircle.db.deliveries import Delivery
from carecircle.db.supply_alerts import SupplyNotice


async def sent(database, circle, number: int, kind: str = "due") -> list[str]:
    """That many delivery rows about one dose, oldest first."""
    await circle.schedule()
    dose = (await circle.occurrences())[0]
    due = datetime.fromisoformat(dose["due_at"])
    made: list[str] = []
    async with database.transaction() as session:
        for step in range(number):
            row = Delivery(
                id=uuid4(),
                occurrence_id=UUID(dose["id"]),
                patient_id=UUID(circle.patient["id"]),
                recipient_id=UUID(circle.owner.account["id"]),
                channel="email",
                target_id=UUID(circle.owner.account["id"]),
                kind=kind,
                step=step,
                severity="normal",
                state="sent",
                outcome="sent",
                expires_at=due + timedelta(hours=1),
                created_at=due + timedelta(seconds=step // 2),  # pairs of the same instant
            )
            session.add(row)
            made.append(str(row.id))
    return made


async def test_the_log_is_read_page_by_page_from_the_newest(circle, anna, database):
    made = await sent(database, circle, 7)
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await anna.get(f"{circle.path}/deliveries", params=params)).json()
        seen += [row["id"] for row in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(made)
    assert len(seen) == 7
    # Two of an instant come in either order, instants do not.
    assert [made.index(one) // 2 for one in seen] == [3, 2, 2, 1, 1, 0, 0]


async def test_a_row_says_to_whom_and_what_became_of_it_and_no_address(circle, anna, database):
    await sent(database, circle, 1)
    answer = await anna.get(f"{circle.path}/deliveries")
    (row,) = answer.json()["items"]
    assert row["recipient"] == {"account_id": anna.account["id"], "display_name": "Anna"}
    assert row["state"] == "sent"
    assert row["channel"] == "email"
    assert anna.email not in answer.text
    assert "Secretamol" not in answer.text


async def test_a_digest_of_doses_without_a_reminder_is_in_it(circle, anna, database):
    await sent(database, circle, 1, kind="not_reminded")
    (row,) = (await anna.get(f"{circle.path}/deliveries")).json()["items"]
    assert row["kind"] == "not_reminded"


async def test_a_message_about_supplies_is_in_it_without_a_dose(circle, anna, database):
    now = datetime.now(UTC)
    async with database.transaction() as session:
        notice = SupplyNotice(id=uuid4(), patient_id=UUID(circle.patient["id"]), created_at=now)
        session.add(notice)
        await session.flush()
        session.add(
            Delivery(
                id=uuid4(),
                supply_notice_id=notice.id,
                patient_id=notice.patient_id,
                recipient_id=UUID(anna.account["id"]),
                channel="email",
                target_id=UUID(anna.account["id"]),
                kind="refill",
                severity="info",
                expires_at=now + timedelta(days=3),
            )
        )
    (row,) = (await anna.get(f"{circle.path}/deliveries")).json()["items"]
    assert (row["kind"], row["occurrence_id"], row["due_at"]) == ("refill", None, None)


async def test_another_circles_messages_are_not_in_it(circle, anna, database, new_circle):
    await sent(database, circle, 1)
    other = await new_circle(anna)
    assert (await anna.get(f"{other.path}/deliveries")).json() == {"items": [], "next": None}
