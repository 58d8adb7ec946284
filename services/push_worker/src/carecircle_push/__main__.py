"""`python -m carecircle_push`: the push worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecircle.delivery.runner import run_channel
from carecircle.runtime import vapid
from carecircle.runtime.budgets import Budgets
from carecircle.runtime.run import start
from carecircle_push.channel import PushChannel
from carecircle_push.provider import PushProvider
from carecircle_push.settings import PushSettings
from carecircle_push.signer import VapidSigner

if TYPE_CHECKING:
    import asyncio


async def serve(settings: PushSettings, stop: asyncio.Event) -> None:
    """Send push messages until `stop` is set, then finish what is under way."""
    signer = VapidSigner(vapid.load(settings.vapid_private_key_file), settings.vapid_subject)
    limit = Budgets(lease=settings.lease).push_total.total_seconds()
    async with PushProvider(signer, allowed_origins=settings.push_allowed_origins, total_seconds=limit) as provider:
        await run_channel(PushChannel(provider, settings.app_url), settings, stop)


if __name__ == "__main__":
    start("push_worker", PushSettings, serve)
