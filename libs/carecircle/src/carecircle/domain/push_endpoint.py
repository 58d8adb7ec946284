"""Which addresses a push message may be sent to: checked when a browser subscribes and again before each send.

An endpoint comes from a client, and our worker connects to it: without this rule it could be pointed at any address
inside our network. The channel's connector checks the resolved addresses as well; names alone can lie.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from carecircle.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_LENGTH = 2048
PUSH_HOSTS = (
    "fcm.googleapis.com",
    "android.googleapis.com",
    "updates.push.services.mozilla.com",
)
PUSH_HOST_SUFFIXES = (
    ".push.services.mozilla.com",
    ".push.apple.com",
    ".notify.windows.com",
)
FIELD = "endpoint"


def check_endpoint(url: str, extra_origins: Collection[str] = ()) -> None:
    """Raise `Invalid` unless the URL leads to a push service.

    `extra_origins` are exact origins (`https://push.example.org`, `http://127.0.0.1:8099`) that the operator trusts
    beside the public push services; the rules for hosts do not apply to them.
    """
    parts = _split(url)
    if parts.username is not None or parts.password is not None:
        raise Invalid("A push endpoint has no user name or password.", field=FIELD)
    if parts.fragment:
        raise Invalid("A push endpoint has no fragment.", field=FIELD)
    if origin(url) in {trusted.rstrip("/").lower() for trusted in extra_origins}:
        return
    if parts.scheme != "https":
        raise Invalid("A push endpoint starts with https://.", field=FIELD)
    if parts.port not in (None, 443):
        raise Invalid("A push endpoint uses port 443.", field=FIELD)
    _check_host(parts.hostname or "")


def origin(url: str) -> str:
    """Scheme, host and port if it is not the scheme's own: what a VAPID token's `aud` names."""
    parts = _split(url)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    own_port = {"https": 443, "http": 80}.get(parts.scheme)
    port = "" if parts.port in (None, own_port) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _split(url: str) -> SplitResult:
    # urlsplit drops tabs and newlines silently and lets other clients see another host: refuse before parsing.
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise Invalid("A push endpoint is an ASCII URL without spaces or backslashes.", field=FIELD)
    if len(url) > MAX_LENGTH:
        raise Invalid(f"A push endpoint has at most {MAX_LENGTH} characters.", field=FIELD)
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed only when read
    except ValueError as error:
        raise Invalid("This is not a URL.", field=FIELD) from error
    return parts


def _check_host(host: str) -> None:
    if _is_address(host):
        raise Invalid("A push endpoint names a host, not an address.", field=FIELD)
    if host not in PUSH_HOSTS and not host.endswith(PUSH_HOST_SUFFIXES):
        raise Invalid("This host is not a known push service.", field=FIELD)


def _is_address(host: str) -> bool:
    """Also of the forms that only some resolvers understand: `0x7f.1`, `2130706433`, a trailing dot."""
    bare = host.strip("[]").rstrip(".")
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        last = bare.rsplit(".", 1)[-1]
        return not last or last.isdigit() or last.startswith("0x")
    return True
