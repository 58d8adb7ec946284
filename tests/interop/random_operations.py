"""Operations in an order that nobody thought of: a walk through what a queue allows, the same for the same seed."""

from __future__ import annotations

import random
from typing import Any

from tests.interop.operations import DAYS, HOUR, LONG_AGO, Case, Operation

LENGTH = 30
DISTANT = 30 * 365 * DAYS


class Walk:
    """Remembers which jobs were added and taken, so that most operations hit something.

    Each job says its timestamp, because the order of those delayed to one millisecond is compared. Left out is what
    differs on purpose (`differences.py`), and delays that are over: BullMQ lets due jobs wait at a retry too, we when a
    worker fetches.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a test's dice
        self._added: list[str] = []
        self._held: list[str] = []
        self._operations: list[Operation] = []

    def operations(self) -> tuple[Operation, ...]:
        steps = [self._add] * 6 + [self._take] * 3 + [self._end] * 4 + [self._change] * 5 + [self._clear]
        for _ in range(LENGTH):
            self._random.choice(steps)()
        self._operations += [("counts",), ("resume",), ("jobs", "waiting"), ("jobs", "prioritized")]
        return tuple(self._operations)

    def _add(self) -> None:
        job_id = f"j{len(self._added)}"
        self._added.append(job_id)
        self._operations.append(("add", "paint", {"n": len(self._added)}, {"jobId": job_id, **self._options()}))

    def _options(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {"timestamp": LONG_AGO + self._random.randrange(3)}
        for name, values in {
            "priority": [0, 1, 2, 2],
            "delay": [0, DISTANT],
            "lifo": [True],
            "attempts": [1, 2, 3],
            "backoff": [0, HOUR, {"type": "exponential", "delay": HOUR}],
            "removeOnComplete": [True, 1, 2],
            "removeOnFail": [True, 1],
            "deduplication": [{"id": "d"}, {"id": "d", "keepLastIfActive": True}, {"id": "e", "replace": True}],
        }.items():
            if self._random.random() < 0.3:
                chosen[name] = self._random.choice(values)
        return chosen

    def _take(self) -> None:
        # which one is known only when it runs: `end` works on whatever is held then
        self._operations.append(("take", self._random.randint(1, 3)))

    def _end(self) -> None:
        verb = self._random.choice(["complete", "complete", "fail", "fail", "fail_for_good"])
        self._operations.append((f"{verb}_the_oldest", f"outcome {len(self._operations)}"))

    def _change(self) -> None:
        job_id = self._random.choice([*self._added, "missing"])
        self._operations.append(
            self._random.choice(
                [
                    ("promote", job_id),
                    ("retry", job_id),
                    ("remove", job_id),
                    ("change_priority", job_id, self._random.randrange(3), self._random.random() < 0.5),
                    ("update_data", job_id, {"n": -1}),
                    ("progress", job_id, self._random.randrange(100)),
                    ("log", job_id, "row"),
                    ("pause",),
                    ("resume",),
                ]
            )
        )

    def _clear(self) -> None:
        state = self._random.choice(["completed", "failed", "wait", "delayed", "prioritized"])
        drain: Operation = ("drain", self._random.random() < 0.5)
        self._operations.append(self._random.choice([drain, ("clean", 0, self._random.choice([0, 1]), state)]))


def walk(seed: int) -> Case:
    return Case(f"walk_{seed}", Walk(seed).operations())
