"""The SMTP provider against a mail server that misbehaves: what it says of each, and what really arrived."""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import trustme

from carecircle.domain.delivery import Ambiguous, Misconfigured, Rejected, Sent, TryLater
from carecircle_email.envelope import Envelope
from carecircle_email.provider import Limits, Security, Server, SmtpProvider
from carecircle_email.testing import Act, Fault, Point, SmtpSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

QUICK = Limits(connect=0.3, command=0.4, until_dot=1.5, final_reply=0.4)
LOGIN = ("us", "sécret")
MAIL = Envelope("reminders@carecircle.test", "ana@example.org", b"Subject: hello\r\n\r\nhello\r\n")


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink(http_port=None) as sink:
        yield sink


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA) -> Iterator[str]:
    with authority.cert_pem.tempfile() as path:
        yield path


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def provider(sink: SmtpSink, **options: object) -> SmtpProvider:
    server = Server(sink.host, sink.port, **{"security": Security.NONE, **options})  # pyright: ignore[reportArgumentType]
    return SmtpProvider(server, QUICK)


async def test_a_taken_message_arrives_byte_for_byte_with_its_envelope(sink: SmtpSink) -> None:
    outcome = await provider(sink).send(MAIL)

    assert outcome == Sent("S000001", "smtp_250")
    [message] = sink.messages
    assert (message.sender, message.recipients) == (MAIL.sender, (MAIL.recipient,))
    assert message.content == MAIL.content


async def test_a_body_cannot_end_itself_or_start_a_second_message(sink: SmtpSink) -> None:
    smuggled = b"a\n.\nMAIL FROM:<x@y.z>\r.\r\n..b\r\n.\r\nQUIT"
    await provider(sink).send(Envelope(MAIL.sender, MAIL.recipient, smuggled))

    [message] = sink.messages
    assert message.content == b"a\r\n.\r\nMAIL FROM:<x@y.z>\r\n.\r\n..b\r\n.\r\nQUIT\r\n"


@pytest.mark.parametrize("point", [Point.MAIL, Point.RCPT, Point.DATA])
async def test_greylisting_waits_and_then_goes_through(sink: SmtpSink, point: Point) -> None:
    sink.fail(Fault(point, reply="451 4.7.1 Greylisted"))
    sender = SmtpProvider(Server(sink.host, sink.port, Security.NONE), QUICK, greylist_wait=timedelta(seconds=7))

    assert await sender.send(MAIL) == TryLater("smtp_451", timedelta(seconds=7))
    assert sink.messages == ()
    assert isinstance(await sender.send(MAIL), Sent)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault(Point.CONNECT, reply="554 5.7.1 Go away"), Misconfigured("smtp_554")),
        (Fault(Point.CONNECT, reply="421 4.3.2 Shutting down"), TryLater("smtp_421")),
        (Fault(Point.EHLO, reply="421 4.3.2 Shutting down"), TryLater("smtp_421")),
        (Fault(Point.MAIL, reply="421 4.3.2 Shutting down"), TryLater("smtp_421")),
        (Fault(Point.MAIL, reply="553 5.1.8 Not your address"), Misconfigured("smtp_553")),
        (Fault(Point.RCPT, reply="550 5.1.1 No such user"), Rejected("smtp_550", target_gone=True)),
        (Fault(Point.RCPT, reply="550 5.7.1 Spam"), Rejected("smtp_550")),
        (Fault(Point.RCPT, reply="452 4.2.2 Mailbox full"), TryLater("smtp_452")),
        (Fault(Point.DATA, reply="554 5.5.1 No"), Rejected("smtp_554")),
        (Fault(Point.END, reply="451 4.3.0 Disk"), TryLater("smtp_451")),
        (Fault(Point.END, reply="554 5.7.1 Content"), Rejected("smtp_554")),
    ],
    ids=lambda value: value.reply[:9] if isinstance(value, Fault) else "",
)
async def test_a_refusal_is_definite_and_nothing_arrives(sink: SmtpSink, fault: Fault, outcome: object) -> None:
    sink.fail(fault)

    assert await provider(sink).send(MAIL) == outcome
    assert sink.messages == ()


BEFORE_DOT = [Point.CONNECT, Point.EHLO, Point.MAIL, Point.RCPT, Point.DATA]


@pytest.mark.parametrize("point", BEFORE_DOT)
@pytest.mark.parametrize("act", [Act.HANG, Act.TRICKLE])
async def test_silence_before_the_dot_is_a_safe_retry(sink: SmtpSink, point: Point, act: Act) -> None:
    sink.fail(Fault(point, act))

    assert await provider(sink).send(MAIL) == TryLater("smtp_timeout")
    assert sink.messages == ()


@pytest.mark.parametrize("point", [*BEFORE_DOT, Point.BODY])
@pytest.mark.parametrize("act", [Act.CLOSE, Act.RESET])
async def test_a_connection_lost_before_the_dot_is_a_safe_retry(sink: SmtpSink, point: Point, act: Act) -> None:
    sink.fail(Fault(point, act))

    assert await provider(sink).send(MAIL) == TryLater("smtp_disconnected")
    assert sink.messages == ()


async def test_a_server_that_stops_reading_the_body_is_a_safe_retry_at_the_deadline(sink: SmtpSink) -> None:
    # More than socket buffers hold: the dot cannot have left.
    sink.fail(Fault(Point.BODY, Act.HANG))
    big = Envelope(MAIL.sender, MAIL.recipient, b"x" * 70 + b"\r\n" + b"y" * 30_000_000)

    assert await provider(sink).send(big) == TryLater("smtp_timeout")
    assert sink.messages == ()


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (Act.HANG, "smtp_timeout_after_data"),
        (Act.TRICKLE, "smtp_timeout_after_data"),
        (Act.CLOSE, "smtp_disconnected_after_data"),
        (Act.RESET, "smtp_disconnected_after_data"),
    ],
)
async def test_silence_after_the_dot_is_ambiguous_and_the_mail_did_arrive(sink: SmtpSink, act: Act, code: str) -> None:
    # aiosmtplib raises the same plain time-out or disconnect here as before the dot: a repeat doubles the mail.
    sink.fail(Fault(Point.END, act))

    assert await provider(sink).send(MAIL) == Ambiguous(code)
    assert len(sink.messages) == 1


async def test_a_slow_final_reply_is_waited_for(sink: SmtpSink) -> None:
    patient = Limits(connect=0.3, command=0.3, until_dot=0.5, final_reply=10)
    sink.fail(Fault(Point.END, Act.HANG))
    sending = asyncio.create_task(SmtpProvider(Server(sink.host, sink.port, Security.NONE), patient).send(MAIL))
    await sink.wait_for(1)
    _, waiting = await asyncio.wait([sending], timeout=0.8)  # past every limit but the last

    assert waiting == {sending}
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_nobody_listening_is_a_safe_retry(sink: SmtpSink) -> None:
    sender = provider(sink)
    await sink.close()

    assert await sender.send(MAIL) == TryLater("smtp_refused")


async def test_an_unknown_host_is_a_safe_retry() -> None:
    sender = SmtpProvider(Server("mail.invalid", 25, Security.NONE), Limits())

    assert await sender.send(MAIL) == TryLater("smtp_dns")


async def test_a_mailbox_name_beyond_ascii_needs_smtputf8(sink: SmtpSink) -> None:
    envelope = Envelope(MAIL.sender, "jürgen@example.org", MAIL.content, utf8=True)

    assert isinstance(await provider(sink).send(envelope), Sent)
    assert sink.messages[0].recipients == ("jürgen@example.org",)
    sink.fail(Fault(Point.EHLO, reply="250 sink.test"))
    assert await provider(sink).send(envelope) == Rejected("smtp_no_smtputf8")


class TestEncryption:
    """Fail closed: what the settings ask for, or nothing."""

    async def test_starttls_encrypts_and_logs_in(self, authority: trustme.CA, ca_file: str) -> None:
        tls = server_tls(authority, "localhost", "127.0.0.1")
        async with SmtpSink(http_port=None, tls=tls, credentials=LOGIN) as sink:
            sender = provider(sink, security=Security.STARTTLS, ca_file=ca_file, username=LOGIN[0], password=LOGIN[1])
            assert isinstance(await sender.send(MAIL), Sent)
            assert sink.messages[0].encrypted

    async def test_tls_from_the_first_byte(self, authority: trustme.CA, ca_file: str) -> None:
        tls = server_tls(authority, "127.0.0.1")
        async with SmtpSink(http_port=None, tls=tls, implicit_tls=True) as sink:
            assert isinstance(await provider(sink, security=Security.TLS, ca_file=ca_file).send(MAIL), Sent)
            assert sink.messages[0].encrypted

    async def test_a_stripped_starttls_sends_nothing(self, sink: SmtpSink) -> None:
        assert await provider(sink, security=Security.STARTTLS).send(MAIL) == Misconfigured("smtp_no_starttls")
        assert sink.messages == ()

    async def test_a_refused_starttls_sends_nothing(self, authority: trustme.CA, ca_file: str) -> None:
        async with SmtpSink(http_port=None, tls=server_tls(authority, "127.0.0.1")) as sink:
            sink.fail(Fault(Point.STARTTLS, reply="454 4.7.0 Not now"))
            sender = provider(sink, security=Security.STARTTLS, ca_file=ca_file)
            assert await sender.send(MAIL) == TryLater("smtp_454")
            assert sink.messages == ()

    @pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
    async def test_a_certificate_for_another_name_sends_nothing(
        self, authority: trustme.CA, ca_file: str, security: Security
    ) -> None:
        tls = server_tls(authority, "other.example")
        async with SmtpSink(http_port=None, tls=tls, implicit_tls=security is Security.TLS) as sink:
            sender = provider(sink, security=security, ca_file=ca_file)
            assert await sender.send(MAIL) == Misconfigured("smtp_certificate")
            assert sink.messages == ()

    @pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
    async def test_a_certificate_that_nobody_trusts_sends_nothing(
        self, authority: trustme.CA, security: Security
    ) -> None:
        tls = server_tls(authority, "127.0.0.1")
        async with SmtpSink(http_port=None, tls=tls, implicit_tls=security is Security.TLS) as sink:
            assert await provider(sink, security=security).send(MAIL) == Misconfigured("smtp_certificate")
            assert sink.messages == ()

    async def test_a_wrong_password_is_an_operators_matter(self, authority: trustme.CA, ca_file: str) -> None:
        tls = server_tls(authority, "127.0.0.1")
        async with SmtpSink(http_port=None, tls=tls, credentials=LOGIN) as sink:
            sender = provider(
                sink, security=Security.STARTTLS, ca_file=ca_file, username=LOGIN[0], password=LOGIN[1][1:]
            )
            assert await sender.send(MAIL) == Misconfigured("smtp_535")
            assert sink.messages == ()

    async def test_a_server_without_login_is_an_operators_matter(self, authority: trustme.CA, ca_file: str) -> None:
        async with SmtpSink(http_port=None, tls=server_tls(authority, "127.0.0.1")) as sink:
            sender = provider(sink, security=Security.STARTTLS, ca_file=ca_file, username=LOGIN[0], password=LOGIN[1])
            assert await sender.send(MAIL) == Misconfigured("smtp_no_auth")


async def test_the_log_has_codes_and_never_the_address_or_the_servers_words(
    sink: SmtpSink, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sink.fail(Fault(Point.RCPT, reply="550 5.1.1 <ana@example.org> canary-words"))

    await provider(sink).send(MAIL)

    said = "".join(capsys.readouterr()) + caplog.text
    assert "smtp.refused" in said
    assert "5.1.1" in said
    assert "ana@" not in said
    assert "canary-words" not in said


async def test_messages_go_out_side_by_side_each_on_its_own_connection(sink: SmtpSink) -> None:
    sender = provider(sink)
    envelopes = [Envelope(MAIL.sender, f"p{n}@example.org", MAIL.content) for n in range(50)]

    outcomes = await asyncio.gather(*(sender.send(envelope) for envelope in envelopes))

    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert sink.connections == 50
    assert sorted(m.recipients for m in sink.messages) == sorted((e.recipient,) for e in envelopes)
