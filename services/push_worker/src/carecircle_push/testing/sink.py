"""The push sink: a push service on 127.0.0.1 whose browsers are made on demand."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from carecircle_push.testing.browser import Browser, Undecryptable
from carecircle_push.testing.faults import Act, Faults, PushFault
from carecircle_push.testing.messages import Arrivals, Message, Refusal
from carecircle_push.testing.pages import add_pages
from carecircle_push.testing.service import Refused, check

if TYPE_CHECKING:
    from types import TracebackType

READ_LIMIT = 64 * 1024


class PushSink:
    """A push service. `async with PushSink() as sink: await sink.subscribe()` gives a browser's subscription.

    Port 0 is any free one. `origin` is what endpoints start with, for when others reach the sink by another name.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, origin: str | None = None) -> None:
        self.host = host
        self.port = port
        self._origin = origin
        self._faults = Faults()
        self._arrivals = Arrivals()
        self._browsers: dict[str, Browser] = {}
        self._ended: set[str] = set()
        self._runner: web.AppRunner | None = None
        self.requests = 0
        """How many pushes were posted since the start, refused ones too."""

    @property
    def origin(self) -> str:
        """Trust this one in `CARECIRCLE_PUSH_ALLOWED_ORIGINS`. Also the address of the page."""
        return self._origin or f"http://{self.host}:{self.port}"

    @property
    def messages(self) -> tuple[Message, ...]:
        """What arrived, oldest first (the newest thousand)."""
        return self._arrivals.messages

    @property
    def refusals(self) -> list[Refusal]:
        """What a real service would have refused as well, with the reason."""
        return self._arrivals.refusals

    @property
    def total(self) -> int:
        return self._arrivals.total

    def shown(self) -> list[Message]:
        """What is on the screens: the last message of each tag and browser."""
        last = self._arrivals.shown()
        return [message for message in self.messages if message.number in last]

    async def subscribe(self, application_server_key: str | None = None) -> dict[str, Any]:
        """A new browser's subscription as its page gets it, made for this VAPID public key if one is given."""
        return self._new_browser(application_server_key).subscription()

    def end(self, endpoint: str) -> None:
        """The person removed the subscription: from now on it answers 410."""
        self._ended.add(endpoint)

    def to(self, endpoint: str) -> list[Message]:
        return [message for message in self.messages if message.endpoint == endpoint]

    async def wait_for(
        self,
        count: int = 1,
        *,
        endpoint: str | None = None,
        timeout: float = 10,  # noqa: ASYNC109 - a test's deadline
    ) -> list[Message]:
        """At least so many messages (to this browser); `TimeoutError` if they do not come."""
        await self._arrivals.wait_for(lambda: len(self._matching(endpoint)) >= count, timeout)
        return self._matching(endpoint)

    def clear(self) -> None:
        self._arrivals.clear()

    def fail(self, *faults: PushFault) -> None:
        """Order faults; each strikes in this order where it fits."""
        for fault in faults:
            self._faults.add(fault)

    def heal(self) -> None:
        """Forget every fault that was ordered and has not struck."""
        self._faults.clear()

    async def start(self) -> None:
        app = web.Application(client_max_size=READ_LIMIT)
        app.router.add_post("/subscriptions", self._subscribe)
        app.router.add_delete("/subscriptions/{token}", self._end)
        app.router.add_post("/push/{token}", self._push)
        add_pages(app, self._arrivals, self._faults)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()
        self.port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _subscribe(self, request: web.Request) -> web.Response:
        try:
            asked: Any = await request.json() if request.can_read_body else {}
            browser = self._new_browser(asked.get("applicationServerKey"))
        except (ValueError, AttributeError) as error:
            raise web.HTTPBadRequest(text="a JSON object, with `applicationServerKey` if you like") from error
        return web.json_response(browser.subscription(), status=201)

    async def _end(self, request: web.Request) -> web.Response:
        self.end(self._endpoint(request))
        return web.Response(status=204)

    async def _push(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        endpoint = self._endpoint(request)
        body = await request.read()
        fault = self._faults.take(endpoint)
        if fault is not None and fault.act is Act.REPLY and not 200 <= fault.status < 300:
            return web.Response(status=fault.status, headers=fault.headers)
        try:
            number = (await self._take(endpoint, request, body)).number
        except Refused as refused:
            self._arrivals.refuse(Refusal(datetime.now(UTC), endpoint, refused.status, refused.reason))
            return web.Response(status=refused.status, text=refused.reason)
        if fault is not None:
            return await self._strike(fault, request)
        return web.Response(status=201, headers={"Location": f"{self.origin}/messages/{number}"})

    async def _take(self, endpoint: str, request: web.Request, body: bytes) -> Message:
        browser = self._browsers.get(endpoint)
        if browser is None or endpoint in self._ended:
            raise Refused(410 if browser else 404, "there is no such subscription")
        accepted = check(request.headers, body, browser, now=time.time())
        try:
            plaintext = browser.decrypt(body)
        except Undecryptable:
            plaintext = None
        return await self._arrivals.add(datetime.now(UTC), endpoint, accepted, plaintext, body)

    async def _strike(self, fault: PushFault, request: web.Request) -> web.StreamResponse:
        match fault.act:
            case Act.HANG:
                await asyncio.get_running_loop().create_future()  # until the client or the sink gives up
            case Act.CLOSE:
                if request.transport is not None:
                    request.transport.abort()
            case Act.FLOOD:
                response = web.StreamResponse(status=fault.status, headers=fault.headers)
                await response.prepare(request)
                while True:
                    await response.write(b"x" * 65536)
            case Act.REPLY:
                pass
        return web.Response(status=fault.status, headers=fault.headers)

    def _matching(self, endpoint: str | None) -> list[Message]:
        return list(self.messages) if endpoint is None else self.to(endpoint)

    def _new_browser(self, application_server_key: str | None) -> Browser:
        browser = Browser(self.origin, application_server_key)
        self._browsers[browser.endpoint] = browser
        return browser

    def _endpoint(self, request: web.Request) -> str:
        return f"{self.origin}/push/{request.match_info['token']}"
