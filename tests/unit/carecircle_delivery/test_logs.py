"""What may reach the log, and what must not."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from sqlalchemy.exc import IntegrityError

from carecircle.runtime import logs
from carequeue import LockLost

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-5f1c"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def lines() -> Any:
    out = io.StringIO()
    logs.configure("INFO", "json", service="test", stream=out)

    def read() -> list[dict[str, Any]]:
        assert CANARY not in out.getvalue()
        return [json.loads(line) for line in out.getvalue().splitlines()]

    return read


def test_an_event_keeps_its_listed_keys_and_loses_all_others(lines: Any) -> None:
    structlog.stdlib.get_logger("a").info("delivery.sent", delivery_id="d", attempt=2, email=CANARY, name=CANARY)

    [line] = lines()
    assert line["event"] == "delivery.sent"
    assert (line["delivery_id"], line["attempt"], line["service"], line["level"]) == ("d", 2, "test", "info")
    assert not {"email", "name"} & set(line)


def test_bound_and_contextual_keys_are_filtered_as_well(lines: Any) -> None:
    structlog.contextvars.bind_contextvars(address=CANARY, request_id="r")
    structlog.stdlib.get_logger("a").bind(drug=CANARY).warning("x")

    [line] = lines()
    assert line["request_id"] == "r"


def broken() -> None:
    try:
        _ = {}[CANARY]
    except KeyError as cause:
        raise IntegrityError(f"INSERT {CANARY}", {"email": CANARY}, ValueError(CANARY)) from cause


def test_an_exception_is_written_without_what_it_says(lines: Any) -> None:
    try:
        broken()
    except IntegrityError:
        structlog.stdlib.get_logger("a").exception("delivery.broken")

    [line] = lines()
    assert "sqlalchemy.exc.IntegrityError at " in line["exception"]
    assert "because builtins.KeyError at " in line["exception"]
    assert "test_logs.py" in line["exception"]
    assert " broken" in line["exception"]


@pytest.mark.parametrize(
    ("error", "text"),
    [(LockLost("j1"), "job j1: its lock"), (ConnectionRefusedError(111, "Connection refused"), "Connection refused")],
)
def test_errors_that_hold_nothing_private_keep_their_message(lines: Any, error: Exception, text: str) -> None:
    structlog.stdlib.get_logger("a").error("x", exc_info=error)

    assert text in lines()[0]["exception"]


def test_what_went_wrong_inside_a_task_group_is_written(lines: Any) -> None:
    # Showed as a service that crashed with an ExceptionGroup and nothing else in its log.
    error = ExceptionGroup("unhandled", [ValueError(CANARY), LockLost("job-1")])
    structlog.stdlib.get_logger("a").error("service.crashed", exc_info=error)

    assert "builtins.ValueError" in lines()[0]["exception"]
    assert "its lock ran out" in lines()[0]["exception"]


def test_a_librarys_message_is_written_without_its_arguments(lines: Any) -> None:
    logging.getLogger("some.library").warning("sent to %s", CANARY, extra={"job_id": "j", "to": CANARY})
    logging.getLogger("aiosmtplib").info("RCPT TO %s", CANARY)

    [line] = lines()
    assert (line["event"], line["logger"], line["job_id"]) == ("sent to %s", "some.library", "j")


def test_the_console_style_filters_the_same() -> None:
    out = io.StringIO()
    logs.configure("INFO", "console", stream=out)
    structlog.stdlib.get_logger("a").info("delivery.sent", email=CANARY, channel="email")

    assert "delivery.sent" in out.getvalue()
    assert "channel=email" in out.getvalue()
    assert CANARY not in out.getvalue()
