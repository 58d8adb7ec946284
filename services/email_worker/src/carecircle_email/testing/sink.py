"""The mail sink: an SMTP port that takes everything, and an HTTP port that shows it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from carecircle_email.testing.dialogue import MAX_LINE, Dialogue
from carecircle_email.testing.faults import Fault, Faults
from carecircle_email.testing.inbox import InboxPages
from carecircle_email.testing.messages import Inbox, Message

if TYPE_CHECKING:
    import ssl
    from pathlib import Path
    from types import TracebackType


class SmtpSink:
    """A mail server on 127.0.0.1 that delivers nothing. `async with SmtpSink() as sink: ... sink.port`.

    Port 0 is any free one; `http_port` None serves no pages. With `tls` it offers STARTTLS (or, with `implicit_tls`,
    speaks TLS from the first byte); with `credentials` it insists on a login. `file` gets a JSON line a mail.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        http_port: int | None = 0,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        credentials: tuple[str, str] | None = None,
        file: Path | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.http_port = http_port
        self._tls = tls
        self._implicit_tls = implicit_tls
        self._credentials = credentials
        self._faults = Faults()
        self._inbox = Inbox(file)
        self._dialogues: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._pages: InboxPages | None = None
        self.connections = 0
        """How many clients have connected since the start."""

    @property
    def url(self) -> str:
        """The address of the inbox page."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def messages(self) -> tuple[Message, ...]:
        """What arrived, oldest first (the newest thousand)."""
        return self._inbox.messages

    @property
    def total(self) -> int:
        """How many arrived since the start, cleared ones too."""
        return self._inbox.total

    def to(self, recipient: str) -> list[Message]:
        return [message for message in self.messages if recipient in message.recipients]

    async def wait_for(
        self,
        count: int = 1,
        *,
        recipient: str | None = None,
        timeout: float = 10,  # noqa: ASYNC109 - a test's deadline
    ) -> list[Message]:
        """At least so many messages (to this recipient); `TimeoutError` if they do not come."""
        await self._inbox.wait_for(lambda _: len(self._matching(recipient)) >= count, timeout)
        return self._matching(recipient)

    async def clear(self) -> None:
        await self._inbox.clear()

    def fail(self, *faults: Fault) -> None:
        """Order faults; each strikes in this order where it fits."""
        for fault in faults:
            self._faults.add(fault)

    def heal(self) -> None:
        """Forget every fault that was ordered and has not struck."""
        self._faults.clear()

    async def start(self) -> None:
        tls = self._tls if self._implicit_tls else None
        self._server = await asyncio.start_server(self._serve, self.host, self.port, limit=MAX_LINE, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        if self.http_port is not None:
            self._pages = InboxPages(self._inbox, self._faults, smtp_port=self.port)
            self.http_port = await self._pages.start(self.host, self.http_port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for dialogue in list(self._dialogues):
            dialogue.cancel()
        await asyncio.gather(*self._dialogues, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
        if self._pages is not None:
            await self._pages.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # pragma: no cover - a stream's callback always runs in a task
            return
        self._dialogues.add(task)
        self.connections += 1
        try:
            await Dialogue(
                reader, writer, self._faults, self._inbox, tls=self._tls, credentials=self._credentials
            ).run()
        except asyncio.CancelledError:
            pass  # the sink closes
        finally:
            self._dialogues.discard(task)
            writer.close()

    def _matching(self, recipient: str | None) -> list[Message]:
        return list(self.messages) if recipient is None else self.to(recipient)
