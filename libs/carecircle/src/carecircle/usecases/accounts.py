"""Accounts and their sessions: register, change, log in, stay logged in.

Passwords arrive here hashed and checked: hashing is slow on purpose and has no place inside a transaction.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict

from sqlalchemy.exc import IntegrityError

from carecircle.db.accounts import (
    Account,
    RefreshToken,
    account_by_email,
    delete_expired_tokens,
    refresh_token_for_use,
    revoke_all,
    revoke_family,
)
from carecircle.db.audit import add_entry
from carecircle.db.base import new_id
from carecircle.domain.errors import EmailTaken, NotFound
from carecircle.domain.zones import zone_named

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.usecases.access import Actor

REFRESH_LIFETIME = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class NewAccount:
    email: str
    """Normalised."""
    password_hash: str
    display_name: str
    zone: str = "UTC"


class AccountChanges(TypedDict, total=False):
    """What is to change; a missing key stays as it is."""

    email: str
    password_hash: str
    display_name: str
    zone: str
    details_in_messages: bool
    email_enabled: bool
    push_enabled: bool


@dataclass(frozen=True, slots=True)
class Rotated:
    """A refresh token was used rightly: this one replaces it."""

    account: Account
    refresh_token: str


async def register(session: AsyncSession, new: NewAccount) -> Account:
    """A new account, or `EmailTaken`."""
    zone_named(new.zone)
    account = Account(
        id=new_id(),
        email=new.email,
        password_hash=new.password_hash,
        display_name=new.display_name,
        zone=new.zone,
    )
    await _claim_email(session, account.id, new.email)
    session.add(account)
    await _flush_email(session)
    add_entry(session, "account.registered", account.id, actor_id=account.id)
    return account


async def get_account(session: AsyncSession, actor: Actor) -> Account:
    account = await session.get(Account, actor.account_id)
    if account is None:
        raise NotFound
    return account


async def change_account(session: AsyncSession, actor: Actor, changes: AccountChanges, now: datetime) -> Account:
    """Change the own account. A new password or address ends every session, this one too."""
    account = await get_account(session, actor)
    if "zone" in changes:
        zone_named(changes["zone"])
    if "email" in changes:
        await _claim_email(session, account.id, changes["email"])
        account.email_undeliverable_at = None
    for field, value in changes.items():
        setattr(account, field, value)
    if changes.keys() & {"email", "password_hash"}:
        await end_sessions(session, account, now)
    await _flush_email(session)
    # Which fields, not their values: the trail must not keep an address that its owner replaced.
    details: dict[str, Any] = {"fields": sorted(changes)}
    add_entry(session, "account.changed", account.id, actor_id=account.id, details=details)
    return account


async def start_session(session: AsyncSession, account_id: UUID, now: datetime) -> str:
    """A refresh token of a new family. Only its hash is kept."""
    await delete_expired_tokens(session, account_id, now)
    return _issue(session, account_id, new_id(), now)


async def rotate(session: AsyncSession, refresh_token: str, now: datetime) -> Rotated | None:
    """Exchange a refresh token for the next of its family; None if it is not good (any more).

    A token that comes a second time was stolen, or its thief came first: the whole family ends, and every access
    token of the account at once with it. That change has to be committed, so refusal is a value and no exception.
    """
    row = await refresh_token_for_use(session, digest(refresh_token))
    if row is None or row.revoked_at is not None or row.expires_at <= now:
        return None
    account = await session.get_one(Account, row.account_id)
    if row.used_at is not None:
        await revoke_family(session, row.family_id, now)
        account.token_version += 1
        add_entry(session, "account.refresh_token_reused", account.id, actor_id=None)
        return None
    row.used_at = now
    return Rotated(account, _issue(session, account.id, row.family_id, now))


async def end_sessions(session: AsyncSession, account: Account, now: datetime) -> None:
    """Every access token and every refresh token of the account stops working."""
    account.token_version += 1
    await revoke_all(session, account.id, now)


def digest(token: str) -> str:
    """What is stored of a secret token. The token is random, so a plain hash cannot be guessed back."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    return secrets.token_urlsafe(32)


def _issue(session: AsyncSession, account_id: UUID, family_id: UUID, now: datetime) -> str:
    token = new_token()
    row = RefreshToken(
        account_id=account_id,
        family_id=family_id,
        token_hash=digest(token),
        created_at=now,
        expires_at=now + REFRESH_LIFETIME,
    )
    session.add(row)
    return token


async def _claim_email(session: AsyncSession, account_id: UUID, email: str) -> None:
    holder = await account_by_email(session, email)
    if holder is not None and holder.id != account_id:
        raise EmailTaken(field="email")


async def _flush_email(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError as error:  # somebody took the address between the look and the write
        raise EmailTaken(field="email") from error
