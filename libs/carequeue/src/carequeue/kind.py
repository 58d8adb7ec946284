"""JobKind: what the side that adds a job and the side that runs it agree on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, Unpack

from carequeue.errors import InvalidOption
from carequeue.options import UNSAID, JobOptions, JobWords

P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character: Python can hold one alone, UTF-8 cannot."""


@dataclass(frozen=True, init=False)  # no slots: `JobKind[X](…)` would fail, since frozen slots refuse __orig_class__
class JobKind(Generic[P]):
    """A job's name, the type of its data and its default options.

        REMIND = JobKind("remind", Remind, attempts=5)

    `payload_type` is a dataclass, a pydantic model, `dict`, or any JSON type. Two kinds are equal if all of it is.
    """

    name: str
    payload_type: type[P]
    options: JobOptions = field(default=UNSAID)

    def __init__(self, name: str, payload_type: type[P], /, **options: Unpack[JobWords]) -> None:
        check_name(name)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "payload_type", payload_type)
        object.__setattr__(self, "options", JobOptions(**options))

    def job(self, data: P, **options: Unpack[JobWords]) -> NewJob[P]:
        """A job of this kind, ready for `Queue.add_bulk`."""
        said = JobOptions(**options).over(self.options) if options else self.options
        return NewJob(self.name, data, said, self.payload_type)

    def with_id(self, job_id: str, data: P, /, **options: Unpack[JobWords]) -> NewJob[P]:
        """The same with an id of your own."""
        options["job_id"] = job_id
        return self.job(data, **options)


@dataclass(frozen=True)
class NewJob(Generic[P_co]):
    """A job that is not in the queue yet. Without a payload type its data is anything that JSON can carry."""

    name: str
    data: P_co
    options: JobOptions = UNSAID
    payload_type: type[P_co] | None = None


def new_job(kind: JobKind[Any] | str, data: Any, options: JobWords) -> NewJob[Any]:
    """What `Queue.add` and its siblings were asked for, as a value."""
    if isinstance(kind, JobKind):
        return kind.job(data, **options)
    check_name(kind)
    return NewJob(kind, data, JobOptions(**options) if options else UNSAID)


def check_name(name: Any) -> None:
    """Refuse what cannot be a job's name.

    Raises:
        InvalidOption: it is no text, or one that UTF-8 cannot carry.
    """
    if not isinstance(name, str) or SURROGATE.search(name):
        raise InvalidOption(f"a job's name is text, got {name!r}")
