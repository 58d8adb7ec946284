"""Instants and durations to and from the milliseconds of the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970, rounded down: never later than said."""
    return (at - EPOCH) // MILLISECOND


def from_ms(ms: float) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def span_ms(span: timedelta) -> int:
    """A duration in milliseconds, rounded up: a wait is never shorter than said."""
    return -(-span // MILLISECOND)
