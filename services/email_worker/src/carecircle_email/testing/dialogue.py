"""The server's side of one SMTP connection (RFC 5321), with a fault wherever one was ordered."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import re
import socket
import struct
from typing import TYPE_CHECKING

from carecircle_email.testing.faults import Act, Fault, Faults, Point

if TYPE_CHECKING:
    import ssl

    from carecircle_email.testing.messages import Inbox

MAX_LINE = 64 * 1024
MAX_BODY = 10 * 1024 * 1024
PATH = re.compile(r"(?:FROM|TO):\s*<(?P<address>[^<>]*)>(?P<options>(?: \S+)*)", re.IGNORECASE)
TRICKLE_PAUSE = 0.05


class HungUp(Exception):
    """The dialogue is over: the client left, or a fault closed it."""


class Dialogue:
    """One connection, from the greeting to the end."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        faults: Faults,
        inbox: Inbox,
        *,
        tls: ssl.SSLContext | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._faults = faults
        self._inbox = inbox
        self._tls = tls
        self._credentials = credentials
        self._encrypted = writer.get_extra_info("sslcontext") is not None
        self._known = credentials is None
        self._sender: str | None = None
        self._recipients: list[str] = []

    async def run(self) -> None:
        """Serve until QUIT, the client's leaving or a fault."""
        try:
            await self._answer(Point.CONNECT, "220 sink.test ESMTP, everything stays here")
            while line := await self._line():
                await self._command(line.decode("utf-8", "replace").rstrip("\r\n"))
        except (HungUp, OSError, asyncio.IncompleteReadError, ValueError):
            # A fault, a lost client, a line beyond the limit: all end this connection and nothing else.
            pass

    async def _command(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        match verb.upper():
            case "EHLO" | "HELO":
                self._forget()
                await self._answer(Point.EHLO, self._greeting(verb))
            case "STARTTLS":
                await self._start_tls()
            case "AUTH":
                await self._log_in(rest)
            case "MAIL":
                await self._mail(rest)
            case "RCPT":
                await self._rcpt(rest)
            case "DATA":
                await self._data()
            case "RSET":
                self._forget()
                await self._say("250 2.0.0 Forgotten")
            case "NOOP":
                await self._say("250 2.0.0 Nothing done")
            case "QUIT":
                await self._say("221 2.0.0 Bye")
                raise HungUp
            case _:
                await self._say("502 5.5.1 Not a command of this sink")

    def _greeting(self, verb: str) -> str:
        if verb.upper() == "HELO":
            return "250 sink.test"
        offered = ["PIPELINING", f"SIZE {MAX_BODY}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        if self._tls is not None and not self._encrypted:
            offered.append("STARTTLS")
        if self._credentials is not None and (self._encrypted or self._tls is None):
            offered.append("AUTH PLAIN LOGIN")
        return "\r\n".join(["250-sink.test", *(f"250-{name}" for name in offered[:-1]), f"250 {offered[-1]}"])

    async def _start_tls(self) -> None:
        if self._tls is None or self._encrypted:
            await self._say("502 5.5.1 No TLS here")
            return
        if not await self._answer(Point.STARTTLS, "220 2.0.0 Go ahead"):
            return
        await self._writer.start_tls(self._tls)
        self._encrypted = True
        self._forget()

    async def _log_in(self, rest: str) -> None:
        method, _, initial = rest.partition(" ")
        if self._credentials is None or method.upper() not in ("PLAIN", "LOGIN"):
            await self._say("504 5.5.4 Not a way to log in here")
            return
        given = await (self._plain(initial) if method.upper() == "PLAIN" else self._login(initial))
        right = hmac.compare_digest("\0".join(given).encode(), "\0".join(self._credentials).encode())
        accepted = await self._answer(
            Point.AUTH, "235 2.7.0 Welcome" if right else "535 5.7.8 User name or password is wrong"
        )
        self._known = right and accepted

    async def _plain(self, initial: str) -> tuple[str, str]:
        _, username, password = (*_decoded(initial or await self._ask("")).split("\0"), "", "", "")[:3]
        return username, password

    async def _login(self, initial: str) -> tuple[str, str]:
        username = initial or await self._ask("Username:")
        return _decoded(username), _decoded(await self._ask("Password:"))

    async def _ask(self, prompt: str) -> str:
        await self._say(f"334 {base64.b64encode(prompt.encode()).decode()}")
        return (await self._line()).decode("ascii", "replace").strip()

    async def _mail(self, rest: str) -> None:
        address = PATH.fullmatch(rest)
        if not self._known:
            await self._say("530 5.7.0 Log in first")
        elif address is None or not rest.upper().startswith("FROM"):
            await self._say("501 5.1.7 MAIL FROM:<address>")
        elif await self._answer(Point.MAIL, "250 2.1.0 Ok"):
            self._forget()
            self._sender = address["address"]

    async def _rcpt(self, rest: str) -> None:
        address = PATH.fullmatch(rest)
        if self._sender is None:
            await self._say("503 5.5.1 MAIL first")
        elif address is None or not rest.upper().startswith("TO") or not address["address"]:
            await self._say("501 5.1.3 RCPT TO:<address>")
        elif await self._answer(Point.RCPT, "250 2.1.5 Ok", address["address"]):
            self._recipients.append(address["address"])

    async def _data(self) -> None:
        if not self._recipients:
            await self._say("503 5.5.1 RCPT first")
            return
        to = self._recipients[0]
        if not await self._answer(Point.DATA, "354 End with a line of one dot", to):
            return
        body = await self._body(self._faults.take(Point.BODY, to))
        fault = self._faults.take(Point.END, to)
        if body is None:
            await self._say("552 5.3.4 Too big")
        elif fault is not None and fault.act is Act.REPLY and fault.reply[0] in "45":
            await self._say(fault.reply)
        else:
            message = await self._inbox.add(
                self._sender or "", tuple(self._recipients), body, encrypted=self._encrypted
            )
            await (self._strike(fault) if fault else self._say(f"250 2.0.0 Ok: queued as S{message.number:06d}"))
        self._forget()

    async def _body(self, fault: Fault | None) -> bytes | None:
        """What came before the final dot, unstuffed; None if it was too big. A fault strikes before it is read."""
        if fault is not None:
            await self._strike(fault)
        lines: list[bytes] = []
        size = 0
        while (line := await self._line()) != b".\r\n":
            if not line:
                raise HungUp
            size += len(line)
            if size <= MAX_BODY:
                lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines) if size <= MAX_BODY else None

    async def _answer(self, point: Point, usual: str, recipient: str | None = None) -> bool:
        """Say the usual, or do what was ordered for this point. True if the client got a yes."""
        fault = self._faults.take(point, recipient)
        if fault is None:
            await self._say(usual)
            return usual[0] in "23"
        await self._strike(fault)
        return fault.reply[0] in "23"

    async def _strike(self, fault: Fault) -> None:
        match fault.act:
            case Act.REPLY:
                await self._say(fault.reply)
                if fault.reply.startswith("421"):
                    raise HungUp
            case Act.HANG:
                await asyncio.get_running_loop().create_future()  # until the sink closes
            case Act.CLOSE:
                raise HungUp
            case Act.RESET:
                self._reset()
                raise HungUp
            case Act.TRICKLE:
                await self._trickle(fault.reply)

    async def _trickle(self, reply: str) -> None:
        self._writer.write(reply[:3].encode() + b"-")
        while True:
            self._writer.write(b".")
            await self._writer.drain()
            await asyncio.sleep(TRICKLE_PAUSE)

    def _reset(self) -> None:
        connection: socket.socket | None = self._writer.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _say(self, reply: str) -> None:
        self._writer.write(reply.encode("utf-8") + b"\r\n")
        await self._writer.drain()

    async def _line(self) -> bytes:
        return await self._reader.readline()

    def _forget(self) -> None:
        self._sender = None
        self._recipients = []


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
