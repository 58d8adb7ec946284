"""JobKind: what the side that adds a job and the side that runs it agree on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from carequeue.options import JobOptions

P = TypeVar("P")


@dataclass(frozen=True, slots=True, init=False)
class JobKind(Generic[P]):
    """A job's name, the type of its data and its default options.

        REMIND = JobKind("remind", Remind, attempts=5)

    `payload_type` is a dataclass, a pydantic model, `dict`, or any JSON type.
    """

    name: str
    payload_type: type[P]
    options: JobOptions = field(default_factory=JobOptions)

    def __init__(self, name: str, payload_type: type[P], /, **options: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "payload_type", payload_type)
        object.__setattr__(self, "options", JobOptions(**options))

    def job(self, data: P, **options: Any) -> NewJob[P]:
        """A job of this kind, ready for `Queue.add_bulk`."""
        return NewJob(self.name, data, JobOptions(**options).over(self.options), self.payload_type)

    def with_id(self, job_id: str, data: P, **options: Any) -> NewJob[P]:
        """The same with an id of your own."""
        return self.job(data, job_id=job_id, **options)


@dataclass(frozen=True, slots=True)
class NewJob(Generic[P]):
    """A job that is not in the queue yet."""

    name: str
    data: P
    options: JobOptions = field(default_factory=JobOptions)
    payload_type: type[P] | None = None
