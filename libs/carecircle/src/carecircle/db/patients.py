"""Patients, the people of their care circle, and invitations to it. A circle is a patient and its memberships."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ForeignKey, Index, String, UniqueConstraint, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.accounts import Account
from carecircle.db.base import CreatedAt, Row, new_id
from carecircle.db.pages import Page, PageRequest, page_of


class Patient(Row):
    __tablename__ = "patient"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    display_name: Mapped[str] = mapped_column(String(200))
    zone: Mapped[str] = mapped_column(String(64))
    routine: Mapped[dict[str, Any] | None]
    """`domain.routine.Routine`: when they get up, eat and go to bed. None: as usual."""
    created_at: Mapped[CreatedAt]


class Membership(Row):
    """What one account may do in one patient's circle, and whether it is told when a dose is due."""

    __tablename__ = "membership"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    """`owner`, `carer` or `viewer` (`domain.people.Role`)."""
    is_patient: Mapped[bool] = mapped_column(default=False)
    """This account is the patient's own login; at most one a circle."""
    reminders: Mapped[bool] = mapped_column(default=True)
    """Is told when a dose is due. Viewers start with False."""
    supply_messages: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    """Is told when a medicine runs low or expires. Starts as `reminders` does."""
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("patient_id", "account_id"),
        Index("uq_membership_own_login", "patient_id", unique=True, postgresql_where=text("is_patient")),
    )


class Invitation(Row):
    """A one-use link to join a circle. Only the hash of the token is kept."""

    __tablename__ = "invitation"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(16))
    is_patient: Mapped[bool] = mapped_column(default=False)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    invited_by: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


async def patients_of(
    session: AsyncSession, account_id: UUID, request: PageRequest
) -> Page[tuple[Patient, Membership]]:
    """Every patient whose circle the account belongs to, oldest first, with the membership."""
    query = (
        select(Patient, Membership)
        .join(Membership, Membership.patient_id == Patient.id)
        .where(Membership.account_id == account_id)
    )
    return await page_of(session, query, request, Patient.created_at, Patient.id)


async def members_of(session: AsyncSession, patient_id: UUID, request: PageRequest) -> Page[tuple[Membership, Account]]:
    query = (
        select(Membership, Account)
        .join(Account, Account.id == Membership.account_id)
        .where(Membership.patient_id == patient_id)
    )
    return await page_of(session, query, request, Membership.created_at, Membership.id)


async def member_of(session: AsyncSession, patient_id: UUID, member_id: UUID) -> Membership | None:
    return await session.scalar(
        select(Membership).where(Membership.id == member_id, Membership.patient_id == patient_id)
    )


async def membership_of(session: AsyncSession, patient_id: UUID, account_id: UUID) -> Membership | None:
    return await session.scalar(
        select(Membership).where(Membership.patient_id == patient_id, Membership.account_id == account_id)
    )


async def names_of(session: AsyncSession, account_ids: Sequence[UUID]) -> dict[UUID, str]:
    found = await session.scalars(select(Account).where(Account.id.in_(account_ids)))
    return {account.id: account.display_name for account in found}


async def has_own_login(session: AsyncSession, patient_id: UUID) -> bool:
    return await _count(session, Membership.patient_id == patient_id, Membership.is_patient.is_(True)) > 0


async def locked_patient(session: AsyncSession, patient_id: UUID) -> Patient | None:
    """Whoever changes a circle's members holds its patient's row: check and change are one step."""
    # NO KEY: an answer or a delivery that refers to the patient need not wait, and so cannot deadlock with a move.
    return await session.scalar(select(Patient).where(Patient.id == patient_id).with_for_update(key_share=True))


async def count_owners(session: AsyncSession, patient_id: UUID) -> int:
    return await _count(session, Membership.patient_id == patient_id, Membership.role == "owner")


async def count_members(session: AsyncSession, patient_id: UUID) -> int:
    return await _count(session, Membership.patient_id == patient_id)


async def count_circles(session: AsyncSession, account_id: UUID) -> int:
    return await _count(session, Membership.account_id == account_id)


async def count_open_invitations(session: AsyncSession, patient_id: UUID, now: datetime) -> int:
    query = (
        select(func.count())
        .select_from(Invitation)
        .where(
            Invitation.patient_id == patient_id,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > now,
        )
    )
    return (await session.execute(query)).scalar_one()


async def withdraw_invitations(session: AsyncSession, patient_id: UUID, email: str, now: datetime) -> None:
    await session.execute(
        update(Invitation)
        .where(
            Invitation.patient_id == patient_id,
            func.lower(Invitation.email) == email.lower(),
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )


async def invitation_by_hash(session: AsyncSession, token_hash: str) -> Invitation | None:
    return await session.scalar(select(Invitation).where(Invitation.token_hash == token_hash))


async def _count(session: AsyncSession, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(Membership).where(*conditions)
    return (await session.execute(query)).scalar_one()
