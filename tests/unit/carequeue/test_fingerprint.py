"""Failures that are the same to a person have one fingerprint, others have not."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

import pytest

from carequeue.fingerprint import fingerprint_of, normalised

NODE = """TypeError: Cannot read properties of undefined (reading 'to')
    at send (/srv/app/mail.js:10:17)
    at async Worker.processJob (/srv/node_modules/bullmq/dist/cjs/classes/worker.js:480:28)"""


def trace_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def caught(function: Any, *arguments: Any) -> BaseException:
    try:
        function(*arguments)
    except BaseException as error:  # noqa: BLE001 - whatever it raises
        return error
    raise AssertionError("it raised nothing")


def send(to: str) -> None:
    raise ValueError(f"no mailbox for {to!r} after 3 tries in 0.25 s")


def post(to: str) -> None:
    raise ValueError(f"no mailbox for {to!r} after 3 tries in 0.25 s")


def wrapped(to: str) -> None:
    try:
        send(to)
    except ValueError as error:
        raise ConnectionError("the mail server is away") from error


@pytest.mark.parametrize(
    ("message", "normal"),
    [
        ("no user 17", "no user <n>"),
        ("took 3.5 s, 1,200 rows at 10:30", "took <n> s, <n> rows at <n>"),
        ("job 5f0c1a2b-1111-4222-8333-abcdefabcdef is gone", "job <uuid> is gone"),
        ("GET https://example.org/a?b=1 failed", "GET <url> failed"),
        ("no mail to ada.l@example.org", "no mail to <email>"),
        ("due 2026-03-29T08:00:00.123Z", "due <time>"),
        ("due 2026-03-29 08:00:00+02:00", "due <time>"),
        ("object at 0x7f12ab in deadbeef01", "object at <hex> in <hex>"),
        ("key 'a b' or \"c\" or `d`", "key <text> or <text> or <text>"),
        ("the facade is added", "the facade is added"),
        ("first\nsecond", "first"),
        ("", ""),
    ],
)
def test_what_varies_is_left_out(message: str, normal: str) -> None:
    assert normalised(message) == normal


def test_the_same_error_at_the_same_place_is_one() -> None:
    ada, bob = caught(send, "ada"), caught(send, "bob")
    found = fingerprint_of(str(ada), trace_of(ada))
    assert (found.error, found.place) == ("ValueError", "test_fingerprint.py in send")
    assert found == fingerprint_of(str(bob), trace_of(bob))
    assert len(found.id) == 12


def test_another_place_class_or_message_is_another_one() -> None:
    errors = [caught(send, "ada"), caught(post, "ada"), caught(wrapped, "ada"), caught(int, "a")]
    assert len({fingerprint_of(str(error), trace_of(error)).id for error in errors}) == 4


def test_of_a_chain_the_last_error_counts() -> None:
    error = caught(wrapped, "ada")
    found = fingerprint_of(str(error), trace_of(error))
    assert (found.error, found.place) == ("ConnectionError", "test_fingerprint.py in wrapped")


def test_of_a_group_the_group_counts() -> None:
    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(send, "ada"))

    error = caught(asyncio.run, grouped())
    found = fingerprint_of(str(error), trace_of(error))
    assert (found.error, found.message) == ("ExceptionGroup", "unhandled errors in a TaskGroup (<n> sub-exception)")
    assert found.place.startswith("taskgroups.py in ")


def test_a_stack_trace_of_node() -> None:
    found = fingerprint_of("Cannot read properties of undefined (reading 'to')", NODE)
    assert (found.error, found.place) == ("TypeError", "mail.js in send")
    assert found == fingerprint_of("Cannot read properties of undefined (reading 'cc')", NODE.replace("'to'", "'cc'"))
    called_otherwise = NODE.replace("at send (", "at Mailer.send [as deliver] (")
    assert found == fingerprint_of("Cannot read properties of undefined (reading 'to')", called_otherwise)


def test_errors_of_packages_are_called_by_their_last_name() -> None:
    trace = 'Traceback (most recent call last):\n  File "/a/b.py", line 1, in f\n    g()\n    ^^^\npkg.mod.TooMany: 3\n'
    found = fingerprint_of("3", trace)
    assert (found.error, found.place) == ("TooMany", "b.py in f")


def test_an_error_that_was_never_raised_has_no_place() -> None:
    error = ValueError("odd")
    assert fingerprint_of("odd", trace_of(error)) == fingerprint_of("odd", "ValueError: odd")
    assert fingerprint_of("odd", trace_of(error)).place == ""


def test_an_error_without_a_text_is_its_class() -> None:
    error = caught(send, "x").with_traceback(None)
    error.args = ()
    found = fingerprint_of("ValueError", trace_of(error))
    assert (found.error, found.message) == ("ValueError", "")


@pytest.mark.parametrize("trace", ["", 'Traceback …\n  File "a.py", line 1, in f\nValueError: of another attempt\n'])
def test_a_failure_without_an_attempt_is_its_reason(trace: str) -> None:
    found = fingerprint_of("expired", trace)
    assert (found.error, found.message, found.place) == ("", "expired", "")


def test_what_a_worker_notes_does_not_count() -> None:
    error = caught(send, "ada")
    note = " (not tried again: the job's backoff is 'x', but this worker knows only exponential, fixed)"
    assert fingerprint_of(str(error) + note, trace_of(error)) == fingerprint_of(str(error), trace_of(error))


def test_long_and_odd_texts_do_no_harm() -> None:
    assert len(normalised("x" * 100_000)) == 300
    assert fingerprint_of("\udcff odd", "").id
    for text in ("'" * 50_000, "a" * 50_000 + "@", "1." * 50_000):
        normalised(text)
