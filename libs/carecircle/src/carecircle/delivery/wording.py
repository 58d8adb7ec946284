"""Pieces of messages: dates, links, and what people typed, made harmless. The sentences are in `rendering`."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
JOINERS = "\u200c\u200d"
"""Format characters that names and emoji need. All others go: bidi controls can make a text read as another."""


def long_day(at: datetime) -> str:
    """`Tuesday 3 March 2026`, whatever the locale of the machine."""
    return f"{WEEKDAYS[at.weekday()]} {at.day} {MONTHS[at.month - 1]} {at.year}"


def plain(text: str, limit: int = 80) -> str:
    """One short line of what a person typed: no line breaks, controls or bidi marks, cut with an ellipsis."""
    kept = "".join(_kept(character) for character in text)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def occurrence_url(app_url: str | None, occurrence_id: UUID) -> str | None:
    """Where the app shows a dose as it is now; None without an app. Opening it never changes anything by itself."""
    return f"{app_url.rstrip('/')}/occurrences/{occurrence_id}" if app_url else None


def supply_url(app_url: str | None, patient_id: UUID) -> str | None:
    """Where the app shows what is there of a patient's medicines."""
    return f"{app_url.rstrip('/')}/patients/{patient_id}/supply" if app_url else None


def is_web_url(url: str) -> bool:
    """Whether it can stand in a header or a text as it is."""
    parts = urlsplit(url)
    harmless = url.isascii() and url.isprintable() and not set(url) & set(' <>"')
    return harmless and parts.scheme in ("http", "https") and bool(parts.hostname)


def _kept(character: str) -> str:
    category = unicodedata.category(character)
    if character in JOINERS:
        return character
    if category in ("Zl", "Zp", "Zs", "Cc"):
        return " "
    return "" if category in ("Cf", "Cs", "Co", "Cn") else character
