"""Where carequeue differs from BullMQ on purpose. Anything else that differs is a mistake.

A test of its own makes sure that no row of this table has become idle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Pair = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """A place in the dumps of some cases (both patterns match as a whole), and why it may differ."""

    cases: str
    place: str
    reason: str
    always: bool = True
    """Whether it shows in every run, or is a matter of chance."""
    within: int | None = None
    """Both are numbers that differ by so much at the most."""

    def explains(self, case: str, place: str, pair: Pair) -> bool:
        if not (re.fullmatch(self.cases, case) and re.fullmatch(self.place, place)):
            return False
        return self.within is None or abs(int(pair[0] or 0) - int(pair[1] or 0)) <= self.within


DIFFERENCES = [
    Difference(
        "add_priority_below_none", ".*", "a priority below none is a mistake of the caller; BullMQ runs the job first"
    ),
    Difference("add_delay_negative", ".*", "a negative delay is a mistake of the caller; BullMQ makes it 'now'"),
    Difference("promote_all", "/j./delay", "BullMQ leaves the delay in the hash of a job that is no longer delayed"),
    Difference("remove_a_job_that_is_held", r"answer 2 .*", "we say why, by an error; BullMQ answers 0"),
    Difference(
        "remove_from_every_state",
        r"answer 15 .*",
        "of a job that is not there BullMQ says that it was removed",
    ),
    Difference("obliterate_what_is_not_paused", ".*", "BullMQ pauses the queue by itself; we ask to be sure"),
    Difference("obliterate_with_a_job_that_is_held", "/events", "BullMQ pauses once more, and says so"),
    Difference(
        "stalled_priority", "/(wait|prioritized)|answer 3 .*", "a stalled job keeps its priority; in BullMQ it loses it"
    ),
    *[
        Difference(cases, r"/\w+/delay", "counted from another millisecond", always=False, within=1000)
        for cases in ("delayed_by_hand.*", "fail_and_try_again_later", "walk_.*")
    ],
    Difference("walk_.*", r"answer \d+ \(remove\)", "as above: a job that is held, or not there", always=False),
    Difference("walk_.*", "/marker", "we also say when the next job is due, after more of the steps", always=False),
    Difference(
        "limit_rate_by_hand_is_kept_without_a_limit",
        ".*",
        "a rate limit set by hand holds; BullMQ's workers see it only if there is another limit",
    ),
    Difference("orphans_removed", "/de:d", "a lost job no longer keeps others out; in BullMQ it does for ever"),
    Difference("events_trimmed", "/events", "we trim to the number that is said, BullMQ to about that many"),
    Difference("metrics.*", "/marker", "as in work_.*", always=False),
    Difference("work_.*", "/marker", "a hint; a worker may have taken the last one before it closed", always=False),
    Difference(
        "work_a_schedule_to_its_limit", "/repeat(:s)?", "a scheduler that has ended is gone; in BullMQ it stays listed"
    ),
    *[
        Difference(case, "/events", "we say that a parent waits for a child that failed")
        for case in (
            "flow_child_fails_and_nobody_said",
            "flow_child_that_failed_retried",
            "remove_unprocessed_children",
        )
    ],
    Difference(
        "flow_takes_a_child_of_another", ".*", "we add all of a flow or nothing; BullMQ adds it without the child"
    ),
    *[
        Difference(case, r"answer \d \(leave_parent\)", "to have no parent is an answer; in BullMQ an error")
        for case in ("leave_no_parent", "leave_the_parent")
    ],
    Difference(
        "schedule_cron_without_a_zone",
        ".*/tz",
        "without a zone we mean UTC and say it; BullMQ means the zone of whichever process computes the next run",
    ),
]


def unexplained(case: str, found: dict[str, Pair]) -> dict[str, Pair]:
    return {
        place: pair
        for place, pair in found.items()
        if not any(difference.explains(case, place, pair) for difference in DIFFERENCES)
    }
