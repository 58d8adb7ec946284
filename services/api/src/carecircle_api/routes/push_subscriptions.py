"""Push subscriptions of the own account, and the key that browsers subscribe with."""

from __future__ import annotations

from fastapi import APIRouter, Response

from carecircle.domain.errors import NotFound
from carecircle.usecases.push_subscriptions import list_subscriptions, subscribe, unsubscribe
from carecircle_api.deps import ServicesDep, WorkDep
from carecircle_api.idempotency import CreatingDep, KeepingRoute
from carecircle_api.schemas.pages import ListOf
from carecircle_api.schemas.problem import SIGNED_IN, problems
from carecircle_api.schemas.push_subscriptions import NewSubscriptionBody, SubscriptionBody, VapidKey
from carecircle_api.schemas.values import Id

router = APIRouter(prefix="/v1", tags=["push"], route_class=KeepingRoute)


@router.post(
    "/push-subscriptions",
    status_code=201,
    responses=problems(*SIGNED_IN, 409) | {200: {"model": SubscriptionBody, "description": "You had it already."}},
)
async def add_push_subscription(
    body: NewSubscriptionBody, work: CreatingDep, services: ServicesDep, response: Response
) -> SubscriptionBody:
    """Show reminders in this browser. Sent again it is the same subscription; one of somebody else's ends."""
    row, created = await subscribe(
        work.session,
        work.actor,
        body.subscription(),
        work.now,
        extra_origins=services.settings.push_allowed_origins,
    )
    response.headers["Location"] = f"/v1/push-subscriptions/{row.id}"
    if not created:
        response.status_code = 200
    return SubscriptionBody.of(row)


@router.get("/push-subscriptions", responses=problems(*SIGNED_IN))
async def list_push_subscriptions(work: WorkDep) -> ListOf[SubscriptionBody]:
    """The browsers that show your reminders."""
    rows = await list_subscriptions(work.session, work.actor)
    return ListOf(items=[SubscriptionBody.of(row) for row in rows])


@router.delete("/push-subscriptions/{subscription_id}", status_code=204, responses=problems(*SIGNED_IN, 404))
async def delete_push_subscription(subscription_id: Id, work: WorkDep) -> None:
    """Show nothing more in this browser."""
    await unsubscribe(work.session, work.actor, subscription_id, work.now)


@router.get("/push/vapid-public-key", responses=problems(404))
async def get_vapid_public_key(services: ServicesDep) -> VapidKey:
    """The `applicationServerKey`. No login: the service worker asks before anybody has one."""
    if services.vapid_public_key is None:
        raise NotFound("Push is not set up here.")
    return VapidKey(public_key=services.vapid_public_key)
