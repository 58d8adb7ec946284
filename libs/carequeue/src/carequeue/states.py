"""States: what callers may call them, the keys that hold their jobs, and how many jobs are in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from carequeue.errors import InvalidOption
from carequeue.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from carequeue.store.administration import WireState

State = (
    JobState
    | Literal["waiting", "wait", "prioritized", "delayed", "active", "completed", "failed", "waiting-children"]
)  # fmt: skip
"""A state, or its name; "wait" is BullMQ's other name for "waiting"."""

WIRE_STATES: dict[JobState, tuple[WireState, ...]] = {
    # BullMQ up to 5 parked the jobs of a paused queue in `paused`; they wait like the others, and so do those of groups
    JobState.WAITING: ("wait", "paused", "groups:waiting"),
    JobState.PRIORITIZED: ("prioritized",),
    JobState.DELAYED: ("delayed",),
    JobState.ACTIVE: ("active",),
    JobState.COMPLETED: ("completed",),
    JobState.FAILED: ("failed",),
    JobState.WAITING_CHILDREN: ("waiting-children",),
}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs are in each state. In a paused queue jobs wait as usual, but nobody takes them."""

    waiting: int
    prioritized: int
    delayed: int
    active: int
    completed: int
    failed: int
    waiting_children: int
    paused: bool

    @property
    def pending(self) -> int:
        """What is still to be run, later or now, without what is active."""
        return self.waiting + self.prioritized + self.delayed + self.waiting_children

    @property
    def by_state(self) -> dict[str, int]:
        """The numbers by the names of the states, in BullMQ's order."""
        return {state.value: getattr(self, state.name.lower()) for state in sorted(JobState)}


def job_state(state: State) -> JobState:
    """The state that is meant.

    Raises:
        InvalidOption: there is none of this name.
    """
    try:
        return JobState.WAITING if state == "wait" else JobState(state)
    except ValueError:
        raise InvalidOption(f"there is no state {state!r}; the states are {', '.join(JobState)}") from None


def wire_states(states: State | Iterable[State]) -> Sequence[WireState]:
    """The keys that hold the jobs of these states, none of them twice.

    Raises:
        InvalidOption: there is no such state.
    """
    asked: Iterable[State] = [states] if isinstance(states, str) else states
    return list(dict.fromkeys(wire for state in asked for wire in WIRE_STATES[job_state(state)]))
