"""The mail sink itself: what it keeps and shows, the faults it takes orders for, and its process."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest

from carecircle.domain.delivery import Sent
from carecircle_email.envelope import Envelope
from carecircle_email.provider import Security, Server, SmtpProvider
from carecircle_email.testing import Fault, Point, SmtpSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MAIL = b"From: a@b.c\r\nTo: ana@example.org\r\nSubject: =?utf-8?q?Caf=C3=A9?= <b>\r\n\r\nHello <script>x</script>\r\n"


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as sink:
        yield sink


@pytest.fixture
async def http(sink: SmtpSink) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(sink.url) as session:
        yield session


async def mail(sink: SmtpSink, content: bytes = MAIL) -> object:
    sender = SmtpProvider(Server(sink.host, sink.port, Security.NONE))
    return await sender.send(Envelope("a@b.c", "ana@example.org", content))


async def test_the_page_shows_each_mail_as_text_and_runs_nothing_of_it(
    sink: SmtpSink, http: aiohttp.ClientSession
) -> None:
    await mail(sink)
    async with http.get("/") as answer:
        page = await answer.text()
        policy = answer.headers["Content-Security-Policy"]

    assert "Café &lt;b&gt;" in page
    assert "to ana@example.org" in page
    assert "Hello &lt;script&gt;x&lt;/script&gt;" in page
    assert "<script" not in page
    assert "default-src 'none'" in policy
    assert 'http-equiv="refresh"' in page
    assert "src=" not in page


async def test_mails_can_be_read_and_cleared_as_json(sink: SmtpSink, http: aiohttp.ClientSession) -> None:
    await mail(sink)
    async with http.get("/api/messages") as answer:
        [message] = (await answer.json())["messages"]
    async with http.delete("/api/messages") as answer:
        assert answer.status == 204

    assert message["subject"] == "Café <b>"
    assert message["recipients"] == ["ana@example.org"]
    assert message["text"] == "Hello <script>x</script>\n"
    assert sink.messages == ()
    assert sink.total == 1


async def test_faults_can_be_ordered_over_http(sink: SmtpSink, http: aiohttp.ClientSession) -> None:
    order = {"at": "rcpt", "reply": "550 5.1.1 Unknown", "times": 1, "recipient": "ana@example.org"}
    async with http.post("/api/faults", json=order) as answer:
        assert answer.status == 201
    async with http.get("/api/faults") as answer:
        assert (await answer.json())["faults"] == [order | {"act": "reply"}]

    assert not isinstance(await mail(sink), Sent)
    assert isinstance(await mail(sink), Sent)


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"at": "nowhere"},
        {"at": "rcpt", "act": "explode"},
        {"at": "rcpt", "reply": "no code"},
        {"at": "rcpt", "reply": "250 a\r\n550 b"},
        {"at": "rcpt", "times": 0},
        {"at": "body", "act": "reply"},
        {"at": "rcpt", "unknown": 1},
        [],
        "text",
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(http: aiohttp.ClientSession, order: object) -> None:
    async with http.post("/api/faults", json=order) as answer:
        assert answer.status == 422


async def test_faults_strike_in_order_for_whom_they_are_and_as_often_as_told(sink: SmtpSink) -> None:
    sink.fail(
        Fault(Point.RCPT, reply="550 5.1.1 No", recipient="other@example.org", times=None),
        Fault(Point.RCPT, reply="451 4.3.0 First", times=2),
        Fault(Point.END, reply="554 5.7.1 Then"),
    )
    outcomes = [await mail(sink) for _ in range(4)]

    assert [getattr(one, "code", None) for one in outcomes] == ["smtp_451", "smtp_451", "smtp_554", "smtp_250"]
    sink.heal()
    assert len(sink.messages) == 1


async def test_waiting_for_a_mail_ends_when_it_arrives_or_at_the_deadline(sink: SmtpSink) -> None:
    waiting = asyncio.create_task(sink.wait_for(1, recipient="ana@example.org"))
    await mail(sink)

    assert len(await waiting) == 1
    with pytest.raises(TimeoutError):
        await sink.wait_for(2, timeout=0.05)


async def test_pipelined_commands_and_a_second_mail_on_one_connection(sink: SmtpSink) -> None:
    reader, writer = await asyncio.open_connection(sink.host, sink.port)
    envelope = b"MAIL FROM:<a@b.c> SIZE=10\r\nRCPT TO:<x@y.z>\r\nDATA\r\n"
    writer.write(b"EHLO me\r\n" + (envelope + b"..dot\r\n.\r\n") * 2 + b"BOGUS\r\nQUIT\r\n")
    replies = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()

    assert [message.content for message in sink.messages] == [b".dot\r\n"] * 2
    assert "502 5.5.1" in replies
    assert replies.endswith("221 2.0.0 Bye\r\n")


async def test_it_takes_far_more_than_fifty_mails_a_second(sink: SmtpSink) -> None:
    began = time.monotonic()
    for _ in range(5):
        await asyncio.gather(*(mail(sink) for _ in range(20)))

    assert sink.total == 100
    assert time.monotonic() - began < 2


async def test_its_process_says_where_it_is_keeps_a_file_and_ends_on_sigterm(tmp_path: Path) -> None:
    file = tmp_path / "mail.jsonl"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "carecircle_email.testing", "--smtp-port", "0", "--http-port", "0"),
        *("--file", str(file)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    port = int(said.split("127.0.0.1:")[1].split(",")[0])
    sender = SmtpProvider(Server("127.0.0.1", port, Security.NONE))
    assert isinstance(await sender.send(Envelope("a@b.c", "ana@example.org", MAIL)), Sent)
    async with aiohttp.ClientSession(said.split("inbox at ")[1].strip()) as http, http.get("/api/messages") as answer:
        assert len((await answer.json())["messages"]) == 1

    process.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert "ana@example.org" in file.read_text()
