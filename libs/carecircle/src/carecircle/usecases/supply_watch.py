"""Looking after the supplies: when one falls to its threshold or a package nears its date, the circle is told once.

Alert and deliveries are one transaction; the reconciler then gives the deliveries their jobs, as for every message. So
a process that dies before the commit told nobody and the next one does, and one that dies after it lost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from carecircle.db.base import new_id
from carecircle.db.deliveries import NewDelivery, add_deliveries
from carecircle.db.schedules import circumstances
from carecircle.db.session import database_now
from carecircle.db.supply_alerts import (
    SupplyAlert,
    SupplyNotice,
    clear_alerts,
    lock_due_supplies,
    people_to_tell_of_supplies,
    standing_alerts,
)
from carecircle.domain.delivery import SUPPLY_WINDOW, Kind
from carecircle.domain.errors import DomainError
from carecircle.domain.medication import Severity
from carecircle.domain.supply import (
    RECOVERY_DAYS,
    AlertKind,
    has_recovered,
    is_expiring,
    is_low,
    may_tell_at,
    next_morning,
)
from carecircle.domain.zones import zone_named
from carecircle.usecases.supply_outlook import Outlook, outlook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.channels import ChannelSpec
    from carecircle.db.session import Database
    from carecircle.db.supply import SupplyRow

PATIENTS_AT_ONCE = 200
"""In one round: what is left waits for the next one, so that nothing else waits long."""
LATER = timedelta(days=1)

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """Something that the circle has not been told yet."""

    kind: AlertKind
    view: Outlook


async def watch_supplies(
    database: Database, channels: Mapping[str, ChannelSpec], *, limit: int = PATIENTS_AT_ONCE
) -> int:
    """Look at the supplies whose time has come; how many alerts were raised. Several at once are harmless."""
    raised = 0
    for _ in range(limit):
        async with database.transaction() as session:
            now = await database_now(session)
            supplies = await lock_due_supplies(session, now)
            raised += await _watch(session, channels, supplies, now)
        if not supplies:
            break
    if raised:
        log.info("supply.told", count=raised)
    return raised


async def settle_alerts(session: AsyncSession, view: Outlook, now: datetime) -> None:
    """After somebody refilled, counted or changed the settings: end what is over, and look again soon.

    The caller holds the supply's row.
    """
    standing = await standing_alerts(session, view.supply.medication_id)
    over = [kind for kind, alert in standing.items() if not _holds(kind, alert, view)]
    if over:
        await clear_alerts(session, view.supply.medication_id, over, now)
    view.supply.check_at = now
    await session.flush()


async def _watch(
    session: AsyncSession, channels: Mapping[str, ChannelSpec], supplies: Sequence[SupplyRow], now: datetime
) -> int:
    """Look at supplies of one patient, which the caller holds."""
    found: list[Found] = []
    for supply in supplies:
        try:
            found += await _look_at(session, supply, now)
        except DomainError as refused:  # a zone that is no more, or a rule of a later version: the others must not wait
            log.error("supply.unreadable", medication_id=supply.medication_id, field=refused.field)  # noqa: TRY400
            supply.check_at = now + LATER
    if found and not await _tell(session, channels, supplies[0].patient_id, found, now):
        log.warning("supply.nobody_to_tell", patient_id=supplies[0].patient_id)
        return 0
    await session.flush()
    return len(found)


async def _look_at(session: AsyncSession, supply: SupplyRow, now: datetime) -> list[Found]:
    """What is new about one supply. What is over is cleared; when to look next is noted."""
    around = await circumstances(session, supply.medication_id)
    if around is None:  # pragma: no cover - the row refers to its medication
        return []
    zone = zone_named(around.zone)
    if (at := may_tell_at(now, zone)) > now:
        supply.check_at = at
        return []
    supply.check_at = next_morning(now, zone)
    days = (supply.warn_days or 0) + RECOVERY_DAYS + 2
    view = await outlook(session, supply, now, ahead=timedelta(days=days))
    standing = await standing_alerts(session, supply.medication_id)
    over = [kind for kind, alert in standing.items() if _is_over(kind, alert, view)]
    if over:
        await clear_alerts(session, supply.medication_id, over, now)
    told = standing.keys() - set(over)
    begun = {AlertKind.LOW: is_low(view.settings, view.situation)}
    begun[AlertKind.EXPIRING] = is_expiring(view.settings, view.situation)
    return [Found(kind, view) for kind, holds in begun.items() if holds and kind not in told]


def _is_over(kind: AlertKind, alert: SupplyAlert, view: Outlook) -> bool:
    """By itself, without anybody having done something: only once it is clearly over."""
    if kind is AlertKind.LOW:
        return has_recovered(view.settings, view.situation)
    return not _holds(kind, alert, view)


def _holds(kind: AlertKind, alert: SupplyAlert, view: Outlook) -> bool:
    if kind is AlertKind.LOW:
        return is_low(view.settings, view.situation)
    # Another package with another date is another matter.
    return is_expiring(view.settings, view.situation) and alert.expires_on == view.situation.next_expiry


async def _tell(
    session: AsyncSession,
    channels: Mapping[str, ChannelSpec],
    patient_id: UUID,
    found: Sequence[Found],
    now: datetime,
) -> bool:
    """One notice for all of it. False: there is nobody to tell, so nothing counts as told."""
    places = [
        (recipient_id, name, target_id)
        for recipient_id in await people_to_tell_of_supplies(session, patient_id)
        for name, spec in channels.items()
        for target_id in await spec.targets(session, recipient_id)
    ]
    if not places:
        return False
    notice = SupplyNotice(id=new_id(), patient_id=patient_id, created_at=now)
    session.add(notice)
    await session.flush()
    session.add_all(_alert(notice.id, one, now) for one in found)
    await session.flush()
    wanted = [
        NewDelivery(
            occurrence_id=None,
            supply_notice_id=notice.id,
            patient_id=patient_id,
            recipient_id=recipient_id,
            channel=name,
            target_id=target_id,
            kind=Kind.REFILL,
            step=0,
            severity=Severity.INFO,
            expires_at=now + SUPPLY_WINDOW,
            next_attempt_at=now,
        )
        for recipient_id, name, target_id in places
    ]
    await add_deliveries(session, wanted, now)
    return True


def _alert(notice_id: UUID, found: Found, now: datetime) -> SupplyAlert:
    view = found.view
    return SupplyAlert(
        id=new_id(),
        notice_id=notice_id,
        medication_id=view.supply.medication_id,
        kind=found.kind,
        stock=view.supply.stock,
        unit=view.settings.unit,
        run_out_on=view.run_out_on if found.kind is AlertKind.LOW else None,
        expires_on=view.situation.next_expiry if found.kind is AlertKind.EXPIRING else None,
        raised_at=now,
    )
