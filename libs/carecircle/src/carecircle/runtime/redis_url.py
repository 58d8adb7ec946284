"""The address that the queues and their workers get: what operators set, given up after two seconds without a reply."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

from carequeue import Inspector

COMMAND_TIMEOUT = timedelta(seconds=2)


def with_timeouts(url: str) -> str:
    """`url` with our timeouts, unless it says its own."""
    seconds = f"{COMMAND_TIMEOUT.total_seconds():g}"
    said = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    ours = [f"{name}={seconds}" for name in ("socket_timeout", "socket_connect_timeout") if name not in said]
    return f"{url}{'&' if '?' in url else '?'}{'&'.join(ours)}" if ours else url


def check_redis_url(url: str, prefix: str) -> None:
    """Whether a queue can be there, as far as the address tells.

    Raises:
        InvalidOption: it cannot; the message says why, without the password.
    """
    Inspector("queues", url, prefix=prefix)
