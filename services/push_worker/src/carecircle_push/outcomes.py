"""What a push service's answer, or its silence, means for one message (RFC 8030). Pure; the rules are a table.

Before the body was written nothing was taken. After it only an answer tells, and silence is `Ambiguous`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum, StrEnum, auto

from carecircle.domain.delivery import Ambiguous, Misconfigured, Outcome, Rejected, Sent, TryLater

MAX_RETRY_AFTER = timedelta(hours=1)
LAST_CALL = timedelta(minutes=1)
"""A wish to wait beyond the message's window is cut to this long before its end."""
KEY_REFUSED = frozenset({401, 403})
SECONDS = re.compile(r"[0-9]+")


class Problem(StrEnum):
    """What went wrong when there is no status to go by."""

    DNS = "dns"
    ADDRESS_REFUSED = "address_refused"
    """The host's name leads into a private network."""
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    BAD_REPLY = "bad_reply"


class Verdict(Enum):
    SENT = auto()
    RETRY = auto()
    RETRY_AFTER = auto()
    """When the service wishes, if it says so."""
    GONE = auto()
    REJECTED = auto()
    OUR_KEY = auto()
    """Our VAPID key or token is refused."""


@dataclass(frozen=True, slots=True)
class StatusRule:
    verdict: Verdict
    statuses: range | frozenset[int]


STATUS_RULES: tuple[StatusRule, ...] = (
    StatusRule(Verdict.SENT, range(200, 300)),
    # Hostile or moved: never followed, and it may be a gateway's passing mood.
    StatusRule(Verdict.RETRY, range(300, 400)),
    StatusRule(Verdict.GONE, frozenset({404, 410})),
    StatusRule(Verdict.OUR_KEY, KEY_REFUSED),
    StatusRule(Verdict.RETRY_AFTER, frozenset({408, 425, 429})),
    # 400 and 413 are bugs of ours; the subscription may be fine.
    StatusRule(Verdict.REJECTED, range(400, 500)),
    StatusRule(Verdict.RETRY_AFTER, range(500, 600)),
)


def classify(
    status: int,
    retry_after: str | None = None,
    *,
    now: datetime,
    window_end: datetime,
    only_this_one: bool = False,
) -> Outcome:
    """The outcome of a message that got this status.

    `only_this_one`: a 401 or 403 is about this subscription, made for another key, and not about ours. Such a one
    must not stop the messages of everybody else.
    """
    verdict = next((rule.verdict for rule in STATUS_RULES if status in rule.statuses), Verdict.RETRY)
    code = f"push_{status}"
    match verdict:
        case Verdict.SENT:
            return Sent(code=code)
        case Verdict.RETRY:
            return TryLater(code)
        case Verdict.RETRY_AFTER:
            return TryLater(code, wish(retry_after, now=now, window_end=window_end))
        case Verdict.GONE:
            return Rejected(code, target_gone=True)
        case Verdict.REJECTED:
            return Rejected(code)
        case Verdict.OUR_KEY:
            return Rejected(code) if only_this_one else Misconfigured(code)


def classify_problem(problem: Problem, *, body_written: bool) -> Outcome:
    """The outcome of a message that got no answer."""
    return Ambiguous(f"push_{problem}_after_body") if body_written else TryLater(f"push_{problem}")


def wish(header: str | None, *, now: datetime, window_end: datetime) -> timedelta | None:
    """How long a Retry-After asks us to wait: seconds or a date, cut to the message's window; None if it is neither.

    A service that asks for a year is heard as far as is of use to the person waiting for the message.
    """
    asked = _asked(header.strip(), now) if header else None
    if asked is None:
        return None
    cap = min(MAX_RETRY_AFTER, window_end - now - LAST_CALL)
    return max(min(asked, cap), timedelta(0))


def _asked(header: str, now: datetime) -> timedelta | None:
    if SECONDS.fullmatch(header):
        return timedelta(seconds=int(header)) if len(header) < 9 else MAX_RETRY_AFTER
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
