"""`python -m carecircle_email`: the e-mail worker."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from carecircle.delivery.runner import run_channel
from carecircle.runtime.run import start
from carecircle_email.channel import EmailChannel
from carecircle_email.provider import SmtpProvider
from carecircle_email.settings import EmailSettings

if TYPE_CHECKING:
    import asyncio


async def serve(settings: EmailSettings, stop: asyncio.Event) -> None:
    """Send mails until `stop` is set, then finish what is under way."""
    provider = SmtpProvider(settings.server(), settings.limits(), greylist_wait=timedelta(seconds=settings.retry_base))
    await run_channel(EmailChannel(provider, settings.sender()), settings, stop)


if __name__ == "__main__":
    start("email_worker", EmailSettings, serve)
