"""A composed push message: what the channel writes and the provider encrypts and posts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class PushMessage:
    endpoint: str = field(repr=False)
    """A secret: whoever knows it can send to this browser."""
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)
    payload: bytes = field(repr=False)
    topic: str
    """A later message with the same topic replaces this one as long as it has not been delivered."""
    urgency: Literal["very-low", "low", "normal", "high"]
    window_end: datetime
    """Of no use to anybody after this: the push service drops it then."""
