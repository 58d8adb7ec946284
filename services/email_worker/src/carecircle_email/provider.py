"""One message to one SMTP server: one connection, one recipient, and the knowledge of how far it came.

aiosmtplib connects, encrypts, logs in and names the envelope. The body is written here, because its one-call DATA
cannot tell "the connection broke before the final dot" (safe to repeat) from "after it" (nobody knows).
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import aiosmtplib
import structlog

from carecircle.domain.delivery import Sent
from carecircle_email.outcomes import GREYLIST_WAIT, Phase, Problem, classify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from aiosmtplib.protocol import SMTPProtocol

    from carecircle.domain.delivery import Outcome
    from carecircle_email.envelope import Envelope

START_INPUT = 354
ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?!\S)")
QUEUE_ID = re.compile(r"\b(?:queued as|id=)\s*<?([A-Za-z0-9][A-Za-z0-9.-]{3,63})", re.IGNORECASE)
LINE_END = re.compile(rb"\r\n|\r|\n")
LEADING_DOT = re.compile(rb"(?m)^\.")
FULL_BUFFER_POLL = 0.01

log = structlog.stdlib.get_logger(__name__)


class Security(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how mail is handed over. Encryption is what this says or nothing is sent: never "if offered"."""

    host: str
    port: int
    security: Security = Security.STARTTLS
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    helo_name: str = "localhost"
    ca_file: str | None = None
    """Trust these certificate authorities instead of the system's."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. A short wait for the final reply would manufacture duplicates, so it alone is long."""

    connect: float = 10
    command: float = 15
    until_dot: float = 45
    final_reply: float = 120

    def __post_init__(self) -> None:
        if not 0 < self.connect <= self.command <= self.until_dot:
            raise ValueError("SMTP limits: connect <= command <= until_dot")

    @property
    def total(self) -> float:
        return self.until_dot + self.final_reply


class SmtpProvider:
    """Hands messages to one server. Every message has its own connection, so they go out side by side."""

    def __init__(
        self, server: Server, limits: Limits | None = None, *, greylist_wait: timedelta = GREYLIST_WAIT
    ) -> None:
        self.server = server
        self.limits = limits or Limits()
        self._greylist_wait = greylist_wait
        self._tls = None if server.security is Security.NONE else ssl.create_default_context(cafile=server.ca_file)

    async def send(self, envelope: Envelope) -> Outcome:
        """Hand the message over. Raises only what is a bug of ours."""
        dialogue = Dialogue(self.server, self.limits, self._tls)
        try:
            async with asyncio.timeout(self.limits.until_dot):
                await dialogue.connect()
                await dialogue.address(envelope)
                await dialogue.write(envelope.content)
            reply = await dialogue.finish()
        except (aiosmtplib.SMTPException, OSError, NoWayToSend) as error:
            return self._failure(dialogue.phase, error)
        finally:
            dialogue.hang_up()
        outcome = classify(dialogue.phase, reply.code, _enhanced(reply.message), greylist_wait=self._greylist_wait)
        return Sent(_queue_id(reply.message), outcome.code) if isinstance(outcome, Sent) else outcome

    def _failure(self, phase: Phase, error: Exception) -> Outcome:
        code, enhanced, problem = None, None, None
        if isinstance(error, aiosmtplib.SMTPResponseException) and error.code > 0:
            code, enhanced = error.code, _enhanced(error.message)
        else:
            problem = problem_of(error)
        outcome = classify(phase, code, enhanced, problem, greylist_wait=self._greylist_wait)
        # Codes only: the server's words may repeat the address.
        log.info("smtp.refused", state=phase, status_code=code, reason=enhanced or problem, outcome=outcome.code)
        return outcome


class NoWayToSend(Exception):
    """The server lacks something that this message or our settings insist on."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem)


class Dialogue:
    """One connection and one message. `phase` says how far it came, whatever happens."""

    def __init__(self, server: Server, limits: Limits, tls: ssl.SSLContext | None) -> None:
        self.phase = Phase.CONNECT
        self._server = server
        self._limits = limits
        self._smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            timeout=limits.command,
            use_tls=server.security is Security.TLS,
            start_tls=False,  # done below, step by step; None would mean "if the server offers it"
            tls_context=tls,
            local_hostname=server.helo_name,
        )

    async def connect(self) -> None:
        """Connected, encrypted as told, and logged in."""
        await self._smtp.connect(timeout=self._limits.connect)
        await self._hello()
        if self._server.security is Security.STARTTLS:
            await self._start_tls()
        if self._server.username is not None:
            await self._log_in(self._server.username, self._server.password or "")

    async def address(self, envelope: Envelope) -> None:
        """The envelope, up to the server's invitation to send the body."""
        if envelope.utf8 and not self._smtp.supports_extension("smtputf8"):
            raise NoWayToSend(Problem.NO_SMTPUTF8)
        encoding = "utf-8" if envelope.utf8 else "ascii"
        self.phase = Phase.MAIL
        options = ["SMTPUTF8", "BODY=8BITMIME"] if envelope.utf8 else None
        await self._smtp.mail(envelope.sender, options=options, encoding=encoding)
        self.phase = Phase.RCPT
        await self._smtp.rcpt(envelope.recipient, encoding=encoding)
        self.phase = Phase.DATA
        reply = await self._smtp.execute_command(b"DATA")
        if reply.code != START_INPUT:
            raise aiosmtplib.SMTPDataError(reply.code, reply.message)

    async def write(self, content: bytes) -> None:
        """The body without its final dot, all of it out of our hands when this returns."""
        self.phase = Phase.BODY
        self._protocol.write(dot_stuffed(content))
        while _unwritten(self._protocol.transport):  # noqa: ASYNC110 - aiosmtplib signals no drained buffer
            await asyncio.sleep(FULL_BUFFER_POLL)
        # One turn of the loop, so that a connection that broke meanwhile is seen before the dot, not after.
        await asyncio.sleep(0)

    async def finish(self) -> aiosmtplib.SMTPResponse:
        """The final dot and the reply to it."""
        protocol = self._protocol
        if not protocol.is_connected:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        self.phase = Phase.END
        protocol.write(b".\r\n")
        return await protocol.read_response(timeout=self._limits.final_reply)

    def hang_up(self) -> None:
        """QUIT without waiting for the answer: the outcome is known and must be recorded first."""
        if self._smtp.protocol is not None and self._smtp.protocol.is_connected:
            self._smtp.protocol.write(b"QUIT\r\n")
        self._smtp.close()

    async def _hello(self) -> None:
        self.phase = Phase.HELLO
        await self._smtp.ehlo()

    async def _start_tls(self) -> None:
        self.phase = Phase.TLS
        if not self._smtp.supports_extension("starttls"):
            raise NoWayToSend(Problem.NO_STARTTLS)
        await self._smtp.starttls(timeout=self._limits.connect)
        await self._hello()

    async def _log_in(self, username: str, password: str) -> None:
        self.phase = Phase.AUTH
        if not self._smtp.supported_auth_methods:
            raise NoWayToSend(Problem.NO_AUTH)
        await self._smtp.login(username, password)

    @property
    def _protocol(self) -> SMTPProtocol:
        if self._smtp.protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        return self._smtp.protocol


def problem_of(error: BaseException) -> Problem:
    """What kind of trouble this is, by the deepest cause that says so."""
    if isinstance(error, NoWayToSend):
        return error.problem
    causes = list(_causes(error))
    kinds: tuple[tuple[type[BaseException], Problem], ...] = (
        (ssl.SSLCertVerificationError, Problem.BAD_CERTIFICATE),
        (ssl.SSLError, Problem.TLS_FAILED),
        (socket.gaierror, Problem.DNS),
        (TimeoutError, Problem.TIMEOUT),
        (ConnectionRefusedError, Problem.REFUSED),
        (ConnectionError, Problem.DISCONNECTED),
        (aiosmtplib.SMTPResponseException, Problem.BAD_REPLY),
        (OSError, Problem.REFUSED),
    )
    return next((found for kind, found in kinds if any(isinstance(c, kind) for c in causes)), Problem.UNKNOWN)


def dot_stuffed(content: bytes) -> bytes:
    """Ready for DATA (RFC 5321, 4.5.2): CRLF line ends only, so that no bare LF can hide a second message."""
    lines = LINE_END.sub(b"\r\n", content)
    return LEADING_DOT.sub(b"..", lines if lines.endswith(b"\r\n") else lines + b"\r\n")


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__


def _unwritten(transport: asyncio.BaseTransport | None) -> bool:
    if not isinstance(transport, asyncio.WriteTransport) or transport.is_closing():
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    return transport.get_write_buffer_size() > 0


def _enhanced(text: str) -> str | None:
    found = ENHANCED.match(text)
    return found.group(1) if found else None


def _queue_id(text: str) -> str | None:
    found = QUEUE_ID.search(text)
    return found.group(1) if found else None
