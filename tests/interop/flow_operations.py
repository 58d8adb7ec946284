"""What the differential test does with parents and children; `operations.py` has the rest.

A flow is a tree `(id, options, children)` of jobs of the one queue that is compared.
"""

from __future__ import annotations

from typing import Any

from tests.interop.operations import HOUR, LONG_AGO, Operation, add, case

Tree = tuple[str, dict[str, Any], list[Any]]

MODES = {
    "fail": "failParentOnFailure",
    "continue": "continueParentOnFailure",
    "ignore": "ignoreDependencyOnFailure",
    "remove": "removeDependencyOnFailure",
}


def node(job_id: str, *children: Tree, **options: Any) -> Tree:
    return job_id, options, list(children)


def flow(job_id: str, *children: Tree, **options: Any) -> Operation:
    return ("flow", node(job_id, *children, **options))


def done(job_id: str, value: Any = 1) -> tuple[Operation, Operation]:
    return ("take", 1), ("complete", job_id, value)


def failed(job_id: str) -> tuple[Operation, Operation]:
    return ("take", 1), ("fail", job_id, "no paint")


LOOK: tuple[Operation, ...] = (
    ("counts",), ("child_counts", "p"), ("child_values", "p"), ("ignored_children", "p"), ("dependencies", "p"),
)  # fmt: skip

FLOWS = [
    case("flow_of_one", flow("p")),
    case("flow_of_two_levels", flow("p", node("a"), node("b")), *LOOK),
    case("flow_of_three_levels", flow("p", node("a", node("a1"), node("a2")), node("b")), *LOOK),
    case(
        "flow_data_and_options", flow("p", node("a", attempts=3, removeOnComplete=True, timestamp=LONG_AGO), attempts=2)
    ),
    case("flow_to_a_paused_queue", ("pause",), flow("p", node("a"), node("b", delay=HOUR)), ("counts",)),
    case(
        "flow_children_of_every_class",
        flow("p", node("a", priority=2), node("b", delay=HOUR), node("c", lifo=True), node("d"), node("e", priority=1)),
        ("jobs", "waiting"),
        ("jobs", "prioritized"),
    ),
    case("flows_at_once", ("flows", [node("p", node("a")), node("q", node("b"), node("c")), node("r")]), *LOOK),
    case(
        "flow_runs_to_its_end",
        flow("p", node("a"), node("b")),
        *done("a", {"n": 1}),
        *done("b", "é"),
        *LOOK,
        *done("p"),
    ),
    case("flow_releases_before_what_waits", flow("p", node("a")), add("x"), *done("a"), ("jobs", "waiting")),
    case("flow_releases_by_priority", flow("p", node("a"), priority=3), *done("a"), ("jobs", "prioritized")),
    case("flow_releases_to_its_delay", flow("p", node("a"), delay=HOUR), *done("a"), ("counts",), ("jobs", "delayed")),
    *[
        case(f"flow_child_fails_{mode}", flow("p", node("a", **{option: True}), node("b")), *failed("a"), *LOOK)
        for mode, option in MODES.items()
    ],
    *[
        case(f"flow_last_child_fails_{mode}", flow("p", node("a", **{option: True})), *failed("a"), *LOOK, ("take", 1))
        for mode, option in MODES.items()
    ],
    *[
        case(
            f"flow_others_after_a_failure_{mode}",
            flow("p", node("a", **{option: True}), node("b")),
            *failed("a"),
            ("take", 1),
            ("complete_the_oldest", 2),
            *LOOK,
        )
        for mode, option in MODES.items()
    ],
    *[
        case(
            f"work_a_failure_that_goes_up_{mode}",
            flow("p", node("m", node("a", failParentOnFailure=True), **{option: True})),
            *failed("a"),
            ("work", 1),
            *LOOK,
        )
        for mode, option in MODES.items()
    ],
    case(
        "flow_child_fails_and_nobody_said",
        flow("p", node("a"), node("b")),
        *failed("a"),
        ("counts",),
        ("child_counts", "p"),
    ),
    case(
        "flow_child_fails_without_keeping",
        flow("p", node("a", removeOnFail=True), node("b")),
        *failed("a"),
        *done("b"),
        *LOOK,
    ),
    case(
        "flow_child_that_failed_retried", flow("p", node("a")), *failed("a"), ("retry", "a"), *done("a", 2), ("counts",)
    ),
    case(
        "flow_ignored_child_retried",
        flow("p", node("a", ignoreDependencyOnFailure=True), node("b")),
        *failed("a"),
        ("retry", "a"),
        *LOOK,
    ),
    case("flow_root_joins_a_parent", flow("p", node("a")), ("flow", node("m", node("b"), parent="p")), *LOOK),
    case("flow_root_joins_nobody", ("flow", node("m", node("b"), parent="gone")), ("counts",)),
    *[
        case(
            f"attach_with_{mode}",
            flow("p", node("a")),
            add("c", parent="p", **{option: True}),
            *LOOK,
            ("remove", "a"),
            *failed("c"),
            *LOOK,
        )
        for mode, option in MODES.items()
    ],
    case(
        "flow_with_a_finished_child", add("a"), *done("a", 7), flow("p", node("a"), node("b")), *LOOK, *done("b"), *LOOK
    ),
    case(
        "flow_with_finished_children_only",
        add("a"),
        add("b"),
        *done("a"),
        *done("b"),
        flow("p", node("a"), node("b")),
        *LOOK,
    ),
    case("flow_with_a_waiting_child", add("a"), flow("p", node("a"), node("b")), *LOOK),
    case("flow_added_again", *[flow("p", node("a"), node("b"))] * 2, *LOOK),
    case("flow_takes_a_child_of_another", flow("q", node("a")), flow("p", node("a"), node("b")), ("counts",)),
    case("leave_the_parent", flow("p", node("a"), node("b")), ("leave_parent", "a"), *LOOK, ("leave_parent", "a")),
    case("leave_the_parent_as_the_last", flow("p", node("a")), ("leave_parent", "a"), *LOOK),
    case("leave_no_parent", add("a"), ("leave_parent", "a"), ("leave_parent", "gone")),
    case(
        "remove_unprocessed_children",
        flow("p", node("a"), node("b"), node("c"), node("d")),
        *done("a"),
        *failed("b"),
        ("take", 1),
        ("remove_unprocessed", "p"),
        ("counts",),
        ("child_counts", "p"),
    ),
    case("remove_all_unprocessed_children", flow("p", node("a", node("a1"))), ("remove_unprocessed", "p"), *LOOK),
    case("remove_a_parent", flow("p", node("a"), node("b")), *done("a"), ("remove", "p"), ("counts",)),
    case("remove_a_child", flow("p", node("a"), node("b")), ("remove", "a"), *LOOK, ("remove", "b"), *LOOK),
    case(
        "wait_for_children",
        add("p"),
        ("take", 1),
        add("a", parent="p"),
        ("wait_for_children", "p"),
        *LOOK,
        *done("a"),
        *LOOK,
    ),
    case("wait_for_no_children", add("p"), ("take", 1), ("wait_for_children", "p"), ("complete", "p", 1), ("counts",)),
    case(
        "wait_for_children_without_a_lock",
        add("p"),
        ("take", 1),
        add("a", parent="p"),
        ("lose_lock", "p"),
        ("wait_for_children", "p"),
        ("counts",),
    ),
    case(
        "get_a_flow",
        flow("p", node("a", node("a1"), node("a2")), node("b")),
        *[("get_flow", "p", depth, 20) for depth in (1, 2, 3, 9)],
        ("get_flow", "gone", 3, 20),
    ),
    case(
        "get_a_flow_with_all_outcomes",
        flow("p", node("a"), node("b", ignoreDependencyOnFailure=True), node("c", failParentOnFailure=True), node("d")),
        *done("a"),
        *failed("b"),
        *failed("c"),
        ("get_flow", "p", 5, 20),
        *LOOK,
    ),
]
