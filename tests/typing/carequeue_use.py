"""Read by pyright, never run: `# is` tells what it must see at that line, `# error` where it must refuse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, reveal_type

from carequeue import (
    BatchContext,
    Job,
    JobContext,
    JobKind,
    OnceStore,
    ProcessJobContext,
    Queue,
    RedisOnce,
    Repeat,
    Worker,
    once,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Remind:
    occurrence: int


@dataclass(frozen=True, slots=True)
class Send:
    delivery: str


REMIND = JobKind("remind", Remind, attempts=5)
SEND = JobKind("send", Send)
JobKind("send", Send, attempt=5)  # error
worker = Worker("reminders")


async def produce(queue: Queue) -> None:
    job = await queue.add(REMIND, Remind(1), priority=3)
    reveal_type(job.data)  # is Remind
    reveal_type(await queue.get("x", SEND))  # is Job[Send] | None
    reveal_type(await queue.get("x"))  # is Job[Any] | None
    reveal_type(await queue.add("paint", {"colour": "red"}))  # is Job[Any]
    reveal_type(await queue.add_bulk([REMIND.job(Remind(1)), SEND.job(Send("x"))]))  # is list[Job[Remind | Send]]
    reveal_type(await queue.schedule("s", Repeat.every(timedelta(1)), REMIND, Remind(1)))  # is Job[Remind]
    await queue.add(REMIND, Send("x"))  # error
    await queue.add(REMIND, Remind(1), prio=1)  # error
    await queue.add(REMIND, Remind(1), run_at="tomorrow")  # error
    REMIND.with_id("x", Send("x"))  # error


@worker.handles(REMIND)
async def remind(job: Job[Remind]) -> int:
    return job.data.occurrence


@worker.handles(SEND)
async def send(job: Job[Send], context: JobContext) -> None:
    await context.log(job.data.delivery)


@worker.handles(REMIND)  # error
async def wrong(job: Job[Send]) -> None: ...


@worker.handles_batch(REMIND, size=10)
async def remind_all(jobs: list[Job[Remind]], context: BatchContext) -> list[int]:
    return [job.data.occurrence for job in jobs]


@worker.handles_batch(SEND)
def send_all(jobs: Sequence[Job[Send]]) -> None: ...


@worker.handles_batch(SEND)  # error
def wrong_all(jobs: list[Job[Remind]]) -> None: ...


@worker.handles(SEND, run_in="process")
def print_it(job: Job[Send], context: ProcessJobContext) -> None:
    context.log(job.data.delivery)


@worker.handles_others(run_in="process")
def others(job: Job) -> None: ...


@worker.handles(SEND, run_in="cellar")  # error
def nowhere(job: Job[Send]) -> None: ...


async def only_once(job: Job[Send], store: RedisOnce) -> None:
    async def send_it() -> int:
        return 1

    kept: OnceStore = store
    reveal_type(await once(kept, job.data.delivery, send_it, fence=job.fence))  # is int
    await once(kept, job.data.delivery, send_it)  # error


async def any_job(job: Job) -> None:
    reveal_type(job.raw_options["x"])  # is Any
