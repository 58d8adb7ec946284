"""Inviting, joining, changing roles, leaving: it holds from the next request on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from carecircle.db.audit import AuditEntry
from carecircle.db.patients import Invitation


async def invite(circle, email, role="carer", **more):
    return await circle.owner.post(f"{circle.path}/members", {"email": email, "role": role, **more})


async def accept(person, invitation):
    return await person.post(f"/v1/invitations/{invitation['token']}/accept")


@pytest.fixture
async def ben(person):
    return await person("ben")


async def test_an_invited_person_joins_with_the_given_role(circle, ben):
    answer = await invite(circle, "BEN@example.org")
    assert answer.status_code == 201
    invitation = answer.json()
    assert invitation["url"].endswith(f"/v1/invitations/{invitation['token']}/accept")
    assert answer.headers["location"] == f"/v1/invitations/{invitation['token']}/accept"

    joined = await accept(ben, invitation)
    assert joined.status_code == 201
    assert joined.headers["location"] == circle.path
    assert joined.json()["role"] == "carer"
    assert (await ben.get(circle.path)).status_code == 200


async def test_only_the_hash_of_an_invitation_is_kept(circle, database):
    invitation = (await invite(circle, "ben@example.org")).json()
    async with database.transaction() as session:
        (row,) = (await session.scalars(select(Invitation))).all()
        entries = (await session.scalars(select(AuditEntry))).all()
    assert invitation["token"] not in str(vars(row))
    assert not any(invitation["token"] in str(entry.details) for entry in entries)


async def test_accepting_again_changes_nothing(circle, ben):
    invitation = (await invite(circle, ben.email)).json()
    first = await accept(ben, invitation)
    again = await accept(ben, invitation)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


async def test_accepting_twice_at_once_joins_once(circle, ben):
    invitation = (await invite(circle, ben.email)).json()
    answers = await asyncio.gather(*(accept(ben, invitation) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
    assert len((await circle.owner.get(f"{circle.path}/members")).json()["items"]) == 2


async def test_an_invitation_passed_on_to_a_stranger_does_not_let_them_in(circle, person, refused):
    stranger = await person("stranger")
    invitation = (await invite(circle, "ben@example.org")).json()
    refused(await accept(stranger, invitation), 403, "invitation_for_another")
    refused(await stranger.get(circle.path), 404, "not_found")


async def test_an_unknown_invitation_does_not_exist(ben, refused):
    refused(await accept(ben, {"token": "A" * 43}), 404, "not_found")
    refused(await accept(ben, {"token": "%00"}), 422, "invalid", field="token")


async def test_an_invitation_that_ran_out_is_over(circle, ben, database, refused):
    invitation = (await invite(circle, ben.email)).json()
    async with database.transaction() as session:
        await session.execute(update(Invitation).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    refused(await accept(ben, invitation), 409, "invitation_over")


async def test_inviting_again_replaces_the_first_invitation(circle, ben, refused):
    first = (await invite(circle, ben.email, "viewer")).json()
    second = (await invite(circle, ben.email, "carer")).json()
    refused(await accept(ben, first), 409, "invitation_over")
    assert (await accept(ben, second)).json()["role"] == "carer"


async def test_an_invitation_of_somebody_who_may_invite_no_more_is_over(circle, ben, person, refused):
    second_owner = await person("cleo")
    await circle.invite(second_owner, "owner")
    written = await second_owner.post(f"{circle.path}/members", {"email": ben.email, "role": "owner"})
    member_id = await circle.member_id(second_owner)
    assert (await circle.owner.delete(f"{circle.path}/members/{member_id}")).status_code == 204
    refused(await accept(ben, written.json()), 409, "invitation_over")


async def test_a_member_is_not_invited_again(circle, ben, refused):
    await circle.invite(ben, "viewer")
    refused(await invite(circle, ben.email), 409, "already_member", field="email")


async def test_a_patient_has_one_login(circle, ben, person, refused):
    early = (await invite(circle, "cleo@example.org", "viewer", is_patient=True)).json()
    await circle.invite(ben, "viewer", is_patient=True)
    refused(await invite(circle, "new@example.org", is_patient=True), 409, "own_login_taken", field="is_patient")
    refused(await accept(await person("cleo"), early), 409, "own_login_taken")


async def test_there_are_only_so_many_open_invitations(circle, refused):
    for number in range(20):
        assert (await invite(circle, f"n{number}@example.org")).status_code == 201
    refused(await invite(circle, "one-more@example.org"), 409, "limit_reached")
    # Replacing one makes no further one.
    assert (await invite(circle, "n3@example.org")).status_code == 201


@pytest.mark.parametrize(("role", "reminders"), [("owner", True), ("carer", True), ("viewer", False)])
async def test_viewers_start_without_reminders(circle, ben, role, reminders):
    await circle.invite(ben, role)
    assert (await ben.get(circle.path)).json()["reminders"] is reminders


async def test_everybody_changes_their_own_reminders_and_nothing_else(circle, ben, person, refused):
    cleo = await person("cleo")
    await circle.invite(ben, "carer")
    await circle.invite(cleo, "viewer")
    own, other = await circle.member_id(ben), await circle.member_id(cleo)

    assert (await ben.patch(f"{circle.path}/members/{own}", {"reminders": False})).json()["reminders"] is False
    refused(await ben.patch(f"{circle.path}/members/{own}", {"role": "owner"}), 403, "not_allowed")
    refused(await ben.patch(f"{circle.path}/members/{own}", {"reminders": True, "role": "carer"}), 403, "not_allowed")
    refused(await ben.patch(f"{circle.path}/members/{other}", {"reminders": True}), 403, "not_allowed")
    refused(await ben.delete(f"{circle.path}/members/{other}"), 403, "not_allowed")
    assert (await circle.owner.patch(f"{circle.path}/members/{other}", {"reminders": True})).json()["reminders"] is True


async def test_addresses_are_shown_to_owners_and_to_oneself(circle, ben):
    await circle.invite(ben, "viewer")
    for_owner = (await circle.owner.get(f"{circle.path}/members")).json()["items"]
    for_viewer = (await ben.get(f"{circle.path}/members")).json()["items"]
    assert [member["email"] for member in for_owner] == [circle.owner.email, ben.email]
    assert [member["email"] for member in for_viewer] == [None, ben.email]


async def test_a_role_holds_from_the_next_request_on(circle, ben, refused):
    await circle.invite(ben, "carer")
    member = f"{circle.path}/members/{await circle.member_id(ben)}"
    assert (await ben.post(f"{circle.path}/medications", {"name": "A"})).status_code == 201
    await circle.owner.patch(member, {"role": "viewer"})
    refused(await ben.post(f"{circle.path}/medications", {"name": "B"}), 403, "not_allowed")
    assert (await circle.owner.delete(member)).status_code == 204
    refused(await ben.get(circle.path), 404, "not_found")
    refused(await ben.get(f"/v1/medications/{circle.medication['id']}"), 404, "not_found")


async def test_the_last_owner_stays_owner(circle, ben, refused):
    await circle.invite(ben, "carer")
    own = f"{circle.path}/members/{await circle.member_id(circle.owner)}"
    refused(await circle.owner.delete(own), 409, "last_owner")
    refused(await circle.owner.patch(own, {"role": "carer"}), 409, "last_owner")

    await circle.owner.patch(f"{circle.path}/members/{await circle.member_id(ben)}", {"role": "owner"})
    assert (await circle.owner.delete(own)).status_code == 204
    refused(await circle.owner.get(circle.path), 404, "not_found")


async def test_two_owners_who_leave_at_once_leave_one_behind(circle, ben):
    await circle.invite(ben, "owner")
    own = await circle.member_id(circle.owner)
    other = await circle.member_id(ben)
    answers = await asyncio.gather(
        circle.owner.delete(f"{circle.path}/members/{own}"), ben.delete(f"{circle.path}/members/{other}")
    )
    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_nobody_takes_patients_their_own_login(circle, ben, refused):
    await circle.invite(ben, "viewer", is_patient=True)
    own = f"{circle.path}/members/{await circle.member_id(ben)}"
    refused(await circle.owner.delete(own), 409, "own_login_stays")
    assert (await ben.get(circle.path)).json()["is_self"] is True
    assert (await ben.delete(own)).status_code == 204


async def test_whoever_adds_themselves_is_patient_and_owner(anna):
    patient = await anna.made("/v1/patients", {"display_name": "Me", "zone": "UTC", "is_self": True})
    assert patient["role"] == "owner"
    assert patient["is_self"] is True


async def test_what_happened_is_in_the_audit_trail(circle, ben, database):
    await circle.invite(ben, "carer")
    member = f"{circle.path}/members/{await circle.member_id(ben)}"
    await circle.owner.patch(member, {"role": "viewer"})
    await ben.delete(member)
    async with database.transaction() as session:
        entries = (await session.scalars(select(AuditEntry).order_by(AuditEntry.at, AuditEntry.id))).all()
    actions = [entry.action for entry in entries if entry.subject_type in {"membership", "invitation"}]
    assert actions == ["invitation.created", "membership.created", "membership.changed", "membership.left"]
    changed = next(entry for entry in entries if entry.action == "membership.changed")
    assert changed.details == {"before": {"role": "carer"}, "after": {"role": "viewer"}}
    assert str(changed.actor_id) == circle.owner.account["id"]


async def test_messages_about_supplies_are_a_wish_of_their_own(circle, anna, person, refused):
    vera = await person("vera")
    await circle.invite(vera, "viewer")
    path = f"{circle.path}/members/{await circle.member_id(vera)}"
    mine = (await vera.get(circle.path)).json()
    assert (mine["reminders"], mine["supply_messages"]) == (False, False)  # as viewers start

    changed = await vera.patch(path, {"supply_messages": True})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["reminders"], changed.json()["supply_messages"]) == (False, True)
    refused(
        await vera.patch(f"{circle.path}/members/{await circle.member_id(anna)}", {"supply_messages": False}),
        403,
        "not_allowed",
    )
    assert (await anna.get(circle.path)).json()["supply_messages"] is True
