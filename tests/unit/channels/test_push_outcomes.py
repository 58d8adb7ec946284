"""What each answer of a push service means, row by row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from carecircle.domain.delivery import Ambiguous, Misconfigured, Outcome, Rejected, Sent, TryLater
from carecircle_push.outcomes import Problem, classify, classify_problem, wish
from carecircle_push.standing import ENOUGH_REFUSALS, KeyStanding

NOW = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)
WINDOW_END = NOW + timedelta(hours=4)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


STATUSES: list[tuple[int, Outcome]] = [
    (200, Sent(code="push_200")),
    (201, Sent(code="push_201")),
    (202, Sent(code="push_202")),
    (204, Sent(code="push_204")),
    # Never followed.
    *((status, TryLater(f"push_{status}")) for status in (301, 302, 303, 304, 307, 308)),
    # The subscription has ended.
    (404, Rejected("push_404", target_gone=True)),
    (410, Rejected("push_410", target_gone=True)),
    # Our bug; the subscription stays.
    *((status, Rejected(f"push_{status}")) for status in (400, 405, 406, 411, 413, 415, 422, 451)),
    # Our key.
    (401, Misconfigured("push_401")),
    (403, Misconfigured("push_403")),
    # Not now.
    *((status, TryLater(f"push_{status}")) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
    # Nothing that HTTP knows.
    (100, TryLater("push_100")),
    (700, TryLater("push_700")),
]


@pytest.mark.parametrize(("status", "outcome"), STATUSES, ids=[str(status) for status, _ in STATUSES])
def test_a_status_means(status: int, outcome: Outcome) -> None:
    assert classify(status, now=NOW, window_end=WINDOW_END) == outcome


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_one_subscription_stops_nothing_else(status: int) -> None:
    # Else anybody could stop everybody's pushes with a subscription made for another key.
    outcome = classify(status, now=NOW, window_end=WINDOW_END, only_this_one=True)

    assert outcome == Rejected(f"push_{status}")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_retry_after_is_heard(status: int) -> None:
    outcome = classify(status, "120", now=NOW, window_end=WINDOW_END)

    assert outcome == TryLater(f"push_{status}", minutes(2))


@pytest.mark.parametrize(
    ("header", "waits"),
    [
        ("0", minutes(0)),
        ("30", timedelta(seconds=30)),
        (" 30 ", timedelta(seconds=30)),
        ("Tue, 03 Mar 2026 08:10:00 GMT", minutes(10)),
        ("Tue, 03 Mar 2026 08:10:00", minutes(10)),
        ("Tue, 03 Mar 2026 07:00:00 GMT", minutes(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", minutes(60)),
        ("31536000", minutes(60)),
        ("9" * 400, minutes(60)),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣٠", None),
        ("Tue, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_a_wish_to_wait_is_seconds_or_a_date_and_never_absurd(header: str | None, waits: timedelta | None) -> None:
    assert wish(header, now=NOW, window_end=WINDOW_END) == waits


@pytest.mark.parametrize(
    ("left", "waits"), [(minutes(30), minutes(29)), (minutes(1), minutes(0)), (minutes(-5), minutes(0))]
)
def test_a_wish_beyond_the_window_leaves_one_last_try_inside_it(left: timedelta, waits: timedelta) -> None:
    assert wish("3600", now=NOW, window_end=NOW + left) == waits


@pytest.mark.parametrize("problem", Problem)
def test_no_answer_is_a_safe_retry_before_the_body_and_ambiguous_after_it(problem: Problem) -> None:
    assert classify_problem(problem, body_written=False) == TryLater(f"push_{problem}")
    assert classify_problem(problem, body_written=True) == Ambiguous(f"push_{problem}_after_body")


class TestKeyStanding:
    """Is it our key that a push service refuses, or one subscription made for another?"""

    def test_a_service_that_never_accepted_the_key_refuses_the_key(self) -> None:
        assert not KeyStanding().refused("https://a.example", "one")

    def test_after_an_acceptance_a_few_refusals_are_about_subscriptions(self) -> None:
        standing = KeyStanding()
        standing.accepted("https://a.example")

        few = [f"e{number}" for number in range(ENOUGH_REFUSALS - 1)]
        assert all(standing.refused("https://a.example", endpoint) for endpoint in few * 3)
        assert not standing.refused("https://a.example", "one more")
        assert not standing.refused("https://a.example", "e0")

    def test_an_acceptance_in_between_starts_anew_and_services_are_apart(self) -> None:
        standing = KeyStanding()
        for number in range(20):
            standing.accepted("https://a.example")
            assert standing.refused("https://a.example", f"e{number}")
        assert not standing.refused("https://b.example", "e0")
