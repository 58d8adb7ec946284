"""Push subscriptions, as browsers write them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from carecircle.db.push_subscriptions import PushSubscription
from carecircle.domain.push_endpoint import origin
from carecircle.usecases.push_subscriptions import NewSubscription
from carecircle_api.schemas.values import Answer, Body

KeyText = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class SubscriptionKeys(Body):
    p256dh: KeyText = Field(description="The browser's public key: an uncompressed P-256 point as base64url.")
    auth: KeyText = Field(description="The browser's 16-byte secret as base64url.")


class NewSubscriptionBody(Body):
    """`JSON.stringify(subscription)` of the browser's PushSubscription, as it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABk",
                    "expirationTime": None,
                    "keys": {
                        "p256dh": (
                            "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
                        ),
                        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
                    },
                }
            ]
        }
    )

    endpoint: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    expiration_time: Annotated[float, Field(ge=0, le=1e15)] | None = Field(
        default=None, alias="expirationTime", description="What the browser says; it ends nothing here."
    )
    keys: SubscriptionKeys

    def subscription(self) -> NewSubscription:
        return NewSubscription(self.endpoint, self.keys.p256dh, self.keys.auth)


class SubscriptionBody(Answer):
    """Without the endpoint and the keys: whoever holds them can write to the browser."""

    id: UUID
    push_service: str = Field(description="The origin of the push service.")
    created_at: datetime

    @classmethod
    def of(cls, row: PushSubscription) -> Self:
        return cls(id=row.id, push_service=origin(row.endpoint), created_at=row.created_at)


class VapidKey(Answer):
    public_key: str = Field(description="For `applicationServerKey` of `pushManager.subscribe()`.")
