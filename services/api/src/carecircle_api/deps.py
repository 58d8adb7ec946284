"""What a route asks for: the services, and the one transaction of a signed-in request."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.accounts import account_and_now
from carecircle.runtime.clock import utc_now
from carecircle.usecases.access import Actor
from carecircle_api.errors import Unauthenticated
from carecircle_api.services import Services
from carecircle_api.tokens import Bearer

bearer_token = OAuth2PasswordBearer(
    tokenUrl="/v1/auth/token",
    scheme_name="login",
    description="Get an access token from `POST /v1/auth/token` and send it as `Authorization: Bearer …`.",
    auto_error=False,
)


def services(request: Request) -> Services:
    return request.app.state.services


ServicesDep = Annotated[Services, Depends(services)]


@dataclass(slots=True)
class Work:
    """One request of a signed-in person: its transaction, who asks, and what the database's clock shows."""

    session: AsyncSession
    actor: Actor
    now: datetime
    plan_horizon: timedelta
    planned_for: set[UUID] = field(default_factory=set[UUID])

    def due_soon(self, patient_id: UUID) -> None:
        """After the commit, let the queue know that something of this patient may be due soon."""
        self.planned_for.add(patient_id)


BearerDep = Annotated[str | None, Depends(bearer_token)]


async def work(services: ServicesDep, token: BearerDep) -> AsyncGenerator[Work]:
    """Commits when the route has made its answer, before that is sent; rolls back when it raises."""
    async with _begun(services, _bearer(services, token), services.database.transaction()) as asked:
        yield asked
    for patient_id in asked.planned_for:
        services.hints.due_soon(patient_id)


async def export_work(services: ServicesDep, token: BearerDep) -> AsyncGenerator[Work]:
    async with exporting(services, token) as asked:
        yield asked


@asynccontextmanager
async def exporting(services: Services, token: str | None) -> AsyncGenerator[Work]:
    """As `work`, for an export: it sees one moment of the database, and a person makes only so many."""
    bearer = _bearer(services, token)
    await services.throttle.export(bearer.account_id, utc_now())
    async with _begun(services, bearer, services.database.snapshot()) as asked:
        yield asked


async def import_allowed(services: ServicesDep, token: BearerDep) -> None:
    """Asked before the transaction of an import begins: a person brings in only so many."""
    await services.throttle.patient_import(_bearer(services, token).account_id, utc_now())


def _bearer(services: Services, token: str | None) -> Bearer:
    bearer = services.tokens.read(token) if token else None
    if bearer is None:
        raise Unauthenticated
    return bearer


@asynccontextmanager
async def _begun(
    services: Services, bearer: Bearer, transaction: AbstractAsyncContextManager[AsyncSession]
) -> AsyncGenerator[Work]:
    async with transaction as session:
        found = await account_and_now(session, bearer.account_id)
        # The version is read each time, so that a changed password or a stolen token ends sessions at once.
        if found is None or found[0].token_version != bearer.version:
            raise Unauthenticated
        yield Work(session, Actor(bearer.account_id), found[1], services.settings.plan_horizon)


WorkDep = Annotated[Work, Depends(work, scope="function")]
ExportDep = Annotated[Work, Depends(export_work, scope="function")]
