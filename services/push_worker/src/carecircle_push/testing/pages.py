"""The sink's pages: notifications for people, the same as JSON for programs, and faults to order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from carecircle_push.testing.faults import PushFault

if TYPE_CHECKING:
    from carecircle_push.testing.faults import Faults
    from carecircle_push.testing.messages import Arrivals

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def add_pages(app: web.Application, arrivals: Arrivals, faults: Faults) -> None:
    """`GET /`, `GET|DELETE /api/messages`, `GET|POST|DELETE /api/faults`."""
    pages = Pages(arrivals, faults)
    app.router.add_get("/", pages.page)
    app.router.add_get("/api/messages", pages.list)
    app.router.add_delete("/api/messages", pages.clear)
    app.router.add_get("/api/faults", pages.list_faults)
    app.router.add_post("/api/faults", pages.order)
    app.router.add_delete("/api/faults", pages.heal)


class Pages:
    def __init__(self, arrivals: Arrivals, faults: Faults) -> None:
        self._arrivals = arrivals
        self._faults = faults
        self._templates = Environment(
            loader=PackageLoader("carecircle_push.testing"), autoescape=True, undefined=StrictUndefined
        )

    async def page(self, request: web.Request) -> web.Response:
        text = self._templates.get_template("notifications.html").render(
            messages=list(reversed(self._arrivals.messages))[:200],
            shown=self._arrivals.shown(),
            refusals=list(reversed(self._arrivals.refusals))[:20],
            faults=self._faults.pending(),
            total=self._arrivals.total,
        )
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    async def list(self, request: web.Request) -> web.Response:
        shown = self._arrivals.shown()
        messages = [message.as_json(shown=message.number in shown) for message in self._arrivals.messages]
        refusals = [
            {"received_at": one.received_at.isoformat(), "status": one.status, "reason": one.reason}
            for one in self._arrivals.refusals
        ]
        return web.json_response({"messages": messages, "refusals": refusals})

    async def clear(self, request: web.Request) -> web.Response:
        self._arrivals.clear()
        return web.Response(status=204)

    async def list_faults(self, request: web.Request) -> web.Response:
        return web.json_response({"faults": [fault.as_json() for fault in self._faults.pending()]})

    async def order(self, request: web.Request) -> web.Response:
        try:
            fault = PushFault.from_json(await request.json())
        except (ValueError, TypeError, AttributeError) as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
        self._faults.add(fault)
        return web.json_response(fault.as_json(), status=201)

    async def heal(self, request: web.Request) -> web.Response:
        self._faults.clear()
        return web.Response(status=204)
