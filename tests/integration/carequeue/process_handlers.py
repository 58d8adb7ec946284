"""Handlers that child processes run: at the top of a module that they can import."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from carequeue import Job, ProcessJobContext, RateLimited, RetryAt, Skip, Unrecoverable, WaitForChildren

NEXT_YEAR = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Picture:
    width: int
    height: int


class NoInk(Exception):
    def __init__(self, colour: str, left: int) -> None:
        self.colour = colour
        super().__init__(f"no {colour} ink, {left} ml left")


class OutOfPaper(Exception):
    def __init__(self, sheets: int) -> None:
        self.sheets = sheets
        super().__init__(sheets)


class NightShift(RetryAt):
    def __init__(self) -> None:
        super().__init__(NEXT_YEAR, "only at night")


def process_id(job: Job[Any]) -> int:
    return os.getpid()


def trace_and_span(job: Job[Any]) -> tuple[int, int]:
    from opentelemetry import trace  # only here: other children do not need it

    found = trace.get_current_span().get_span_context()
    return found.trace_id, found.span_id


def imported(job: Job[Any]) -> bool:
    return "carequeue.opentelemetry" in sys.modules


def area(job: Job[Picture]) -> Picture:
    assert isinstance(job.data, Picture)
    return Picture(job.data.width * job.data.height, job.attempts_started)


def next_step(job: Job[dict[str, Any]], context: ProcessJobContext) -> int:
    step = job.data["step"]
    context.update_data({"step": step + 1})
    if step < 3:
        raise RuntimeError("there is more")
    return step


def report(job: Job[Any], context: ProcessJobContext) -> dict[str, Any]:
    context.update_progress({"page": 1})
    rows = [context.log("first"), context.log("second")]
    return {"about": [context.job_id, context.attempt, context.token != ""], "rows": rows, "job": [job.name, job.queue]}


def sum_of_children(job: Job[Any], context: ProcessJobContext) -> int:
    return sum(context.children_values().values())


def log_into_nothing(job: Job[Any], context: ProcessJobContext) -> str:
    try:
        context.update_progress(object())
    except Exception as error:  # noqa: BLE001 - what it is, is the question
        return f"{type(error).__name__}: {error}"
    return "no error"


def raise_it(job: Job[Any]) -> NoReturn:
    errors: dict[str, BaseException] = {
        "plain": ValueError("no paper"),
        "own": OutOfPaper(7),
        "unsendable": NoInk("red", 3),
        "exit": SystemExit("enough"),
        "cancelled": asyncio.CancelledError(),
        "unrecoverable": Unrecoverable("never"),
        "skip": Skip("nothing to do"),
        "retry_at": RetryAt(NEXT_YEAR, "later"),
        "too_early": RetryAt(NEXT_YEAR, counts=False),
        "own_retry_at": NightShift(),
        "rate_limited": RateLimited(timedelta(hours=1)),
        "group_limited": RateLimited(timedelta(hours=1), group=True),
        "wait_for_children": WaitForChildren(),
    }
    raise errors[job.data]


def return_it(job: Job[Any]) -> Any:
    return {"skip": Skip("nothing to do"), "unstorable": {1, 2}, "nothing": None}[job.data]


def die(job: Job[Any]) -> None:
    print("last words")  # noqa: T201 - whether that is lost is the question
    match job.data:
        case "exit":
            os._exit(3)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case _:
            os.kill(os.getpid(), signal.SIGKILL)


def hang(job: Job[Any], context: ProcessJobContext) -> None:
    context.update_progress(os.getpid())
    try:
        threading.Event().wait()
    finally:
        context.log("cleaned up")


def hang_deaf(job: Job[Any], context: ProcessJobContext) -> None:
    context.update_progress(os.getpid())
    while True:
        try:
            threading.Event().wait()
        except asyncio.CancelledError:
            context.log("not yet")


def hang_in_c(job: Job[Any], context: ProcessJobContext) -> None:
    """A search that takes longer than the universe lasts, and lets no other thread run."""
    context.update_progress(os.getpid())
    re.fullmatch(r"(a+)+b", "a" * 100)


def finish_all_the_same(job: Job[Any], context: ProcessJobContext) -> str:
    context.update_progress(os.getpid())
    try:
        threading.Event().wait()
    except asyncio.CancelledError:
        return f"saved, cancelled: {context.is_cancelled}"
    return "never"


def hang_with_a_program(job: Job[Any], context: ProcessJobContext) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as program:
        context.update_progress([os.getpid(), program.pid])
        threading.Event().wait()


def wait_for_logs(job: Job[Any], context: ProcessJobContext) -> str:
    """Goes on until its worker's side has noted three rows that it never stops writing."""
    context.update_progress(os.getpid())
    rows = 0
    while rows < job.data["rows"]:
        rows = context.log("still here")
    return "done"


def leave_a_thread_behind(job: Job[Any], context: ProcessJobContext) -> None:
    def late() -> None:
        OVER.wait()
        try:
            context.log("too late")
        except Exception as error:  # noqa: BLE001 - what it is, is the question
            WORDS.append(str(error))

    THREADS.append(threading.Thread(target=late, daemon=True))
    THREADS[-1].start()


def words_of_the_thread(job: Job[Any]) -> list[str]:
    OVER.set()
    THREADS[-1].join()
    return WORDS


OVER = threading.Event()
THREADS: list[threading.Thread] = []
WORDS: list[str] = []


def paint_in_steps(job: Job[Any]) -> Any:
    for coat in range(job.data):
        yield {"coats": coat + 1}
