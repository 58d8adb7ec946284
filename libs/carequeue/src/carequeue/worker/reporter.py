"""Once Redis has answered how a job's end was taken: tell the hooks, the telemetry and the log.

Before that nothing is told: a job whose lock went to somebody else was not completed by this worker, whatever its
handler returned.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from carequeue.misfire import MissedRun
from carequeue.wire import codes
from carequeue.worker.outcome import EXPIRED, reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carequeue.job import Job
    from carequeue.worker.outcome import Outcome
    from carequeue.worker.setting import Setting
    from carequeue.worker.slots import Flight

DONE_BEFORE = (codes.MISSING, codes.LOCK_MISSING, codes.WRONG_STATE, codes.LOCK_OF_ANOTHER)
"""Answers to a repeated report that mean: the first one arrived, or the job was taken over in the meantime."""

log: logging.Logger = logging.getLogger("carequeue.worker")


class Reporter:
    """Speaks for one worker."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._hooks = setting.hooks

    def answered(self, flight: Flight, answers: Sequence[int]) -> None:
        """Redis answered these codes to the reports of a flight."""
        for outcome, code in zip(flight.outcomes, answers, strict=True):
            if code >= codes.FINE:
                self._taken(outcome)
                if code == codes.PARENT_BLOCKED:
                    self._blocked(outcome)
            else:
                self._refused(outcome, code, repeated=flight.repeated)

    def gave_up(self, outcomes: Sequence[Outcome], error: Exception) -> None:
        """These reports cannot be sent at all; the stall check will find their jobs."""
        for outcome in outcomes:
            if outcome.trace is not None:
                outcome.trace.settled(type(error).__name__)
            about = self._setting.about(job_id=outcome.job.id, error=type(error).__name__)
            log.error("job.unreported", extra=about)
            self._setting.emit("job.unreported", job_id=outcome.job.id, code=None)
            self._hooks.call("error", error)

    def drained(self) -> None:
        self._setting.emit("worker.drained")
        self._hooks.call("drained")

    def _taken(self, outcome: Outcome) -> None:
        if outcome.trace is not None:
            outcome.trace.settled(None)
        event = f"job.{outcome.kind}"
        if self._setting.telemetry.wanted(event):
            self._setting.emit(event, **self._fields(outcome))
        if outcome.kind == "completed":
            if isinstance(outcome.error, MissedRun):
                self._missed(outcome.job, outcome.error)
            if self._hooks.wanted("completed"):
                self._hooks.call("completed", self._afterwards(outcome), outcome.value)
        elif outcome.kind == "expired":
            log.info("job.expired", extra=self._setting.about(job_id=outcome.job.id))
            self._hooks.call("expired", self._afterwards(outcome))
        elif outcome.finish.value and self._hooks.wanted("failed"):  # a RetryAt, or handing back, gives no reason
            self._hooks.call("failed", self._afterwards(outcome), outcome.error)
        if outcome.finish.dead_letters:
            self._lettered(outcome)

    def _lettered(self, outcome: Outcome) -> None:
        job, queue = outcome.job, outcome.finish.dead_letters
        log.info("job.dead_lettered", extra=self._setting.about(job_id=job.id, letters=queue))
        self._setting.emit("job.dead_lettered", job_id=job.id, name=job.name, letters=queue)

    def _missed(self, job: Job[Any], missed: MissedRun) -> None:
        log.info("scheduler.missed", extra=self._setting.about(job_id=job.id, scheduler_id=job.scheduler_id))
        late = missed.late.total_seconds()
        self._setting.emit("scheduler.missed", job_id=job.id, scheduler_id=job.scheduler_id, late=late)
        self._hooks.call("missed", job, missed.late)

    def _blocked(self, outcome: Outcome) -> None:
        job, parent = outcome.job, outcome.job.parent
        if parent is None:
            return
        log.warning("job.blocked_parent", extra=self._setting.about(job_id=job.id, parent_id=parent.id))
        self._setting.emit("job.blocked_parent", job_id=job.id, parent_id=parent.id)
        self._hooks.call("blocked", self._afterwards(outcome), parent)

    def _refused(self, outcome: Outcome, code: int, *, repeated: bool) -> None:
        expected = repeated and code in DONE_BEFORE
        if outcome.trace is not None:
            outcome.trace.settled(None if expected else type(codes.error_of(code, outcome.job.id)).__name__)
        about = self._setting.about(job_id=outcome.job.id, code=code, repeated=repeated)
        log.log(logging.INFO if expected else logging.WARNING, "job.unreported", extra=about)
        self._setting.emit("job.unreported", job_id=outcome.job.id, code=code)
        if not expected:
            self._hooks.call("error", codes.error_of(code, outcome.job.id))

    def _fields(self, outcome: Outcome) -> dict[str, Any]:
        job = outcome.job
        fields: dict[str, Any] = {"job_id": job.id, "name": job.name}
        if outcome.kind == "expired":
            return fields
        fields["seconds"] = outcome.seconds
        if outcome.kind in ("handed_back", "parked"):
            return fields
        fields["attempt"] = job.attempts_made + 1
        if outcome.error is not None and outcome.kind != "completed":
            fields["error"] = type(outcome.error).__name__
        if outcome.kind == "retrying":
            fields["delay"] = outcome.delay
        return fields

    def _afterwards(self, outcome: Outcome) -> Job[Any]:
        """The job as it is now, so that a hook sees how many attempts were made and whether it is finished."""
        changed: dict[str, str] = {}
        if outcome.kind != "expired":
            changed["atm"] = str(outcome.job.attempts_made + 1)
        if outcome.kind == "completed":
            changed["returnvalue"] = outcome.finish.value
        elif outcome.kind == "expired":
            changed["failedReason"] = EXPIRED
        elif outcome.error is not None:
            changed["failedReason"] = reason_of(outcome.error)
        if outcome.kind in ("completed", "failed", "expired"):
            changed["finishedOn"] = str(self._setting.clock.now_ms())
        return outcome.job.with_fields(changed)
