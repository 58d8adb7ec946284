"""Handlers in child processes: what they get and tell, how they end, and that nothing of them is left behind."""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.integration.carequeue import process_handlers as handlers
from tests.waiting import eventually

from carequeue import (
    AttemptCancelled,
    AttemptTimedOut,
    HandlerError,
    InvalidOption,
    Job,
    JobKind,
    JobState,
    LockLost,
    ProcessDied,
    Queue,
    Worker,
)
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]

SOON = timedelta(milliseconds=50)


@pytest.fixture
def in_process(new_worker: NewWorker) -> NewWorker:
    """A worker whose handler runs in one child process."""

    def make(handler: Callable[..., Any], **options: Any) -> Worker:
        worker = new_worker(**{"processes": 1, **options})
        worker.handles_others(run_in="process")(handler)
        return worker

    return make


async def value_of(queue: Queue, job: Job[Any]) -> Any:
    found = await queue.get(job.id)
    assert found is not None
    assert found.failed_reason is None
    return found.return_value


async def started_in(worker: Worker) -> Any:
    """Starts the worker; what its handler reports as progress when it has begun."""
    progress = Signal("progress")
    worker.on_progress(progress)
    await worker.start()
    [(_, value)] = await progress.wait(timeout=20)
    return value


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


# What a handler gets and tells


async def test_a_process_runs_one_job_after_the_other(queue: Queue, in_process: NewWorker) -> None:
    jobs = [await queue.add("job") for _ in range(3)]
    await drain(in_process(handlers.process_id))
    processes = {await value_of(queue, job) for job in jobs}
    assert len(processes) == 1
    assert os.getpid() not in processes
    assert is_gone(processes.pop())


async def test_no_more_processes_run_than_the_options_say(queue: Queue, in_process: NewWorker) -> None:
    jobs = [await queue.add("job") for _ in range(20)]
    await drain(in_process(handlers.process_id, concurrency=10, processes=2))
    assert len({await value_of(queue, job) for job in jobs}) <= 2


async def test_a_process_is_replaced_after_as_many_jobs_as_the_options_say(queue: Queue, in_process: NewWorker) -> None:
    jobs = [await queue.add("job") for _ in range(4)]
    await drain(in_process(handlers.process_id, jobs_per_process=2))
    first, second, third, fourth = [await value_of(queue, job) for job in jobs]
    assert first == second != third == fourth


async def test_data_is_typed_and_what_is_returned_is_stored_as_json(queue: Queue, new_worker: NewWorker) -> None:
    kind, done = JobKind("area", handlers.Picture), Signal("done")
    worker = new_worker()
    worker.handles(kind, run_in="process")(handlers.area)
    worker.on_completed(done)
    job = await queue.add(kind, handlers.Picture(3, 4))
    await drain(worker)
    assert await value_of(queue, job) == {"width": 12, "height": 1}
    assert done.calls[0][1] == {"width": 12, "height": 1}


async def test_the_context_reports_progress_and_logs(queue: Queue, in_process: NewWorker) -> None:
    progress = Signal("progress")
    job = await queue.add("job", attempts=2)
    worker = in_process(handlers.report)
    worker.on_progress(progress)
    await drain(worker)
    expected = {"about": [job.id, 1, True], "rows": [1, 2], "job": ["job", queue.name]}
    assert await value_of(queue, job) == expected
    assert [value for _, value in progress.calls] == [{"page": 1}]
    assert await queue.logs(job.id) == ["first", "second"]


async def test_the_context_knows_what_the_children_returned(
    queue: Queue, in_process: NewWorker, pages: Queue, redis_url: str
) -> None:
    parent = await queue.add("book")
    worker = in_process(handlers.sum_of_children)
    worker.pause()
    for number in (3, 4):
        await pages.add("page", number, parent=queue.parent_ref(parent.id))
    await drain(Worker(pages.name, redis_url, lambda job: job.data))
    worker.resume()
    await drain(worker)
    assert await value_of(queue, parent) == 7


async def test_an_error_of_the_context_is_raised_where_it_was_called(queue: Queue, in_process: NewWorker) -> None:
    job = await queue.add("job")
    await drain(in_process(handlers.log_into_nothing))
    assert (await value_of(queue, job)) != "no error"


async def test_a_thread_that_outlives_its_handler_tells_nothing_more(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker(processes=1)
    worker.handles("leave", run_in="process")(handlers.leave_a_thread_behind)
    worker.handles("look", run_in="process")(handlers.words_of_the_thread)
    first = await queue.add("leave")
    second = await queue.add("look")
    await drain(worker)
    assert await value_of(queue, second) == ["this attempt is over"]
    assert await queue.logs(first.id) == []


async def test_nothing_that_was_printed_is_lost(
    queue: Queue, in_process: NewWorker, capfd: pytest.CaptureFixture[str]
) -> None:
    await queue.add("job", "kill")
    await drain(in_process(handlers.die))
    assert "last words\n" in capfd.readouterr().out


# What it raises


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        ("plain", ValueError, "no paper"),
        ("own", handlers.OutOfPaper, "7"),
        ("unsendable", HandlerError, "NoInk: no red ink, 3 ml left"),
        ("exit", HandlerError, "SystemExit: enough"),
        ("cancelled", HandlerError, "CancelledError"),
    ],
)
async def test_an_error_comes_back_with_its_type_its_text_and_its_traceback(
    queue: Queue, in_process: NewWorker, data: str, kind: type[Exception], reason: str
) -> None:
    failed = Signal("failed")
    worker = in_process(handlers.raise_it)
    worker.on_failed(failed)
    job = await queue.add("job", data)
    await drain(worker)
    [(_, error)] = failed.calls
    assert type(error) is kind
    found = await queue.get(job.id)
    assert found is not None
    assert found.failed_reason == reason
    assert "process_handlers.py" in found.stacktrace[0]
    assert "in raise_it" in found.stacktrace[0]


@pytest.mark.parametrize(
    ("data", "state", "reason", "value"),
    [
        ("too_early", JobState.DELAYED, None, None),
        ("unrecoverable", JobState.FAILED, "never", None),
        ("skip", JobState.COMPLETED, None, {"skipped": "nothing to do"}),
        ("retry_at", JobState.DELAYED, None, None),
        ("own_retry_at", JobState.DELAYED, None, None),
        ("rate_limited", JobState.WAITING, None, None),
    ],
)
async def test_instructions_are_followed(
    queue: Queue, in_process: NewWorker, data: str, state: JobState, reason: str | None, value: object
) -> None:
    job = await queue.add("job", data, attempts=3)
    await drain(in_process(handlers.raise_it))
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.failed_reason, found.return_value) == (state, reason, value)
    assert found.attempts_made == (0 if data in ("too_early", "rate_limited") else 1)


async def test_a_child_may_slow_down_the_group_of_its_job(queue: Queue, in_process: NewWorker) -> None:
    await queue.add("job", "group_limited", group="a")
    await drain(in_process(handlers.raise_it))
    assert (await queue.get_group("a")).limited_for > timedelta(minutes=50)
    assert await queue.rate_limit_ttl() == timedelta(0)


async def test_a_job_waits_for_its_children_if_its_process_says_so(
    queue: Queue, in_process: NewWorker, pages: Queue
) -> None:
    parent = await queue.add("job", "wait_for_children")
    await pages.add("page", parent=queue.parent_ref(parent.id))
    await drain(in_process(handlers.raise_it))
    assert await queue.state(parent.id) == JobState.WAITING_CHILDREN


async def test_returned_values_are_treated_as_those_of_other_handlers(queue: Queue, in_process: NewWorker) -> None:
    jobs = {name: await queue.add("job", name, attempts=3) for name in ("skip", "unstorable", "nothing")}
    await drain(in_process(handlers.return_it))
    assert await value_of(queue, jobs["skip"]) == {"skipped": "nothing to do"}
    assert await value_of(queue, jobs["nothing"]) is None
    unstorable = await queue.get(jobs["unstorable"].id)
    assert unstorable is not None
    assert unstorable.attempts_made == 1
    assert "cannot be stored as JSON" in (unstorable.failed_reason or "")


# How it ends


@pytest.mark.parametrize(
    ("data", "how"),
    [
        ("exit", "ended by itself with exit code 3"),
        ("kill", "was killed by SIGKILL"),
        ("segfault", "was killed by SIGSEGV"),
    ],
)
async def test_a_process_that_dies_is_an_attempt_that_failed_and_another_process_goes_on(
    queue: Queue, new_worker: NewWorker, data: str, how: str
) -> None:
    failed = Signal("failed")
    worker = new_worker(processes=1)
    worker.handles("die", run_in="process")(handlers.die)
    worker.handles("id", run_in="process")(handlers.process_id)
    worker.on_failed(failed)
    await queue.add("die", data)
    after = await queue.add("id")
    await drain(worker)
    [(_, error)] = failed.calls
    assert isinstance(error, ProcessDied)
    assert str(error) == f"the process of the handler {how}"
    assert await value_of(queue, after)


async def test_an_idle_process_that_was_killed_costs_no_job(queue: Queue, in_process: NewWorker) -> None:
    done = Signal("done")
    async with in_process(handlers.process_id) as worker:
        worker.on_completed(lambda job, value: done(value))
        await queue.add("job")
        [(first,)] = await done.wait()
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: is_gone(first), "the process is gone")
        await queue.add("job")
        _, (second,) = await done.wait(2)
    assert second != first


@pytest.mark.parametrize("handler", [handlers.hang, handlers.hang_deaf, handlers.hang_in_c])
async def test_at_its_timeout_a_handler_is_ended_whatever_it_does(
    queue: Queue, in_process: NewWorker, handler: Callable[..., Any]
) -> None:
    failed = Signal("failed")
    job = await queue.add("job", timeout=timedelta(milliseconds=200))
    worker = in_process(handler, cancel_grace=timedelta(milliseconds=300))
    worker.on_failed(failed)
    pid = await started_in(worker)
    [(_, error)] = await failed.wait()
    assert isinstance(error, AttemptTimedOut)
    await eventually(lambda: is_gone(pid), "the process is gone")
    cleaned_up = {handlers.hang: ["cleaned up"], handlers.hang_deaf: ["not yet"], handlers.hang_in_c: []}
    assert await queue.logs(job.id) == cleaned_up[handler]
    await worker.close()


async def test_what_an_interrupted_handler_returns_counts(queue: Queue, in_process: NewWorker) -> None:
    job = await queue.add("job", timeout=timedelta(milliseconds=200))
    await drain(in_process(handlers.finish_all_the_same))
    assert await value_of(queue, job) == "saved, cancelled: True"


async def test_the_programs_that_a_killed_handler_started_end_with_it(queue: Queue, in_process: NewWorker) -> None:
    failed = Signal("failed")
    await queue.add("job", timeout=timedelta(milliseconds=200))
    worker = in_process(handlers.hang_with_a_program, cancel_grace=timedelta(0))
    worker.on_failed(failed)
    pids = await started_in(worker)
    await failed.wait()
    await eventually(lambda: all(map(is_gone, pids)), "both are gone")
    await worker.close()


async def test_a_cancelled_job_ends_its_process(queue: Queue, in_process: NewWorker) -> None:
    failed = Signal("failed")
    job = await queue.add("job")
    worker = in_process(handlers.hang)
    worker.on_failed(failed)
    pid = await started_in(worker)
    assert worker.cancel_job(job.id, "not today")
    [(_, error)] = await failed.wait()
    assert isinstance(error, AttemptCancelled)
    await eventually(lambda: is_gone(pid), "the process is gone")
    await worker.close()


async def test_a_lost_lock_ends_the_process_and_nothing_is_reported(
    queue: Queue, in_process: NewWorker, redis: Redis
) -> None:
    errors, failed = Signal("errors"), Signal("failed")
    job = await queue.add("job")
    locks: dict[str, Any] = {"lock_duration": timedelta(milliseconds=400), "skip_stalled_check": True}
    worker = in_process(handlers.hang_deaf, cancel_grace=SOON, **locks)
    worker.on_error(errors)
    worker.on_failed(failed)
    pid = await started_in(worker)
    await redis.set(queue.keys.lock(job.id), "another:1")
    [(error,)] = await errors.wait()
    assert isinstance(error, LockLost)
    await eventually(lambda: is_gone(pid), "the process is gone")
    assert not failed.calls
    assert await queue.state(job.id) == JobState.ACTIVE
    await worker.close()


@pytest.mark.parametrize("handler", [handlers.hang, handlers.hang_deaf])
async def test_a_closing_worker_ends_its_processes_and_hands_their_jobs_back(
    queue: Queue, in_process: NewWorker, handler: Callable[..., Any]
) -> None:
    job = await queue.add("job", attempts=1)
    worker = in_process(handler, cancel_grace=SOON)
    pid = await started_in(worker)
    await worker.close(grace=timedelta(0))
    assert is_gone(pid)
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.attempts_made) == (JobState.WAITING, 0)


async def test_stop_signals_that_reach_a_process_do_not_disturb_its_handler(
    queue: Queue, in_process: NewWorker
) -> None:
    """A service manager sends SIGTERM to every process of a service: the worker alone decides what it means."""
    done = Signal("done")
    await queue.add("job", {"rows": 2000})
    worker = in_process(handlers.wait_for_logs)
    worker.on_completed(lambda job, value: done(value))
    pid = await started_in(worker)
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    assert await done.wait() == [("done",)]
    await worker.close()


async def test_importing_the_handler_is_not_counted_by_the_timeout(
    queue: Queue, in_process: NewWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_handlers.py").write_text(
        "import time\n\ntime.sleep(0.5)\n\n\ndef handle(job):\n    return 'done'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    slow_handlers = importlib.import_module("slow_handlers")

    job = await queue.add("job", timeout=timedelta(milliseconds=300))
    await drain(in_process(slow_handlers.handle))
    assert await value_of(queue, job) == "done"


# Which handlers can run in a process


def nested() -> Callable[[Job[Any]], None]:
    def handle(job: Job[Any]) -> None: ...

    return handle


class Handlers:
    def handle(self, job: Job[Any]) -> None: ...


async def coroutine(job: Job[Any]) -> None: ...


def in_the_main_program(job: Job[Any]) -> None: ...


in_the_main_program.__module__ = "__main__"  # of pytest, which cannot be imported a second time


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (lambda job: None, "lambda"),
        (nested(), "top of its module"),
        (Handlers().handle, "top of its module"),
        (functools.partial(handlers.process_id), "is a function"),
        (coroutine, "coroutine function"),
        (in_the_main_program, "move the handler"),
    ],
)
def test_a_handler_that_no_process_could_find_is_refused(
    new_worker: NewWorker, handler: Callable[..., Any], why: str
) -> None:
    with pytest.raises(InvalidOption, match=why):
        new_worker().handles("job", run_in="process")(handler)


def test_data_of_a_type_that_no_process_could_find_is_refused(new_worker: NewWorker) -> None:
    @dataclass
    class Local:
        n: int

    with pytest.raises(InvalidOption, match="has to be importable"):
        new_worker().handles(JobKind("job", Local), run_in="process")(handlers.process_id)


def test_a_place_that_does_not_exist_is_refused(new_worker: NewWorker) -> None:
    with pytest.raises(InvalidOption, match="run_in is 'process'"):
        new_worker().handles("job", run_in=cast("Any", "cellar"))


PROGRAM = """
    import asyncio, sys
    from dataclasses import dataclass
    from carequeue import JobKind, Queue, Worker
    from carequeue.testing import drain

    @dataclass
    class Picture:
        width: int

    class TooWide(Exception): ...

    PICTURE = JobKind("picture", Picture)
    worker = Worker(sys.argv[-2], sys.argv[-1])

    @worker.handles(PICTURE, run_in="process")
    def look(job):
        assert type(job.data) is Picture
        raise TooWide(job.data.width)

    @worker.on_failed
    def failed(job, error):
        print(type(error) is TooWide, error, flush=True)

    async def main():
        {first}
        async with Queue(worker.queue, worker.connection) as queue:
            await queue.add(PICTURE, Picture(7))
        await drain(worker)

    if {guard}:
        asyncio.run(main())
"""


@pytest.mark.parametrize("how", [["my_program.py"], ["-m", "my_program"]])
async def test_the_running_program_is_imported_under_its_own_name(
    queue: Queue, redis_url: str, tmp_path: Path, how: list[str]
) -> None:
    (tmp_path / "my_program.py").write_text(textwrap.dedent(PROGRAM.format(guard="__name__ == '__main__'", first="")))
    with program([*how, queue.name, redis_url], tmp_path) as process:
        assert process.communicate(timeout=30)[0] == "True 7\n"


@pytest.mark.parametrize(
    ("guard", "first"),
    [("True", ""), ("True", "if __name__ != '__main__': return await worker.start()")],
    ids=["at registration", "when its worker starts"],
)
async def test_a_program_that_would_start_its_worker_again_is_told(
    queue: Queue, redis_url: str, tmp_path: Path, guard: str, first: str
) -> None:
    (tmp_path / "my_program.py").write_text(textwrap.dedent(PROGRAM.format(guard=guard, first=first)))
    with program(["my_program.py", queue.name, redis_url], tmp_path) as process:
        assert "put what starts it under" in process.communicate(timeout=30)[0]


async def test_a_killed_worker_leaves_no_process_behind(queue: Queue, redis_url: str) -> None:
    text = """
        import asyncio, sys
        from carequeue import Worker
        from tests.integration.carequeue import process_handlers as handlers

        worker = Worker(sys.argv[1], sys.argv[2], concurrency=4, processes=4)
        worker.handles("hang_in_c", run_in="process")(handlers.hang_in_c)
        worker.handles("hang", run_in="process")(handlers.hang_deaf)
        worker.handles("program", run_in="process")(handlers.hang_with_a_program)
        worker.handles("idle", run_in="process")(handlers.process_id)
        worker.on_progress(lambda job, value: print(*(value if isinstance(value, list) else [value]), flush=True))
        worker.on_completed(lambda job, value: print(value, flush=True))
        asyncio.run(worker.run())
    """
    for name in ("hang", "hang_in_c", "program", "idle"):
        await queue.add(name)
    root = Path(__file__).parents[3]
    with program(["-c", textwrap.dedent(text), queue.name, redis_url], root) as process:
        assert process.stdout is not None
        lines = [await asyncio.to_thread(process.stdout.readline) for _ in range(4)]
        pids = [int(pid) for line in lines for pid in line.split()]
        assert len(pids) == 5
        assert not any(map(is_gone, pids))
        process.kill()
        await eventually(lambda: all(map(is_gone, pids)), "all are gone")


@contextmanager
def program(arguments: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()
