"""What becomes of speed when there is more: of waiting jobs, of worker processes, of delayed jobs.

G1  a queue of a few jobs, and one of very many: how fast each is drained, and the many at their begin and end
G2  one worker process, two, four: what they drain together
G3  jobs due at one second as in S4, alone and with very many that are due later
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.benchmarks.scenarios import check_once_each, due, fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.bench import Bench
    from tests.benchmarks.peers import Peer
    from tests.benchmarks.scenarios import Figures, Sizes

PROCESSES = (1, 2, 4)
WARM_SHARE = 0.4
"""The share of a queue that is drained while the processes start: what follows is measured."""

PATIENCE = 600.0


def drain_many(bench: Bench, peer: Peer, sizes: Sizes) -> Figures:
    few, many = _drained(bench, peer, sizes.drain), _drained(bench, peer, sizes.many)
    return {
        "few": _rate(few, 0, sizes.drain),
        "many": _rate(many, 0, sizes.many),
        "many_first": _rate(many, 0, sizes.drain),
        "many_last": _rate(many, sizes.many - sizes.drain, sizes.many),
    }


def _drained(bench: Bench, peer: Peer, count: int) -> list[float]:
    """When the handlers started, in order."""
    bench.clean(peer)
    fill(bench, peer, count)
    with bench.worker(peer, count, concurrency=peer.concurrency, patience=PATIENCE) as worker:
        saw = worker.result()
        check_once_each(saw, count)
        bench.expect_completed(peer, count)
    return sorted(saw["starts"])


def _rate(starts: list[float], first: int, end: int) -> float:
    return (end - first) / (starts[end - 1] - starts[first])


def processes(bench: Bench, peer: Peer, sizes: Sizes) -> Figures:
    return {f"processes_{number}": _together(bench, peer, sizes.shared, number) for number in PROCESSES}


def _together(bench: Bench, peer: Peer, count: int, number: int) -> float:
    """What workers drain together, by the count of completed jobs that the store has."""
    bench.clean(peer)
    fill(bench, peer, count)
    with ExitStack() as stack:
        for _ in range(number):  # none sees its count reached: they work until they are stopped
            stack.enter_context(bench.worker(peer, count + 1, concurrency=peer.concurrency, patience=PATIENCE))
        warm, began = bench.wait_until_completed(int(count * WARM_SHARE), PATIENCE)
        done, ended = bench.wait_until_completed(count, PATIENCE)
        bench.expect_completed(peer, count)
    return (done - warm) / (ended - began)


def due_among_many(bench: Bench, peer: Peer, sizes: Sizes) -> Figures:
    alone = due(bench, peer, sizes)
    among = due(bench, peer, sizes, behind=sizes.many)
    return {f"alone_{name}": value for name, value in alone.items()} | among


GROWTH: dict[str, Callable[[Bench, Peer, Sizes], Figures]] = {
    "G1": drain_many,
    "G2": processes,
    "G3": due_among_many,
}
