"""The people of a care circle: invite, join, change what one may do, leave. Changes hold from the next request on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict

from sqlalchemy.exc import IntegrityError

from carecircle.db.accounts import Account, account_by_email
from carecircle.db.audit import add_entry, difference
from carecircle.db.base import new_id
from carecircle.db.pages import Page
from carecircle.db.patients import (
    Invitation,
    Membership,
    Patient,
    count_members,
    count_open_invitations,
    count_owners,
    has_own_login,
    invitation_by_hash,
    locked_patient,
    member_of,
    members_of,
    membership_of,
    withdraw_invitations,
)
from carecircle.domain.errors import (
    AlreadyMember,
    InvitationForAnother,
    InvitationOver,
    LastOwner,
    LimitReached,
    NotAllowed,
    NotFound,
    OwnLoginStays,
    OwnLoginTaken,
)
from carecircle.domain.people import Action, Role, may, starts_reminded
from carecircle.usecases.access import Actor, require
from carecircle.usecases.accounts import digest, new_token
from carecircle.usecases.patients import PatientView

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.pages import PageRequest

INVITATION_LIFETIME = timedelta(days=7)
MAX_MEMBERS = 50
MAX_OPEN_INVITATIONS = 20


@dataclass(frozen=True, slots=True)
class NewInvitation:
    email: str
    """Normalised."""
    role: Role
    is_patient: bool = False


@dataclass(frozen=True, slots=True)
class Invited:
    """The invitation and its token, which is shown once and not kept."""

    invitation: Invitation
    token: str


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as another one sees them; the address only where the viewer manages the circle or is that member."""

    membership: Membership
    display_name: str
    email: str | None


class MemberChanges(TypedDict, total=False):
    """What is to change; a missing key stays as it is."""

    role: Role
    reminders: bool
    supply_messages: bool


async def list_members(session: AsyncSession, actor: Actor, patient_id: UUID, request: PageRequest) -> Page[MemberView]:
    viewer = await require(session, actor, patient_id, Action.READ)
    page = await members_of(session, patient_id, request)
    return Page([_seen_by(viewer, member, account) for member, account in page.rows], page.next)


async def invite(session: AsyncSession, actor: Actor, patient_id: UUID, new: NewInvitation, now: datetime) -> Invited:
    """A one-use invitation to this address. It replaces an open one to the same address."""
    await require(session, actor, patient_id, Action.MANAGE)
    await _hold_circle(session, patient_id)
    invited = await account_by_email(session, new.email)
    if invited is not None and await membership_of(session, patient_id, invited.id) is not None:
        raise AlreadyMember(field="email")
    if new.is_patient and await has_own_login(session, patient_id):
        raise OwnLoginTaken(field="is_patient")
    await withdraw_invitations(session, patient_id, new.email, now)
    await _check_room(session, patient_id, now)
    token = new_token()
    invitation = Invitation(
        id=new_id(),
        patient_id=patient_id,
        email=new.email,
        role=new.role.value,
        is_patient=new.is_patient,
        token_hash=digest(token),
        invited_by=actor.account_id,
        created_at=now,
        expires_at=now + INVITATION_LIFETIME,
    )
    session.add(invitation)
    _note(session, actor, "invitation.created", invitation.id, patient_id, {"role": new.role.value})
    return Invited(invitation, token)


async def accept_invitation(session: AsyncSession, actor: Actor, token: str, now: datetime) -> tuple[PatientView, bool]:
    """Join the circle; True if that happened now, False when the same account had accepted before."""
    invitation = await invitation_by_hash(session, digest(token))
    if invitation is None:
        raise NotFound("There is no such invitation.")
    account = await session.get_one(Account, actor.account_id)
    if account.email.lower() != invitation.email.lower():
        raise InvitationForAnother
    patient = await _hold_circle(session, invitation.patient_id)
    await session.refresh(invitation)  # as it is now that nobody else can change it
    own = await membership_of(session, patient.id, account.id)
    if own is not None and invitation.accepted_at is not None:
        return PatientView(patient, own), False
    await _check_open(session, invitation, now)
    if own is not None:
        raise AlreadyMember
    membership = await _join(session, invitation, account.id)
    invitation.accepted_at = now
    _note(session, actor, "membership.created", membership.id, patient.id, {"role": membership.role})
    return PatientView(patient, membership), True


async def change_member(
    session: AsyncSession, actor: Actor, patient_id: UUID, member_id: UUID, changes: MemberChanges
) -> MemberView:
    """Owners change anybody's role and messages; everybody changes which messages they get themselves."""
    viewer = await require(session, actor, patient_id, Action.READ)
    await _hold_circle(session, patient_id)
    member = await _member(session, patient_id, member_id)
    own_wish = member.account_id == actor.account_id and changes.keys() <= {"reminders", "supply_messages"}
    if not own_wish and not _manages(viewer):
        raise NotAllowed
    before = _wishes(member)
    role = changes.get("role")
    if role is not None and member.role == Role.OWNER and role is not Role.OWNER:
        await _keep_an_owner(session, patient_id)
    if role is not None:
        member.role = role.value
    member.reminders = changes.get("reminders", member.reminders)
    member.supply_messages = changes.get("supply_messages", member.supply_messages)
    await session.flush()
    details = difference(before, _wishes(member))
    _note(session, actor, "membership.changed", member.id, patient_id, details)
    return _seen_by(viewer, member, await session.get_one(Account, member.account_id))


async def remove_member(session: AsyncSession, actor: Actor, patient_id: UUID, member_id: UUID) -> None:
    """An owner removes somebody, or a member leaves. Messages on their way to them stop at the handoff's last check."""
    viewer = await require(session, actor, patient_id, Action.READ)
    await _hold_circle(session, patient_id)
    member = await _member(session, patient_id, member_id)
    leaving = member.account_id == actor.account_id
    if not leaving and not _manages(viewer):
        raise NotAllowed
    if member.is_patient and not leaving:
        raise OwnLoginStays
    if member.role == Role.OWNER:
        await _keep_an_owner(session, patient_id)
    await session.delete(member)
    details = {"role": member.role, "account_id": str(member.account_id)}
    _note(session, actor, "membership.left" if leaving else "membership.removed", member.id, patient_id, details)


async def _hold_circle(session: AsyncSession, patient_id: UUID) -> Patient:
    patient = await locked_patient(session, patient_id)
    if patient is None:
        raise NotFound
    return patient


async def _member(session: AsyncSession, patient_id: UUID, member_id: UUID) -> Membership:
    member = await member_of(session, patient_id, member_id)
    if member is None:
        raise NotFound
    return member


async def _check_room(session: AsyncSession, patient_id: UUID, now: datetime) -> None:
    if await count_open_invitations(session, patient_id, now) >= MAX_OPEN_INVITATIONS:
        raise LimitReached("There are too many open invitations.")
    if await count_members(session, patient_id) >= MAX_MEMBERS:
        raise LimitReached(f"A care circle has at most {MAX_MEMBERS} members.")


async def _check_open(session: AsyncSession, invitation: Invitation, now: datetime) -> None:
    """An invitation counts only as long as the person who wrote it may invite."""
    inviter = await membership_of(session, invitation.patient_id, invitation.invited_by)
    over = invitation.accepted_at or invitation.revoked_at or invitation.expires_at <= now
    if over or inviter is None or not _manages(inviter):
        raise InvitationOver


async def _join(session: AsyncSession, invitation: Invitation, account_id: UUID) -> Membership:
    told = starts_reminded(Role(invitation.role)) or invitation.is_patient
    membership = Membership(
        patient_id=invitation.patient_id,
        account_id=account_id,
        role=invitation.role,
        is_patient=invitation.is_patient,
        reminders=told,
        supply_messages=told,
    )
    session.add(membership)
    try:
        await session.flush()
    except IntegrityError as error:  # the patient got another login since the invitation was written
        raise OwnLoginTaken from error
    return membership


async def _keep_an_owner(session: AsyncSession, patient_id: UUID) -> None:
    if await count_owners(session, patient_id) <= 1:
        raise LastOwner


def _manages(membership: Membership) -> bool:
    return may(Role(membership.role), Action.MANAGE, is_patient=membership.is_patient)


def _wishes(member: Membership) -> dict[str, Any]:
    return {"role": member.role, "reminders": member.reminders, "supply_messages": member.supply_messages}


def _seen_by(viewer: Membership, member: Membership, account: Account) -> MemberView:
    known = _manages(viewer) or viewer.account_id == member.account_id
    return MemberView(member, account.display_name, account.email if known else None)


def _note(
    session: AsyncSession, actor: Actor, action: str, subject_id: UUID, patient_id: UUID, details: dict[str, Any]
) -> None:
    add_entry(session, action, subject_id, actor_id=actor.account_id, patient_id=patient_id, details=details)
