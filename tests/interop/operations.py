"""What the differential test does to a queue, as data: the same lists run through Node's BullMQ and through carequeue.

An operation is a verb and its arguments, with options in BullMQ's own words; the drivers know each verb for their side.
Ids that the queue counts are "1", "2", … on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Operation = tuple[Any, ...]

LONG_AGO = 1_600_000_000_000  # a timestamp of a test's own: compared exactly
HOUR = 3_600_000
DAYS = 24 * HOUR
FAR = (datetime.now(UTC).month + 5) % 12 + 1
"""A month half a year away, so that a yearly pattern never comes near while the tests run."""
YEARLY = f"0 8 1 {FAR} *"
YEARLY_TOO = f"30 8 2 {FAR} *"


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    operations: tuple[Operation, ...]


def case(name: str, *operations: Operation) -> Case:
    return Case(name, operations)


def add(job_id: str, data: Any = None, **options: Any) -> Operation:
    return ("add", "paint", data, {"jobId": job_id, **options})


ADDING = [
    case("add_counts_ids", ("add", "paint", {"colour": "red"}, {}), ("add", "paint", None, {}), ("counts",)),
    case("add_empty_data", ("add", "paint", {}, {})),
    case("add_plain_data", ("add", "paint", "null", {}), ("add", "paint", [], {}), ("add", "paint", 0, {})),
    case(
        "add_data_of_every_kind",
        ("add", "paint", {"t": 'é ☃ 𝄞 " \\ / \n \u2028 \u0001', "n": [1, 1.5, -0.25, 1e21, 1e-7, 123456789012345]}, {}),
        ("add", "paint", {"deep": {"a": [[], {}, [None, True, False]]}, "": "empty name"}, {}),
    ),
    case("add_odd_names", ("add", "", {}, {}), ("add", "with: colon", {}, {}), ("add", "\u00fcml\u00e4ut", {}, {})),
    case("add_custom_id", add("a", {"n": 1}), add("b"), ("exists", "a", "b", "c")),
    case("add_same_id_twice", add("a", {"n": 1}), add("a", {"n": 2}), ("counts",)),
    case("add_id_of_three_parts", add("x:y:z")),
    case("add_ids_that_are_refused", add("7"), add("a:b"), add("0"), add("0:1"), ("counts",)),
    case("add_timestamp", add("a", timestamp=LONG_AGO)),
    case("add_attempts_and_backoff", add("a", attempts=3, backoff={"type": "exponential", "delay": 1000})),
    case("add_backoff_as_number", add("a", attempts=3, backoff=500)),
    case("add_backoff_jitter", add("a", attempts=3, backoff={"type": "fixed", "delay": 1000, "jitter": 0.5})),
    case(
        "add_keep_rules",
        add("a", removeOnComplete=True, removeOnFail=False),
        add("b", removeOnComplete=10, removeOnFail={"age": 3600, "count": 5}),
        add("c", removeOnComplete={"age": 60, "limit": 10}),
    ),
    case("add_small_options", add("a", keepLogs=5, stackTraceLimit=2, sizeLimit=1000)),
    case("add_beyond_the_size_limit", add("a", {"text": "long enough"}, sizeLimit=5), ("counts",)),
    case("add_lifo", add("a"), add("b", lifo=True), add("c", lifo=True), ("jobs", "waiting")),
    case("add_priority", add("a", priority=5), add("b", priority=1), add("c", priority=5), ("jobs", "prioritized")),
    case("add_priority_below_none", add("a", priority=-1)),
    case("add_priority_zero_waits", add("a", priority=0), ("counts",)),
    case("add_priority_bounds", add("a", priority=2097151), add("b", priority=2097152), ("counts",)),
    case("add_delay", add("a", delay=HOUR), ("counts",), ("jobs", "delayed")),
    case(
        "add_delays_in_one_millisecond",
        *[add(f"j{n}", delay=HOUR, timestamp=LONG_AGO) for n in range(5)],
        ("jobs", "delayed"),
    ),
    case("add_delay_and_priority", add("a", delay=HOUR, priority=3), add("b", delay=HOUR, lifo=True)),
    case("add_delay_negative", add("a", delay=-5), ("counts",)),
    case("add_with_a_parent_that_is_not_there", ("add", "paint", {}, {"parent": {"id": "p", "queue": "bull:none"}})),
    case(
        "add_bulk_of_every_kind",
        (
            "add_bulk",
            [
                ("paint", {"n": 1}, {}),
                ("paint", {"n": 2}, {"jobId": "b", "priority": 2}),
                ("paint", {"n": 3}, {"delay": HOUR, "timestamp": LONG_AGO}),
                ("paint", {"n": 4}, {"delay": HOUR, "timestamp": LONG_AGO}),
                ("paint", {"n": 5}, {"lifo": True}),
                ("paint", {"n": 6}, {"jobId": "b"}),
                ("dry", {"n": 7}, {"attempts": 2}),
            ],
        ),
        ("counts",),
    ),
    case("add_bulk_of_none", ("add_bulk", [])),
    case("add_bulk_with_one_refused", ("add_bulk", [("paint", {}, {}), ("paint", {}, {"jobId": "7"})]), ("counts",)),
    case("add_to_a_paused_queue", ("pause",), add("a"), add("b", priority=1), add("c", delay=HOUR), ("counts",)),
]

TAKING = [
    case("take_in_order", add("a"), add("b"), add("c"), ("take", 2), ("counts",), ("jobs", "active")),
    case("take_from_an_empty_queue", ("take", 1)),
    case("take_priorities_in_order", *[add(f"j{p}", priority=p) for p in (3, 1, 2, 1048576)], ("take", 5)),
    case("take_waiting_before_prioritized", add("a", priority=1), add("b"), add("c", lifo=True), ("take", 3)),
    case("take_from_a_paused_queue", add("a"), ("pause",), ("take", 1), ("resume",), ("take", 1)),
    case("take_what_has_become_due", add("a", delay=1000, timestamp=LONG_AGO), add("b"), ("take", 2)),
    case(
        "take_what_has_become_due_by_priority",
        *[add(f"j{p}", delay=1000, timestamp=LONG_AGO, priority=p) for p in (2, 1, 0)],
        ("take", 1),
        ("counts",),
        ("take", 2),
    ),
    case(
        "complete_with_values",
        *[
            op
            for n, value in enumerate([None, 5, "text", {"a": [1, 2]}, [], True, 0.5, "é/☃"])
            for op in (add(f"j{n}"), ("take", 1), ("complete", f"j{n}", value))
        ],
        ("counts",),
    ),
    case("complete_leaves_the_next_waiting", add("a"), add("b"), ("take", 1), ("complete", "a", 1), ("counts",)),
    case(
        "complete_without_keeping",
        add("a", removeOnComplete=True),
        ("take", 1),
        ("log", "a", "x"),
        ("complete", "a", 1),
    ),
    case(
        "complete_keeping_the_newest",
        *[op for n in range(5) for op in (add(f"j{n}", removeOnComplete=2), ("take", 1), ("complete", f"j{n}", n))],
        ("jobs", "completed"),
    ),
    case(
        "complete_keeping_by_age",
        *[
            op
            for n in range(3)
            for op in (add(f"j{n}", removeOnComplete={"age": 3600}), ("take", 1), ("complete", f"j{n}", n))
        ],
    ),
    case("complete_without_a_lock", add("a"), ("take", 1), ("lose_lock", "a"), ("complete", "a", 1), ("counts",)),
    case("complete_under_another_lock", add("a"), ("take", 1), ("steal_lock", "a"), ("complete", "a", 1), ("counts",)),
    case("complete_a_removed_job", add("a"), ("take", 1), ("erase", "a"), ("complete", "a", 1)),
    case("fail_for_good", add("a"), ("take", 1), ("fail", "a", "no paint"), ("counts",)),
    case("fail_with_text_of_every_kind", add("a"), ("take", 1), ("fail", "a", 'é " ☃\nsecond line')),
    case(
        "fail_and_try_again_at_once",
        add("a", attempts=3),
        add("b"),
        ("take", 1),
        ("fail", "a", "no"),
        ("jobs", "waiting"),
    ),
    case(
        "fail_and_try_again_at_once_lifo",
        add("a", attempts=3, lifo=True),
        add("b"),
        ("take", 1),
        ("fail", "a", "no"),
        ("take", 1),
    ),
    case(
        "fail_and_try_again_by_priority",
        add("a", attempts=3, priority=4),
        ("take", 1),
        ("fail", "a", "no"),
        ("counts",),
    ),
    case("fail_and_try_again_later", add("a", attempts=3, backoff=HOUR), ("take", 1), ("fail", "a", "no"), ("counts",)),
    case(
        "fail_with_growing_delays",
        add("a", attempts=4, backoff={"type": "exponential", "delay": HOUR}),
        *[("take", 1), ("fail", "a", "no 1"), ("promote", "a")] * 3,
        ("take", 1),
        ("fail", "a", "no 4"),
        ("counts",),
    ),
    case("fail_after_the_last_attempt", add("a", attempts=2), *[("take", 1), ("fail", "a", "no")] * 2, ("counts",)),
    case("fail_unrecoverably", add("a", attempts=5), ("take", 1), ("fail_for_good", "a", "never"), ("counts",)),
    case("fail_without_keeping", add("a", removeOnFail=True), ("take", 1), ("fail", "a", "no"), ("counts",)),
    case(
        "fail_keeping_the_newest",
        *[op for n in range(4) for op in (add(f"j{n}", removeOnFail=2), ("take", 1), ("fail", f"j{n}", "no"))],
        ("jobs", "failed"),
    ),
    case(
        "fail_keeps_only_so_many_traces",
        add("a", attempts=9, stackTraceLimit=2),
        *[("take", 1), ("fail", "a", "no")] * 4,
    ),
]

BY_HAND = [
    case("delayed_by_hand", add("a", attempts=2), ("take", 1), ("move_to_delayed", "a", "+7200"), ("jobs", "delayed")),
    case("delayed_by_hand_into_the_past", add("a"), ("take", 1), ("move_to_delayed", "a", LONG_AGO), ("counts",)),
    case("delayed_by_hand_by_priority", add("a", priority=2), ("take", 1), ("move_to_delayed", "a", "+7200")),
    case("delayed_by_hand_without_a_lock", add("a"), ("take", 1), ("lose_lock", "a"), ("move_to_delayed", "a", "+72")),
    case("handed_back", add("a"), add("b"), ("take", 1), ("move_to_wait", "a"), ("jobs", "waiting"), ("take", 1)),
    case("handed_back_lifo", add("a", lifo=True), add("b"), ("take", 1), ("move_to_wait", "a"), ("jobs", "waiting")),
    case(
        "handed_back_by_priority",
        *[add(name, priority=3) for name in ("a", "b")],
        *[("take", 1), ("move_to_wait", "a"), ("jobs", "prioritized")],
    ),
    case("handed_back_under_another_lock", add("a"), ("take", 1), ("steal_lock", "a"), ("move_to_wait", "a")),
    case("handed_back_while_paused", add("a"), ("take", 1), ("pause",), ("move_to_wait", "a"), ("counts",)),
    case("lock_extended", add("a"), ("take", 1), ("extend_lock", "a", HOUR), ("complete", "a", 1)),
    case("lock_extended_too_late", add("a"), ("take", 1), ("lose_lock", "a"), ("extend_lock", "a", HOUR), ("counts",)),
    case("lock_of_another_extended", add("a"), ("take", 1), ("steal_lock", "a"), ("extend_lock", "a", HOUR)),
    case(
        "taken_from_a_schedule",
        ("schedule", "s", {"every": HOUR}, {"name": "tick", "data": {"n": 1}}),
        ("take", 2),
        ("counts",),
        ("schedulers",),
    ),
]

CHANGING = [
    case("update_data", add("a", {"n": 1}), ("update_data", "a", {"n": 2}), ("update_data", "missing", {})),
    case(
        "progress",
        add("a"),
        ("progress", "a", 50),
        ("progress", "a", {"step": "dry", "share": 0.5}),
        ("progress", "a", "half"),
        ("progress", "missing", 1),
    ),
    case("logs", add("a"), ("log", "a", "one"), ("log", "a", "two"), ("log", "missing", "x"), ("logs", "a")),
    case("logs_kept", add("a"), *[("log", "a", f"row {n}", 2) for n in range(4)], ("logs", "a")),
    case("pause_and_resume", ("pause",), ("is_paused",), ("pause",), ("resume",), ("is_paused",)),
    case("pause_and_resume_with_jobs", add("a"), ("pause",), add("b"), ("resume",), ("jobs", "waiting")),
    case("resume_with_only_delayed_jobs", add("a", delay=HOUR), ("pause",), ("resume",)),
    case("resume_what_was_not_paused", ("resume",)),
    case("promote", add("a", delay=HOUR), ("promote", "a"), ("counts",)),
    case("promote_by_priority", add("a", delay=HOUR, priority=2), ("promote", "a"), ("counts",)),
    case("promote_what_is_not_delayed", add("a"), ("promote", "a"), ("promote", "missing")),
    case(
        "promote_all",
        *[add(f"j{n}", delay=HOUR * n, timestamp=LONG_AGO) for n in (3, 1, 2)],
        ("promote_all",),
        ("jobs", "waiting"),
    ),
    case("promote_on_a_paused_queue", add("a", delay=HOUR), ("pause",), ("promote", "a"), ("counts",)),
    case("retry_a_failed_job", add("a"), ("take", 1), ("fail", "a", "no"), ("retry", "a"), ("counts",)),
    case(
        "retry_a_completed_job", add("a"), ("take", 1), ("complete", "a", 1), ("retry", "a", "completed"), ("counts",)
    ),
    case("retry_by_priority", add("a", priority=3), ("take", 1), ("fail", "a", "no"), ("retry", "a"), ("counts",)),
    case("retry_what_did_not_fail", add("a"), ("retry", "a"), ("retry", "missing")),
    case(
        "retry_all",
        *[op for n in range(3) for op in (add(f"j{n}"), ("take", 1), ("fail", f"j{n}", "no"))],
        ("retry_all", "failed"),
        ("counts",),
    ),
    case("retry_all_of_none", ("retry_all", "failed"), ("promote_all",)),
    case("change_priority", add("a"), ("change_priority", "a", 5), ("change_priority", "a", 1), ("counts",)),
    case("change_priority_to_none", add("b"), add("a", priority=5), ("change_priority", "a", 0), ("jobs", "waiting")),
    case(
        "change_priority_lifo",
        add("a", priority=5),
        add("b", priority=5),
        ("change_priority", "b", 5, True),
        ("jobs", "prioritized"),
    ),
    case("change_priority_of_a_delayed_job", add("a", delay=HOUR), ("change_priority", "a", 2)),
    case("change_priority_of_a_missing_job", ("change_priority", "missing", 2)),
    case("change_delay", add("a", delay=HOUR), ("change_delay", "a", 2 * HOUR), ("counts",)),
    case(
        "change_delay_of_what_is_not_delayed", add("a"), ("change_delay", "a", HOUR), ("change_delay", "missing", HOUR)
    ),
]

REMOVING = [
    case(
        "remove_from_every_state",
        add("d", delay=HOUR),
        add("p", priority=1),
        add("f"),
        ("take", 1),
        ("fail", "f", "no"),
        add("c"),
        ("take", 1),
        ("complete", "c", 1),
        add("w"),
        ("log", "w", "row"),
        *[("remove", name) for name in ("d", "p", "f", "c", "w", "missing")],
        ("counts",),
    ),
    case("remove_a_job_that_is_held", add("a"), ("take", 1), ("remove", "a"), ("counts",)),
    case(
        "remove_an_active_job_without_a_lock", add("a"), ("take", 1), ("lose_lock", "a"), ("remove", "a"), ("counts",)
    ),
    case("drain", add("a"), add("b", priority=1), add("c", delay=HOUR), ("drain", False), ("counts",)),
    case("drain_delayed_too", add("a"), add("b", priority=1), add("c", delay=HOUR), ("drain", True), ("counts",)),
    case(
        "drain_leaves_active_and_finished",
        add("a"),
        add("b"),
        ("take", 2),
        ("complete", "a", 1),
        add("c"),
        ("drain", True),
        ("counts",),
    ),
    case("drain_nothing", ("drain", False)),
    case("drain_while_paused", add("a"), ("pause",), ("drain", False), ("counts",)),
    *[
        case(
            f"clean_{state}",
            *[op for n in range(3) for op in (add(f"c{n}"), ("take", 1), ("complete", f"c{n}", n))],
            *[op for n in range(3) for op in (add(f"f{n}"), ("take", 1), ("fail", f"f{n}", "no"))],
            *[add(f"w{n}", timestamp=LONG_AGO) for n in range(3)],
            *[add(f"p{n}", priority=1, timestamp=LONG_AGO) for n in range(2)],
            *[add(f"d{n}", delay=30 * 365 * DAYS, timestamp=LONG_AGO) for n in range(2)],
            ("clean", 0, 0, state),
            ("counts",),
        )
        for state in ("completed", "failed", "wait", "delayed", "prioritized", "active")
    ],
    case(
        "clean_only_so_many",
        *[op for n in range(4) for op in (add(f"c{n}"), ("take", 1), ("complete", f"c{n}", n))],
        ("clean", 0, 2, "completed"),
        ("counts",),
    ),
    case(
        "clean_only_the_old",
        *[op for n in range(2) for op in (add(f"c{n}"), ("take", 1), ("complete", f"c{n}", n))],
        ("clean", HOUR, 0, "completed"),
        ("counts",),
    ),
    case(
        "clean_active_without_a_lock",
        add("a"),
        add("b"),
        ("take", 2),
        ("lose_lock", "a"),
        ("clean", 0, 0, "active"),
        ("counts",),
    ),
    case("obliterate_what_is_not_paused", add("a"), ("obliterate", False), ("counts",)),
    case(
        "obliterate",
        add("a"),
        ("take", 1),
        ("complete", "a", 1),
        add("b", delay=HOUR),
        add("c", priority=1),
        add("d"),
        ("log", "d", "x"),
        ("pause",),
        ("obliterate", False),
    ),
    case("obliterate_with_a_job_that_is_held", add("a"), ("take", 1), ("pause",), ("obliterate", False), ("counts",)),
    case("obliterate_by_force", add("a"), ("take", 1), ("pause",), ("obliterate", True)),
]

STALLING = [
    case("stalled_once_goes_back", add("a"), ("take", 1), ("stall", "a"), ("counts",)),
    case("stalled_goes_before_the_waiting", add("a"), add("b"), ("take", 1), ("stall", "a"), ("jobs", "waiting")),
    case("stalled_keeps_what_is_renewed", add("a"), add("b"), ("take", 2), ("stall", "a"), ("counts",)),
    case("stalled_too_often_is_condemned", add("a"), *[("take", 1), ("stall", "a")] * 2, ("counts",)),
    case("stalled_priority", add("a", priority=2), ("take", 1), ("stall", "a"), ("counts",)),
]

SCHEDULING = [
    case(
        "schedule_every",
        ("schedule", "s", {"every": HOUR}, {"name": "tick", "data": {"n": 1}}),
        ("counts",),
        ("schedulers",),
    ),
    case("schedule_every_from_a_start", ("schedule", "s", {"every": HOUR, "startDate": "+7200"}, {"name": "tick"})),
    case(
        "schedule_every_with_bounds",
        ("schedule", "s", {"every": HOUR, "limit": 3, "endDate": "+86400"}, {"name": "tick"}),
    ),
    case(
        "schedule_cron",
        ("schedule", "s", {"pattern": YEARLY, "tz": "UTC"}, {"name": "tick", "data": {}}),
        ("schedulers",),
    ),
    case("schedule_cron_without_a_zone", ("schedule", "s", {"pattern": YEARLY}, {"name": "tick"})),
    case("schedule_cron_in_a_zone", ("schedule", "s", {"pattern": YEARLY, "tz": "Europe/Berlin"}, {"name": "tick"})),
    case("schedule_cron_with_limit", ("schedule", "s", {"pattern": YEARLY, "limit": 2, "tz": "UTC"}, {"name": "tick"})),
    case(
        "schedule_with_options",
        (
            "schedule",
            "s",
            {"pattern": YEARLY, "tz": "UTC"},
            {
                "name": "tick",
                "data": {"n": 1},
                "opts": {
                    "attempts": 3,
                    "priority": 2,
                    "removeOnComplete": 5,
                    "backoff": {"type": "fixed", "delay": 1000},
                },
            },
        ),
    ),
    case(
        "schedule_again_replaces",
        ("schedule", "s", {"pattern": YEARLY, "tz": "UTC"}, {"name": "tick", "data": {"n": 1}}),
        ("schedule", "s", {"pattern": YEARLY_TOO, "tz": "UTC"}, {"name": "tock", "data": {"n": 2}}),
        ("counts",),
    ),
    case(
        "schedule_again_unchanged",
        *[("schedule", "s", {"pattern": YEARLY, "tz": "UTC"}, {"name": "tick", "data": {"n": 1}})] * 2,
        ("counts",),
    ),
    case(
        "schedule_every_again",
        *[("schedule", "s", {"every": HOUR, "startDate": "+7200"}, {"name": "tick", "data": {"n": n}}) for n in (1, 2)],
        ("counts",),
    ),
    case(
        "schedule_from_every_to_cron",
        ("schedule", "s", {"every": HOUR}, {"name": "t"}),
        ("schedule", "s", {"pattern": YEARLY, "tz": "UTC"}, {"name": "t"}),
    ),
    case(
        "unschedule",
        ("schedule", "s", {"pattern": YEARLY, "tz": "UTC"}, {"name": "tick"}),
        ("unschedule", "s"),
        ("unschedule", "s"),
        ("counts",),
    ),
    case(
        "schedule_two",
        *[("schedule", s, {"pattern": YEARLY, "tz": "UTC"}, {"name": s}) for s in ("a", "b")],
        ("schedulers",),
    ),
    case(
        "schedule_with_colons",
        ("schedule", "a:b:c", {"pattern": YEARLY, "tz": "UTC"}, {"name": "tick"}),
        ("schedulers",),
    ),
    case(
        "drain_leaves_the_scheduled",
        ("schedule", "s", {"pattern": YEARLY, "tz": "UTC"}, {"name": "tick"}),
        add("a", delay=HOUR),
        ("drain", True),
        ("counts",),
    ),
    case(
        "remove_the_scheduled_is_refused",
        ("schedule", "s", {"pattern": YEARLY, "tz": "UTC"}, {"name": "tick"}),
        ("remove_scheduled", "s"),
        ("counts",),
    ),
    case("schedule_on_a_paused_queue", ("pause",), ("schedule", "s", {"every": HOUR}, {"name": "tick"}), ("counts",)),
    case(
        "obliterate_with_schedulers",
        ("schedule", "s", {"pattern": YEARLY, "tz": "UTC"}, {"name": "tick"}),
        ("pause",),
        ("obliterate", True),
    ),
]


def acts(*attempts: dict[str, Any]) -> dict[str, Any]:
    return {"acts": list(attempts)}


WORKING = [
    case("work_one", add("a", acts({"return": {"ok": True}})), ("work", 1), ("counts",)),
    case("work_in_order", *[add(f"j{n}", acts({"return": n})) for n in range(5)], ("work", 5)),
    case("work_priorities", *[add(f"j{p}", acts({"return": p}), priority=p) for p in (3, 1, 2)], ("work", 3)),
    case(
        "work_with_progress_and_logs",
        add("a", acts({"progress": 50, "log": ["one", "two"], "return": 1})),
        ("work", 1),
        ("logs", "a"),
    ),
    case(
        "work_in_steps",
        add("a", acts({"data": acts({"return": 1}, {"return": 2}), "throw": "more"}, {"return": 3}), attempts=3),
        ("work", 2),
    ),
    case("work_that_fails", add("a", acts({"throw": "no paint"})), ("work", 1), ("counts",)),
    case("work_that_fails_and_then_works", add("a", acts({"throw": "no"}, {"return": 1}), attempts=3), ("work", 2)),
    case("work_that_fails_to_the_end", add("a", acts({"throw": "no"}), attempts=3), ("work", 3), ("counts",)),
    case(
        "work_that_waits_between_attempts",
        add("a", acts({"throw": "no"}, {"return": 1}), attempts=2, backoff=50),
        ("work", 2),
    ),
    case("work_that_is_handed_back", add("a", acts({"handBack": True, "return": 1})), add("b"), ("work", 2)),
    case("work_that_is_too_early", add("a", acts({"laterMs": 100, "return": 1}), attempts=2), ("work", 1)),
    case("work_that_is_hopeless", add("a", acts({"unrecoverable": "never"}), attempts=3), ("work", 1)),
    case(
        "work_without_keeping",
        add("a", acts({"return": 1}), removeOnComplete=True),
        add("b", acts({"throw": "x"}), removeOnFail=True),
        ("work", 2),
    ),
    case("work_what_becomes_due", add("a", acts({"return": 1}), delay=100), ("work", 1)),
    case("work_the_condemned", add("a", attempts=3), *[("take", 1), ("stall", "a")] * 2, ("work", 1), ("counts",)),
    case("work_while_something_is_delayed", add("later", delay=HOUR), add("a", acts({"return": 1})), ("work", 1)),
    case("work_while_something_is_prioritized_and_paused", add("a", acts({"return": 1})), ("work", 1), ("pause",)),
    case("complete_while_something_is_delayed", add("later", delay=HOUR), add("a"), ("take", 1), ("complete", "a", 1)),
    case("work_returns_nothing", add("a", acts({})), ("work", 1)),
    case(
        "work_a_schedule",
        ("schedule", "s", {"every": HOUR}, {"name": "tick", "data": acts({"return": 1})}),
        ("work", 1),
        ("counts",),
        ("schedulers",),
    ),
    case(
        "work_a_schedule_to_its_limit",
        ("schedule", "s", {"every": 800, "limit": 2}, {"name": "tick", "data": acts({"return": 1})}),
        ("work", 2),
        ("counts",),
    ),
    case(
        "work_a_cron_schedule",
        (
            "schedule",
            "s",
            {"pattern": YEARLY, "tz": "America/New_York", "immediately": True},
            {"name": "tick", "data": acts({"return": 1})},
        ),
        ("work", 1),
        ("counts",),
        ("schedulers",),
    ),
]

CASES = [*ADDING, *TAKING, *BY_HAND, *CHANGING, *REMOVING, *STALLING, *SCHEDULING, *WORKING]
