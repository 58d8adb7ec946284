"""The pieces of messages, and what they let through of people's own words."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecircle.delivery.wording import long_day, occurrence_url, plain

AT = datetime(2026, 3, 3, 8, 0)  # noqa: DTZ001 - a wall-clock time


def test_a_day_is_written_in_full() -> None:
    assert long_day(AT) == "Tuesday 3 March 2026"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Ana", "Ana"),
        ("  Ana \t Maria ", "Ana Maria"),
        ("Ana\r\nBcc: x@example.org", "Ana Bcc: x@example.org"),
        ("Ana\u2028Maria\u2029", "Ana Maria"),
        ("\u202egpj.exe\u202c \u2066x\u2069", "gpj.exe x"),
        ("A\x00n\x1ba\x7f", "A n a"),
        ("A\ud800na", "Ana"),
        ("Zoë 李小龍 محمد", "Zoë 李小龍 محمد"),
        ("👩\u200d👧 \u0645\u06cc\u200c\u062e", "👩\u200d👧 \u0645\u06cc\u200c\u062e"),
        ("x" * 81, "x" * 79 + "…"),
    ],
)
def test_a_name_becomes_one_short_harmless_line(typed: str, shown: str) -> None:
    assert plain(typed) == shown


@given(st.text(alphabet=st.characters()), st.integers(2, 100))
def test_whatever_is_typed_fits_one_line_and_can_be_encoded(typed: str, limit: int) -> None:
    shown = plain(typed, limit)

    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1
    assert plain(shown, limit) == shown
    shown.encode("utf-8")


def test_the_link_leads_to_the_dose() -> None:
    dose = UUID(int=7)

    assert occurrence_url("https://care.example/", dose) == f"https://care.example/occurrences/{dose}"
    assert occurrence_url(None, dose) is None
