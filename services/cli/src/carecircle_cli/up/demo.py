"""The demo within `carecircle up`: subscriptions of the push sink, the circle, the table, and the first reminders."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2
from rich.markup import escape

from carecircle.runtime import vapid
from carecircle_cli.demo.circle import seed
from carecircle_cli.demo.state import DemoState
from carecircle_cli.demo.table import demo_table
from carecircle_cli.demo.watch import arrivals
from carecircle_cli.errors import CommandFailed

if TYPE_CHECKING:
    from carecircle_cli.demo.circle import Circle
    from carecircle_cli.demo.watch import Arrival
    from carecircle_cli.up.data_dir import DataDir
    from carecircle_cli.up.plan import Site
    from carecircle_cli.up.report import TerminalReport

BROWSERS = 2
"""One for each caregiver."""
CHANNELS = {"email": "e-mail", "push": "push"}


def check_real_mail(data: DataDir) -> None:
    """Refuse to send real mail for a circle of made-up people.

    Raises:
        CommandFailed: this folder has one.
    """
    known = DemoState.load(data.demo)
    if known is not None and known.made_up:
        raise CommandFailed(
            f"{data.path} has a demo circle of made-up people, who would get real mail; give another --data-dir"
        )


async def seed_demo(site: Site, mail_to: str | None) -> Circle:
    """Make the demo circle, with a browser in the push sink for each caregiver."""
    state = DemoState.load_or_make(site.data.demo, owner=mail_to)
    push = await asyncio.gather(*(_browser(site) for _ in range(BROWSERS)))
    return await seed(site.api_url, state, datetime.now(UTC), push=push, carer_mail=not site.real_smtp)


def show_table(site: Site, circle: Circle | None, report: TerminalReport) -> None:
    places = {
        "API": f"{site.api_url}/docs",
        "Mails": site.inbox_url or "sent by your own mail server",
        "Pushes": site.push_url,
        "Health": f"{site.api_url}/readyz · {site.api_url}/metrics",
        "Data, logs": f"{site.data.path} · {site.data.logs}",
    }
    report.say(demo_table(circle, places))


async def tell_arrivals(site: Site, circle: Circle, report: TerminalReport) -> None:
    """Say when the first reminder has got through on each channel."""
    try:
        await _tell(site, circle, report)
    except CommandFailed as error:
        report.problem(f"whether the reminders arrive cannot be watched: {error}")


async def _tell(site: Site, circle: Circle, report: TerminalReport) -> None:
    seen = {"email": site.inbox_url, "push": site.push_url}
    async for arrival in arrivals(site.api_url, circle, list(CHANNELS)):
        report.say(_sentence(arrival, seen.get(arrival.channel)))


def _sentence(arrival: Arrival, where: str | None) -> str:
    channel, recipient = CHANNELS.get(arrival.channel, arrival.channel), escape(arrival.recipient)
    if not arrival.sent:
        return f"  [red]✗[/] the {channel} to {recipient} was not sent: {escape(arrival.outcome)}"
    see = f" · see {where}" if where else ""
    seconds = arrival.after.total_seconds()
    return f"  [bold green]✓[/] the {channel} to {recipient} was sent {seconds:.1f} s after it was due{see}"


async def _browser(site: Site) -> dict[str, Any]:
    """A new browser of the push sink: its subscription, as `PushSubscription.toJSON()` gives it."""
    async with httpx2.AsyncClient(timeout=10) as client:
        key = vapid.public_key(site.data.vapid_key())
        try:
            answer = await client.post(f"{site.push_url}/subscriptions", json={"applicationServerKey": key})
            answer.raise_for_status()
        except httpx2.HTTPError as error:
            raise CommandFailed(f"the push sink gave no subscription ({error})") from error
        return answer.json()
