"""HeldJob: a job that was taken by hand, and the ways in which it may end. `ManualWorker` takes them."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from carequeue.backoff import reconnect_delay
from carequeue.children import Children
from carequeue.ending import end
from carequeue.errors import ConnectionLost, Instruction, InvalidOption, JobError, LockLost, Unrecoverable
from carequeue.job import JobState
from carequeue.store.commands import Step
from carequeue.wire.codec import encode_data
from carequeue.wire.codes import PENDING_CHILDREN, error_of
from carequeue.wire.times import span_ms
from carequeue.worker.outcome import Attempt, expired, handed_back, postponed, raised, returned

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from types import TracebackType
    from typing import Self

    from carequeue.clock import Clock
    from carequeue.job import Job
    from carequeue.store.commands import Commands
    from carequeue.worker.outcome import Outcome, Rules
    from carequeue.worker.terms import Terms

P_co = TypeVar("P_co", covariant=True)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Bench:
    """What the jobs of one ManualWorker have in common: where they are reported, and by which rules they end."""

    commands: Commands
    terms: Terms
    rules: Rules
    clock: Clock


class HeldJob(Generic[P_co]):
    """A job whose lock is yours until one of the methods below lets it go, or the lock runs out.

        async with held:                       # renews the lock meanwhile
            await held.complete(work(held.job.data))

    As a context manager it renews the lock, and ends the job if nothing inside did: completed without a value; as an
    Instruction says; failed or tried again for any other error, which goes on; handed back if the task is cancelled.
    If the lock is lost meanwhile the block is cancelled and LockLost raised. Without it `extend_lock` is yours to call.

    Every method that ends the job raises LockLost or JobNotFound if it is not yours any more, WrongState if children of
    it are pending, and ConnectionLost if no answer came: then call it again. LockLost after that may mean that the
    first call arrived.
    """

    __slots__ = ("_bench", "_ended", "_job", "_leash", "_lost", "_renewing", "_token", "_unanswered")

    def __init__(self, job: Job[P_co], token: str, bench: Bench) -> None:
        self._job = job
        self._token = token
        self._bench = bench
        self._ended = False
        self._lost = False
        self._unanswered: Outcome | None = None
        self._leash: asyncio.Timeout | None = None
        self._renewing: asyncio.Task[None] | None = None

    @property
    def job(self) -> Job[P_co]:
        """The job as it was when it was taken."""
        return self._job

    @property
    def id(self) -> str:
        """The job's id."""
        return self._job.id

    @property
    def token(self) -> str:
        """What the lock holds: with it another process can go on, see `ManualWorker.held`."""
        return self._token

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._job.attempts_made + 1

    @property
    def ended(self) -> bool:
        """Whether the job is no longer yours."""
        return self._ended

    @property
    def children(self) -> Children:
        """What the job's children came to."""
        return Children(self._bench.commands.client, self._bench.commands.keys, self.id)

    def typed(self, payload_type: type[R]) -> HeldJob[R]:
        """The same with its data read as `payload_type`. Go on with this one only.

        Raises:
            PayloadError: the data does not fit.
        """
        held = HeldJob(self._job.typed(payload_type), self._token, self._bench)
        _ = held.job.data
        return held

    # How it ends

    async def complete(self, value: Any = None) -> None:
        """The work is done; `value` is anything that JSON can carry. A value that it cannot carry fails the job."""
        await self._end(returned(self._attempt(), value, self._bench.rules))

    async def fail(self, error: BaseException | str, *, for_good: bool = False) -> JobState:
        """The attempt failed: the job is tried again as its options say, or has failed. Returns where it is now.

        `for_good`: it has failed, whatever attempts are left.
        """
        problem = RuntimeError(error) if isinstance(error, str) else error
        if for_good and not isinstance(problem, Unrecoverable):
            told = Unrecoverable(str(problem) or type(problem).__name__)
            told.__cause__ = problem
            problem = told
        outcome = raised(self._attempt(), problem, self._bench.rules)
        await self._end(outcome)
        match outcome.finish.verdict:
            case "completed":
                return JobState.COMPLETED
            case "failed":
                return JobState.FAILED
            case "delayed":
                return JobState.DELAYED
            case _:
                return JobState.PRIORITIZED if self._job.priority else JobState.WAITING

    async def move_to_delayed(self, when: datetime) -> None:
        """Let it run again at `when` (aware); this was no attempt.

        Raises:
            InvalidOption: `when` is naive.
            LockLost: it is not yours any more.
        """
        if when.tzinfo is None:
            raise InvalidOption(f"a job is delayed to an aware datetime, got the naive {when.isoformat()}")
        await self._end(postponed(self._attempt(), when))

    async def move_to_wait(self, *, rate_limit: timedelta | None = None) -> None:
        """Hand it back: it waits at the front, this was no attempt.

        With a `rate_limit` nothing of the queue starts for so long.
        """
        outcome = handed_back(self._attempt())
        if rate_limit is not None:
            due = self._bench.clock.now_ms() + span_ms(rate_limit)
            outcome = replace(outcome, finish=replace(outcome.finish, due_ms=due))
        await self._end(outcome)

    async def move_to_waiting_children(self) -> bool:
        """Let it run again, from its start, when no child is pending. False: none is, and the job is still yours."""
        counts = await self.children.counts()
        if not counts.pending and not counts.failed:
            return False
        finish = replace(handed_back(self._attempt()).finish, verdict="children")
        await self._end(replace(handed_back(self._attempt()), kind="parked", finish=finish))
        return True

    async def extend_lock(self, duration: timedelta | None = None) -> None:
        """Let the lock last for `duration` from now; None: the worker's `lock_duration`.

        Raises:
            InvalidOption: a duration of nothing, or less.
            LockLost: it is not yours any more.
        """
        span = self._bench.terms.lock_ms if duration is None else span_ms(duration)
        if span <= 0:
            raise InvalidOption(f"a lock lasts longer than nothing, got {duration}")
        if await self._bench.commands.extend_locks([(self.id, self._token)], span):
            self._lost = self._ended = True
            raise LockLost(self.id)

    async def expire(self) -> None:
        """Its time was over when it was taken: it fails without an attempt, as what expires does everywhere."""
        await self._end(expired(self._attempt(), self._bench.rules))

    # What it tells meanwhile

    async def update_progress(self, value: Any) -> None:
        """Store how far the job is (any JSON value) and tell the events."""
        await self._bench.commands.update_progress(self.id, encode_data(None, value))

    async def update_data(self, data: Any) -> None:
        """Replace the job's data, for whoever takes it next: `held.job` stays what it is.

        Raises:
            PayloadError: JSON cannot carry it.
            LockLost: it is not yours any more; nothing was changed.
        """
        await self._bench.commands.update_data(self.id, encode_data(None, data), self._token)

    async def log(self, row: str) -> int:
        """Add a row to the job's log; returns how many rows there are."""
        keep = self._job.raw_options.get("kl")
        return await self._bench.commands.add_log(self.id, row, keep if isinstance(keep, int) else 0)

    async def __aenter__(self) -> Self:
        if self._leash is not None:
            raise InvalidOption("a held job is used in one `async with` only")
        self._leash = asyncio.timeout(None)
        await self._leash.__aenter__()
        self._renewing = asyncio.create_task(self._renew(self._leash), name=f"carequeue:hold:{self.id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            await self._let_off(kind, error, trace)
            return await self._end_as_left(error)
        finally:
            if self._renewing is not None:
                await end([self._renewing])

    def __repr__(self) -> str:
        return f"<HeldJob {self._job!r}>"

    # Inside

    def _attempt(self) -> Attempt:
        if self._ended:
            raise LockLost(self.id, "it was let go of already")
        return Attempt(self._job, self._token, self._bench.clock.now_ms())

    async def _end(self, outcome: Outcome) -> None:
        bench, terms = self._bench, self._bench.terms
        self._unanswered = outcome
        reply = await bench.commands.step(
            Step(
                [outcome.finish],
                fetch=0,
                now=bench.clock.now_ms(),
                token_prefix=terms.token_prefix,
                token_from=0,
                lock_ms=terms.lock_ms,
                metrics_points=terms.metrics_points,
            )
        )
        self._unanswered = None
        [code] = reply.codes
        self._ended = code != PENDING_CHILDREN
        if code < 0:
            raise error_of(code, self.id)

    async def _let_off(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the leash: if it was pulled, what happened is that the lock was lost."""
        leash = self._leash
        if leash is None:
            return
        try:
            await leash.__aexit__(kind, error, trace)
        except TimeoutError:
            raise LockLost(self.id) from None

    async def _end_as_left(self, error: BaseException | None) -> bool:
        """End the job if the block did not; answers whether the error goes no further."""
        if self._ended:
            if self._lost and error is None:
                raise LockLost(self.id)
            return False
        if self._unanswered is not None:
            await self._repeat(self._unanswered)
            return isinstance(error, ConnectionLost)
        if error is None:
            await self._repeat(returned(self._attempt(), None, self._bench.rules))
            return False
        if isinstance(error, Exception):
            await self._repeat(raised(self._attempt(), error, self._bench.rules))
            return isinstance(error, Instruction)
        with suppress(ConnectionLost, JobError):  # it is about the task that ends; the stall check finds the job
            await self._end(handed_back(self._attempt()))
        return False

    async def _repeat(self, outcome: Outcome) -> None:
        """Report until Redis answers, or the lock must have run out. Once a report may have arrived, a refusal says
        nothing new."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._bench.terms.lock_ms / 1000
        failures = 0 if self._unanswered is None else 1
        while True:
            try:
                await self._end(outcome)
            except ConnectionLost:
                failures += 1
                if loop.time() >= until:
                    raise
                await asyncio.sleep(reconnect_delay(failures, random=random.random))
            except JobError:
                if not failures or not self._ended:
                    raise
                return
            else:
                return

    async def _renew(self, leash: asyncio.Timeout) -> None:
        while not self._ended:
            await asyncio.sleep(self._bench.terms.lock_check)
            try:
                if not self._ended:
                    await self.extend_lock()
            except LockLost:
                leash.reschedule(asyncio.get_running_loop().time())
            except ConnectionLost:
                continue  # Redis decides about the lock when it is back
