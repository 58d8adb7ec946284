"""More of what the differential test does: features of the whole queue, deduplication first."""

from __future__ import annotations

from typing import Any

from tests.interop.operations import HOUR, LONG_AGO, Operation, add, case


def once(job_id: str, data: Any = None, *, more: dict[str, Any] | None = None, **rule: Any) -> Operation:
    """Add a job with the deduplication id `d`."""
    return add(job_id, data, deduplication={"id": "d", **rule}, **(more or {}))


LATER = {"delay": HOUR}
SCHEDULED = [("schedule", "s", {"every": HOUR}, {"name": "tick", "data": {}})]
KEEP_LAST = {"keepLastIfActive": True}

DEDUPLICATING = [
    case("once_simple", once("a", {"n": 1}), once("b", {"n": 2}), ("counts",), ("deduplication_job", "d")),
    case("once_with_counted_ids", *[("add", "paint", {}, {"deduplication": {"id": "d:é"}})] * 2, ("add", "x", {}, {})),
    case("once_without_an_id", ("add", "paint", {}, {"deduplication": {"id": ""}}), ("counts",)),
    case("once_with_a_parent", ("add", "p", {}, {"deduplication": {"id": "d"}, "parent": {"id": "p", "queue": "b:q"}})),
    case("once_until_completed", once("a"), ("take", 1), once("b"), ("complete", "a", 1), once("c"), ("counts",)),
    case("once_until_failed", once("a"), ("take", 1), ("fail", "a", "no"), once("b"), ("counts",)),
    case("once_while_it_is_tried_again", once("a", more={"attempts": 2}), ("take", 1), ("fail", "a", "no"), once("b")),
    case("once_until_removed", once("a"), ("remove", "a"), once("b"), ("counts",)),
    case("once_until_drained", once("a"), once("p", more={"priority": 1}), ("drain", False), once("b"), ("counts",)),
    case("once_among_prioritized", once("a", more={"priority": 3}), once("b", more={"priority": 1}), ("counts",)),
    case("once_lifo", once("a", more={"lifo": True}), once("b", more={"lifo": True}), ("counts",)),
    case(
        "once_in_bulk",
        ("add_bulk", [("paint", {"n": n}, {"deduplication": {"id": f"d{n % 2}"}}) for n in range(5)]),
        ("counts",),
    ),
    case("once_with_an_id_that_exists", add("a"), once("a"), ("deduplication_job", "d"), once("b"), once("a")),
    case("once_after_its_owner_vanished", once("a"), ("erase", "a"), once("b"), ("deduplication_job", "d")),
    case("throttled", once("a", ttl=HOUR), once("b", ttl=HOUR), ("take", 1), ("complete", "a", 1), once("c", ttl=HOUR)),
    case("throttled_after_its_owner_vanished", once("a", ttl=HOUR), ("erase", "a"), once("b", ttl=HOUR)),
    case("throttled_and_extended", once("a", ttl=HOUR), once("b", ttl=2 * HOUR, extend=True), ("counts",)),
    case("throttled_and_not_extended", once("a", ttl=HOUR), once("b", ttl=2 * HOUR), ("counts",)),
    case("throttled_until_removed", once("a", ttl=HOUR), ("remove", "a"), once("b", ttl=HOUR)),
    case("extended_without_a_time", once("a", extend=True), once("b", extend=True), ("counts",)),
    case(
        "debounced",
        *[once(name, {"n": name}, more=LATER, ttl=HOUR, extend=True, replace=True) for name in ("a", "b", "c")],
        ("counts",),
        ("deduplication_job", "d"),
    ),
    case(
        "debounced_with_the_first_ones_time",
        once("a", more=LATER, ttl=HOUR, replace=True),
        once("b", more=LATER, ttl=2 * HOUR, replace=True),
    ),
    case("debounced_without_a_time", *[once(name, more=LATER, replace=True) for name in ("a", "b")], ("counts",)),
    case(
        "debounced_too_late",
        once("a", more=LATER, ttl=HOUR, extend=True, replace=True),
        ("promote", "a"),
        once("b", more=LATER, ttl=2 * HOUR, extend=True, replace=True),
        ("counts",),
    ),
    case("debounced_after_its_owner_vanished", once("a"), ("erase", "a"), once("b", more=LATER, replace=True)),
    case(
        "debounced_in_bulk",
        ("add_bulk", [("p", {"n": n}, {"delay": HOUR, "deduplication": {"id": "d", "replace": True}}) for n in (1, 2)]),
    ),
    case(
        "rescheduled",
        once("a", {"n": 1}, more={"delay": HOUR, "timestamp": LONG_AGO}),
        once("b", {"n": 2}, more={"delay": 3 * HOUR, "timestamp": LONG_AGO}, reschedule=True),
        ("jobs", "delayed"),
    ),
    case("rescheduled_to_now", once("a", more=LATER), once("b", reschedule=True), ("take", 1)),
    case("rescheduled_what_is_not_delayed", once("a"), once("b", more=LATER, reschedule=True), ("counts",)),
    case(
        "rescheduled_and_extended", once("a", more=LATER), once("b", more=LATER, ttl=HOUR, extend=True, reschedule=True)
    ),
    case(
        "kept_for_after_the_active",
        once("a", {"n": 1}, **KEEP_LAST),
        ("take", 1),
        once("b", {"n": 2}, **KEEP_LAST),
        once("c", {"n": 3}, more={"attempts": 2}, **KEEP_LAST),
        ("counts",),
        ("complete", "a", 1),
        ("counts",),
        once("e", {"n": 4}, **KEEP_LAST),
        ("take", 1),
        ("fail", "c", "no"),
        ("take", 1),
        ("fail", "c", "no"),
        ("counts",),
        once("f", **KEEP_LAST),
    ),
    case("kept_only_if_active", once("a", {"n": 1}, **KEEP_LAST), once("b", {"n": 2}, **KEEP_LAST), ("counts",)),
    *[
        case(
            f"kept_{name}",
            once("a", **KEEP_LAST),
            ("take", 1),
            once("b", more=options, **KEEP_LAST),
            ("fail", "a", "no"),
            ("counts",),
        )
        for name, options in {
            "with_a_delay": LATER,
            "with_a_priority": {"priority": 4},
            "lifo": {"lifo": True},
            "with_a_timestamp": {"timestamp": LONG_AGO, "delay": HOUR},
        }.items()
    ],
    case(
        "kept_with_a_counted_id",
        ("add", "paint", {"n": 1}, {"deduplication": {"id": "d", **KEEP_LAST}}),
        ("take", 1),
        ("add", "paint", {"n": 2}, {"deduplication": {"id": "d", **KEEP_LAST}}),
        ("complete", "1", 1),
        ("add", "paint", {"n": 3}, {}),
    ),
    case(
        "kept_past_a_window_with_a_time",
        once("a", ttl=HOUR),
        ("take", 1),
        once("b", ttl=HOUR, **KEEP_LAST),
        ("complete", "a", 1),
        ("deduplication_job", "d"),
    ),
    case(
        "kept_then_debounced",
        once("a", more={"attempts": 2, "backoff": HOUR}, **KEEP_LAST),
        ("take", 1),
        once("b", **KEEP_LAST),
        ("fail", "a", "no"),
        once("c", more=LATER, replace=True, **KEEP_LAST),
        ("counts",),
    ),
    case(
        "kept_while_the_window_was_opened_by_hand",
        once("a", **KEEP_LAST),
        ("take", 1),
        once("b", **KEEP_LAST),
        ("remove_deduplication", "d"),
        ("complete", "a", 1),
        ("counts",),
    ),
    case(
        "kept_and_its_owner_removed",
        once("a", **KEEP_LAST),
        ("take", 1),
        once("b", **KEEP_LAST),
        ("lose_lock", "a"),
        ("remove", "a"),
    ),
    case(
        "window_opened_by_hand",
        once("a"),
        ("remove_deduplication", "d"),
        ("remove_deduplication", "d"),
        ("deduplication_job", "d"),
        once("b"),
        ("take", 1),
        ("complete", "a", 1),
        ("deduplication_job", "d"),
    ),
]

MINUTE = 60_000
FULL = ("set_global_rate_limit", 2, MINUTE)

LIMITING = [
    case(
        "limit_concurrency",
        ("global_concurrency",),
        ("is_maxed",),
        ("set_global_concurrency", 2),
        ("global_concurrency",),
        *[add(name) for name in ("a", "b", "c")],
        ("take", 3),
        ("is_maxed",),
        ("complete", "a", 1),
        ("is_maxed",),
        ("take", 2),
        ("remove_global_concurrency",),
        ("global_concurrency",),
        ("is_maxed",),
    ),
    case(
        "limit_concurrency_while_adding",
        ("set_global_concurrency", 1),
        add("a"),
        ("take", 1),
        *[add("b"), add("c", priority=1), add("d", delay=HOUR), ("promote", "d")],
        ("remove_rate_limit",),
    ),
    case(
        "limit_rate",
        ("global_rate_limit",),
        FULL,
        ("global_rate_limit",),
        ("rate_limit_seconds",),
        add("a"),
        ("take", 1),
        ("rate_limit_seconds",),
        ("rate_limit_seconds", 1),
        *[add(name) for name in ("b", "c")],
        ("take", 2),
        ("rate_limit_seconds",),
        ("rate_limit_seconds", 5),
        ("complete", "a", 1),
        ("counts",),
        ("remove_global_rate_limit",),
        ("global_rate_limit",),
    ),
    case("limit_rate_by_hand", FULL, add("a"), ("rate_limit", MINUTE), ("rate_limit_seconds",), ("take", 1)),
    case("limit_rate_by_hand_without_a_limit", ("rate_limit", MINUTE), ("rate_limit_seconds",)),
    case("limit_rate_by_hand_is_kept_without_a_limit", ("rate_limit", MINUTE), add("a"), ("take", 1)),
    case("limit_rate_removed", FULL, ("rate_limit", MINUTE), ("remove_rate_limit",), ("rate_limit_seconds",)),
    case(
        "work_that_is_rate_limited",
        ("set_global_rate_limit", 100, MINUTE),
        add("a", {"acts": [{"limitMs": 300, "return": 1}]}, attempts=2),
        ("work", 1),
        ("counts",),
    ),
    case(
        "work_by_priority_that_is_rate_limited",
        ("set_global_rate_limit", 100, MINUTE),
        add("a", {"acts": [{"limitMs": 300, "return": 1}]}, priority=3),
        ("work", 1),
    ),
]

ENDS = [add("a"), add("b", {"acts": [{"throw": "no"}]}, removeOnFail=True), add("c", removeOnComplete=True)]
AGAIN = [add("d"), ("work", 1, 4)]

COUNTING = [
    case("metrics_of_none", ("metrics", "completed"), ("metrics", "failed")),
    case("metrics_not_asked_for", *ENDS, ("work", 3), ("metrics", "completed")),
    case(
        "metrics",
        ("early_in_the_minute",),
        *ENDS,
        ("work", 3, 4),
        ("metrics", "completed"),
        ("metrics", "failed"),
    ),
    *[
        case(
            f"metrics_after_{minutes}_minutes",
            ("early_in_the_minute",),
            *ENDS,
            ("work", 3, 4),
            ("age_metrics", "completed", minutes),
            *AGAIN,
            ("metrics", "completed"),
            ("metrics", "completed", 1, 2),
        )
        for minutes in (1, 3, 4, 500)
    ],
    case("metrics_obliterated", *ENDS, ("work", 3, 4), ("pause",), ("obliterate", False)),
    case(
        "delayed_counted_before_an_instant",
        *[add(f"j{n}", delay=15 * 365 * 24 * HOUR, timestamp=LONG_AGO + n // 2) for n in range(6)],
        ("delayed_count",),
        *[("delayed_count", LONG_AGO + 15 * 365 * 24 * HOUR + n) for n in range(4)],
    ),
    case("events_trimmed", add("a"), add("b"), ("trim_events", 1), add("c")),
]

LOOKING = [
    case(
        "what_is_still_to_be_done_is_counted",
        *[add("a"), add("b", priority=2), add("c", delay=HOUR), add("d"), ("take", 1), ("pending",)],
    ),
    case(
        "what_holds_for_the_queue",
        ("meta",),
        ("set_global_concurrency", 3),
        ("set_global_rate_limit", 5, MINUTE),
        ("pause",),
        ("meta",),
        ("resume",),
        ("remove_global_concurrency",),
        ("remove_global_rate_limit",),
        ("meta",),
    ),
    case(
        "ids_without_the_jobs",
        *[add(f"w{n}") for n in range(4)],
        *[add(f"d{n}", delay=HOUR + n) for n in range(3)],
        *[("job_ids", ["wait"], *span, ascending) for span in ((0, -1), (1, 2)) for ascending in (False, True)],
        *[("job_ids", ["delayed"], *span, ascending) for span in ((0, -1), (1, 1)) for ascending in (False, True)],
    ),
    case(
        "logs_counted_and_cleared",
        add("a"),
        ("log_count", "a"),
        *[("log", "a", f"row {n}") for n in range(4)],
        ("log_count", "a"),
        ("clear_logs", "a", 3),
        ("logs", "a"),
        ("clear_logs", "a"),
        ("log_count", "a"),
    ),
    case("schedulers_counted", ("scheduler_count",), *SCHEDULED, ("scheduler_count",)),
]

UPKEEP = [
    case(
        "orphans_removed",
        *[add(name) for name in ("a", "b", "c")],
        once("d"),
        *SCHEDULED,
        add("later", delay=HOUR),
        *[("log", "b", "row"), ("lose_place", "b"), ("lose_place", "d")],
        ("remove_orphans",),
        ("remove_orphans",),
        ("exists", "a", "b", "c", "d", "later"),
    ),
    case("old_priority_key_removed", ("count_priorities_as_of_old",), *[("remove_priority_key",)] * 2),
    case(
        "own_window_opened",
        once("a"),
        ("remove_own_deduplication", "a"),
        once("b"),
        ("remove_own_deduplication", "a"),
        ("deduplication_job", "d"),
        add("c"),
        ("remove_own_deduplication", "c"),
    ),
    case("cleaned_by_the_other_name", add("a"), add("b"), ("clean", 0, 1, "wait"), ("clean", 0, 0, "waiting")),
]

QUEUE_CASES = [*DEDUPLICATING, *LIMITING, *COUNTING, *LOOKING, *UPKEEP]
