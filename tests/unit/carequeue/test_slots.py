"""The ledger of a worker: what it asks for, what it reports, and that no slot and no wake-up gets lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from carequeue.worker.slots import Flight, Slots

if TYPE_CHECKING:
    from carequeue.worker.outcome import Outcome


def outcome(name: object) -> Outcome:
    """The ledger never looks inside."""
    return cast("Outcome", name)


def fly(slots: Slots) -> Flight:
    flight = slots.next_flight()
    assert flight is not None
    return flight


def test_a_new_worker_asks_for_as_many_jobs_as_fit_and_one_call_may_bring() -> None:
    slots = Slots(concurrency=7, batch=5)
    first = fly(slots)
    assert slots.next_flight() is None, "one call looks for jobs: the other would hold up its reply"
    slots.landed(first, 5)
    second = fly(slots)
    assert (first.fetch, second.fetch) == (5, 2)
    assert (first.token_from, second.token_from) == (0, 5)
    assert slots.next_flight() is None


def test_what_ended_while_calls_were_under_way_goes_out_together() -> None:
    slots = Slots(concurrency=5, batch=3)
    slots.landed(fly(slots), 3)
    slots.landed(fly(slots), 2)
    for name in "abcde":
        slots.ended(outcome(name))
    assert (list(fly(slots).outcomes), list(fly(slots).outcomes)) == (["a", "b", "c"], ["d", "e"])


def test_a_call_that_found_nothing_lets_the_worker_rest_until_it_is_woken() -> None:
    slots = Slots(concurrency=2, batch=5)
    slots.landed(fly(slots), 0)
    assert slots.next_flight() is None
    assert slots.idle.is_set()
    assert slots.quiet.is_set()
    slots.wake()
    assert not slots.idle.is_set()
    assert fly(slots).fetch == 2


def test_a_wake_up_during_a_call_that_found_nothing_is_not_lost() -> None:
    """The job may have been added after the script looked and before its reply came."""
    slots = Slots(concurrency=2, batch=5)
    flight = fly(slots)
    slots.wake()
    slots.landed(flight, 0)
    assert fly(slots).fetch == 2


def test_a_wake_up_without_a_free_slot_is_given_back() -> None:
    slots = Slots(concurrency=1, batch=5)
    slots.landed(fly(slots), 1)
    assert slots.next_flight() is None
    slots.rang()
    giving_back = fly(slots)
    assert (giving_back.fetch, list(giving_back.outcomes)) == (0, [])


def test_a_paused_worker_reports_but_takes_nothing() -> None:
    slots = Slots(concurrency=2, batch=5)
    slots.landed(fly(slots), 2)
    slots.pause()
    slots.ended(outcome("a"))
    flight = fly(slots)
    assert (list(flight.outcomes), flight.fetch) == (["a"], 0)
    slots.landed(flight, 0)
    assert slots.next_flight() is None
    slots.resume()
    assert fly(slots).fetch == 1


def test_a_call_without_an_answer_is_repeated_without_fetching() -> None:
    slots = Slots(concurrency=2, batch=5)
    slots.landed(fly(slots), 1)
    slots.ended(outcome("a"))
    lost = fly(slots)
    assert lost.fetch == 2
    slots.lost(lost)
    again = fly(slots)
    assert (list(again.outcomes), again.fetch, again.repeated) == (["a"], 0, True)
    slots.landed(again, 0)
    assert fly(slots).fetch == 2  # a new fetch under new tokens
    assert slots._tokens == 2 + 2 + 2


def test_a_refused_call_is_taken_apart_and_only_the_culprit_is_given_up() -> None:
    slots = Slots(concurrency=3, batch=5)
    slots.landed(fly(slots), 3)
    for name in ("good", "bad", "fine"):
        slots.ended(outcome(name))
    assert slots.refused(fly(slots)) == ()
    alone = fly(slots)
    assert list(alone.outcomes) == ["good"]
    slots.landed(alone, 0)
    bad = fly(slots)
    assert list(slots.refused(bad)) == ["bad"]
    assert list(fly(slots).outcomes) == ["fine"]


def test_a_job_that_was_given_up_is_reported_and_keeps_its_slot() -> None:
    slots = Slots(concurrency=1, batch=5)
    slots.landed(fly(slots), 1)
    slots.given_up(outcome("a"))
    flight = fly(slots)
    assert (list(flight.outcomes), flight.fetch) == (["a"], 0)
    slots.landed(flight, 0)
    assert slots.next_flight() is None
    assert not slots.quiet.is_set()
    slots.released()
    assert fly(slots).fetch == 1


class Ledger(RuleBasedStateMachine):
    """Whatever happens in whatever order: at most `concurrency` jobs run, and every one is reported exactly once."""

    def __init__(self) -> None:
        super().__init__()
        self.flights: list[Flight] = []
        self.running: list[int] = []
        self.given_up: list[int] = []
        self.unheard: set[int] = set()
        self.names = iter(range(10**9))

    @initialize(concurrency=st.integers(1, 6), batch=st.integers(1, 4))
    def begin(self, concurrency: int, batch: int) -> None:
        self.slots = Slots(concurrency, batch)

    @precondition(lambda self: len(self.flights) < 2)
    @rule()
    def send(self) -> None:
        if flight := self.slots.next_flight():
            self.flights.append(flight)

    @precondition(lambda self: self.flights)
    @rule(data=st.data())
    def land(self, data: st.DataObject) -> None:
        flight = self.flights.pop(data.draw(st.integers(0, len(self.flights) - 1)))
        fetched = data.draw(st.integers(0, flight.fetch))
        self.slots.landed(flight, fetched)
        self.running += [next(self.names) for _ in range(fetched)]
        for name in flight.outcomes:
            self.unheard.remove(cast("Any", name))

    @precondition(lambda self: self.flights)
    @rule()
    def lose(self) -> None:
        self.slots.lost(self.flights.pop(0))

    @precondition(lambda self: self.running)
    @rule()
    def end(self) -> None:
        name = self.running.pop(0)
        self.unheard.add(name)
        self.slots.ended(outcome(name))

    @precondition(lambda self: self.running)
    @rule()
    def give_up(self) -> None:
        name = self.running.pop(0)
        self.given_up.append(name)
        self.unheard.add(name)
        self.slots.given_up(outcome(name))

    @precondition(lambda self: self.given_up)
    @rule()
    def end_at_last(self) -> None:
        self.given_up.pop()
        self.slots.released()

    @precondition(lambda self: self.running)
    @rule()
    def drop(self) -> None:
        self.running.pop()
        self.slots.released()

    @rule()
    def ring(self) -> None:
        self.slots.rang()

    @rule()
    def pause(self) -> None:
        self.slots.pause()

    @rule()
    def resume(self) -> None:
        self.slots.resume()

    @invariant()
    def never_too_many(self) -> None:
        if hasattr(self, "slots"):
            asked = sum(flight.fetch for flight in self.flights)
            assert len(self.running) + len(self.given_up) + asked <= self.slots.concurrency

    @invariant()
    def rest_means_nothing_left_to_report(self) -> None:
        if hasattr(self, "slots") and not self.flights and not self.slots.work.is_set():
            assert not self.unheard

    def teardown(self) -> None:
        if not hasattr(self, "slots"):
            return
        for flight in self.flights:
            self.slots.lost(flight)
        self.slots.stop()
        while self.running:
            self.end()
        self.flights = []
        while flight := self.slots.next_flight():
            self.slots.landed(flight, 0)
            self.unheard -= set(cast("Any", flight.outcomes))
        assert not self.unheard
        assert self.slots.flushed.is_set()


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
