"""What follows from each outcome of a send, row by row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from carecircle.domain.delivery import (
    ACTIONS,
    MAX_BACKOFF,
    Ambiguous,
    Attempt,
    Broken,
    Decision,
    DeliveryState,
    Misconfigured,
    Outcome,
    Rejected,
    Sent,
    TryLater,
    backoff,
    decide,
    next_attempt,
    unsent,
    used_up,
)

NOW = datetime(2026, 3, 7, 8, 0, tzinfo=UTC)
WINDOW = NOW + timedelta(hours=6)
BASE = timedelta(minutes=1)


def after(**wait: float) -> datetime:
    return NOW + timedelta(**wait)


def first(*, number: int = 1, ambiguous: int = 0, errors: int = 0, expires_at: datetime = WINDOW) -> Attempt:
    return Attempt(number, ambiguous, errors, expires_at)


def after_it(outcome: Outcome | Broken, attempt: Attempt, luck: float = 0.0) -> Decision:
    return decide(outcome, attempt, now=NOW, retry_base=BASE, luck=luck)


RETRY, FAILED, EXPIRED, AMBIGUOUS = (
    DeliveryState.RETRY,
    DeliveryState.FAILED,
    DeliveryState.EXPIRED,
    DeliveryState.AMBIGUOUS,
)
CLOSING = after(seconds=20)
TABLE = {
    "sent": (Sent(), first(), Decision(DeliveryState.SENT, "sent", 0, 0)),
    "sent after doubt": (Sent(), first(number=2, ambiguous=1), Decision(DeliveryState.SENT, "sent", 1, 0)),
    "refused for now": (TryLater("smtp_451"), first(), Decision(RETRY, "smtp_451", 0, 0, after(minutes=1))),
    "refused again": (TryLater("smtp_451"), first(number=3), Decision(RETRY, "smtp_451", 0, 0, after(minutes=4))),
    "asked to wait longer": (
        TryLater("push_429", timedelta(minutes=7)),
        first(),
        Decision(RETRY, "push_429", 0, 0, after(minutes=7)),
    ),
    "asked to wait less": (
        TryLater("push_429", timedelta(seconds=1)),
        first(),
        Decision(RETRY, "push_429", 0, 0, after(minutes=1)),
    ),
    "asked to wait past the window": (
        TryLater("push_429", timedelta(days=400)),
        first(),
        Decision(EXPIRED, "push_429", 0, 0),
    ),
    "refused near the end": (
        TryLater("smtp_451"),
        first(number=9, expires_at=after(minutes=5)),
        Decision(RETRY, "smtp_451", 0, 0, after(minutes=4, seconds=30)),
    ),
    "refused at the end": (TryLater("smtp_451"), first(expires_at=CLOSING), Decision(EXPIRED, "smtp_451", 0, 0)),
    "refused at the end after doubt": (
        TryLater("smtp_451"),
        first(ambiguous=1, expires_at=CLOSING),
        Decision(AMBIGUOUS, "smtp_451", 1, 0),
    ),
    "rejected": (Rejected("smtp_554"), first(), Decision(FAILED, "smtp_554", 0, 0)),
    "target gone": (Rejected("push_410", target_gone=True), first(), Decision(FAILED, "push_410", 0, 0)),
    "in doubt": (Ambiguous("no_reply"), first(), Decision(RETRY, "no_reply", 1, 0, after(seconds=60))),
    "in doubt twice": (
        Ambiguous("no_reply"),
        first(number=5, ambiguous=1),
        Decision(RETRY, "no_reply", 2, 0, after(seconds=60)),
    ),
    "in doubt thrice": (Ambiguous("no_reply"), first(ambiguous=2), Decision(AMBIGUOUS, "no_reply", 3, 0)),
    "in doubt at the end": (
        Ambiguous("no_reply"),
        first(expires_at=CLOSING),
        Decision(AMBIGUOUS, "no_reply", 1, 0),
    ),
    "our password": (
        Misconfigured("smtp_535"),
        first(number=40),
        Decision(RETRY, "smtp_535", 0, 0, after(seconds=60), pauses_channel=True),
    ),
    "our bug": (Broken(), first(), Decision(RETRY, "error", 0, 1, after(minutes=1))),
    "our bug again": (Broken(), first(number=2, errors=1), Decision(RETRY, "error", 0, 2, after(minutes=2))),
    "our bug a third time": (Broken(), first(number=3, errors=2), Decision(FAILED, "error", 0, 3)),
}


@pytest.mark.parametrize(("outcome", "attempt", "decision"), TABLE.values(), ids=TABLE)
def test_every_outcome_has_its_action(outcome: Outcome | Broken, attempt: Attempt, decision: Decision) -> None:
    assert after_it(outcome, attempt) == decision


def test_the_table_covers_every_outcome() -> None:
    assert set(ACTIONS) == {*get_args(Outcome), Broken}


@pytest.mark.parametrize("outcome", [TryLater("x"), Ambiguous("x"), Misconfigured("x"), Broken()])
def test_only_a_retry_has_a_next_attempt_and_it_lies_in_the_window(outcome: Outcome | Broken) -> None:
    for number in range(1, 30):
        for seconds in (1, 31, 59, 61, 3600):
            attempt = first(number=number, expires_at=after(seconds=seconds))
            decision = after_it(outcome, attempt, luck=1.0)
            assert (decision.state is RETRY) == (decision.next_attempt_at is not None)
            assert decision.next_attempt_at is None or NOW < decision.next_attempt_at < attempt.expires_at


def test_backoff_doubles_up_to_a_cap_and_jitter_only_shortens_it() -> None:
    assert [backoff(number, BASE, 0.0).total_seconds() for number in (1, 2, 3, 4, 5, 50)] == [
        60,
        120,
        240,
        480,
        900,
        900,
    ]
    assert backoff(1, BASE, 1.0) == timedelta(seconds=48)
    assert backoff(9, timedelta(hours=1), 0.0) == timedelta(hours=1) > MAX_BACKOFF


def test_a_providers_wish_is_never_shortened() -> None:
    wish = timedelta(minutes=5)
    assert next_attempt(NOW, timedelta(minutes=30), wish, after(minutes=10)) == after(minutes=9, seconds=30)
    assert next_attempt(NOW, timedelta(minutes=30), wish, after(minutes=5, seconds=20)) is None


def test_a_delivery_that_keeps_losing_its_worker_ends() -> None:
    assert used_up(first(number=3, ambiguous=2, errors=2)) is None
    assert used_up(first(number=4, errors=3)) == Decision(FAILED, "error", 0, 3)
    assert used_up(first(number=4, ambiguous=3)) == Decision(AMBIGUOUS, "worker_lost", 3, 0)


@pytest.mark.parametrize(
    ("reason", "ambiguous", "state"),
    [
        ("answered", 0, DeliveryState.CANCELLED),
        ("channel_off", 0, DeliveryState.CANCELLED),
        ("expired", 0, DeliveryState.EXPIRED),
        ("answered", 1, DeliveryState.AMBIGUOUS),
        ("expired", 1, DeliveryState.AMBIGUOUS),
    ],
)
def test_what_is_not_wanted_any_more_says_why(reason: str, ambiguous: int, state: DeliveryState) -> None:
    assert unsent(first(ambiguous=ambiguous), reason) == Decision(state, reason, ambiguous, 0)
