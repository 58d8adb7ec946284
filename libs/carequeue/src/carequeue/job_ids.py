"""Which ids a job may be given: BullMQ's rules, since its readers of the same keys hold to them."""

from __future__ import annotations

import re

from carequeue.errors import InvalidOption

INTEGER_LIKE = re.compile(r"-?\d+")
KEY_NAMES = frozenset(
    {
        *("wait", "active", "prioritized", "delayed", "completed", "failed", "waiting-children", "paused", "marker"),
        *("stalled", "stalled-check", "limiter", "meta", "events", "id", "pc", "priority", "repeat", "metrics"),
        "housekeeping",
    }
)
"""What follows `prefix:queue:` in the keys of a queue itself."""


def check_job_id(job_id: str) -> None:
    """Refuse what BullMQ refuses as a custom id.

    Raises:
        InvalidOption: empty, integer-like, "0", starting with "0:", with a colon other than in three segments, or the
            name of one of the queue's own keys.
    """
    if not job_id:
        raise InvalidOption("a job id is not empty")
    if INTEGER_LIKE.fullmatch(job_id):
        raise InvalidOption(f"a job id is not an integer (the queue counts its own), got {job_id!r}")
    if job_id.startswith("0:"):
        raise InvalidOption(f"a job id does not start with '0:' (old markers do), got {job_id!r}")
    if job_id in KEY_NAMES:
        raise InvalidOption(f"a job id is not the name of a key of the queue itself, got {job_id!r}")
    if not job_id.isprintable():
        raise InvalidOption(f"a job id is printable text, got {job_id!r}")
    if ":" in job_id and job_id.count(":") != 2:
        raise InvalidOption(f"a job id has no ':' (it separates Redis keys), got {job_id!r}")
