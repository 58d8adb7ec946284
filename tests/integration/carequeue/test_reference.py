"""The reference is what the docstrings say now."""

from __future__ import annotations

from infra import reference


def test_the_reference_is_what_the_docstrings_say() -> None:
    assert reference.PAGE.read_text("utf-8") == reference.reference(), "write it anew: make docs"
