"""The sink's pages: the inbox for people, the same as JSON for programs, and faults to order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from carecircle_email.testing.faults import Fault

if TYPE_CHECKING:
    from carecircle_email.testing.faults import Faults
    from carecircle_email.testing.messages import Inbox

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class InboxPages:
    """`GET /`, `GET|DELETE /api/messages`, `GET|POST|DELETE /api/faults`."""

    def __init__(self, inbox: Inbox, faults: Faults, *, smtp_port: int) -> None:
        self._inbox = inbox
        self._faults = faults
        self._smtp_port = smtp_port
        self._runner: web.AppRunner | None = None
        self._templates = Environment(
            loader=PackageLoader("carecircle_email.testing"), autoescape=True, undefined=StrictUndefined
        )

    async def start(self, host: str, port: int) -> int:
        """Serve; returns the port."""
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/api/messages", self._list)
        app.router.add_delete("/api/messages", self._clear)
        app.router.add_get("/api/faults", self._list_faults)
        app.router.add_post("/api/faults", self._order)
        app.router.add_delete("/api/faults", self._heal)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        page = self._templates.get_template("inbox.html").render(
            messages=list(reversed(self._inbox.messages))[:200],
            total=self._inbox.total,
            smtp_port=self._smtp_port,
            faults=self._faults.pending(),
        )
        return web.Response(text=page, content_type="text/html", headers=HEADERS)

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"messages": [message.as_json() for message in self._inbox.messages]})

    async def _clear(self, request: web.Request) -> web.Response:
        await self._inbox.clear()
        return web.Response(status=204)

    async def _list_faults(self, request: web.Request) -> web.Response:
        return web.json_response({"faults": [_fault_json(fault) for fault in self._faults.pending()]})

    async def _order(self, request: web.Request) -> web.Response:
        try:
            fault = Fault.from_json(await request.json())
        except (ValueError, TypeError, AttributeError) as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
        self._faults.add(fault)
        return web.json_response(_fault_json(fault), status=201)

    async def _heal(self, request: web.Request) -> web.Response:
        self._faults.clear()
        return web.Response(status=204)


def _fault_json(fault: Fault) -> dict[str, str | int | None]:
    return {
        "at": fault.at,
        "act": fault.act,
        "reply": fault.reply,
        "times": fault.times,
        "recipient": fault.recipient,
    }
