"""Which lines of a service people see, and the log files that keep all of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from carecircle_cli.up.logs import LONGEST, Lines, LogFile, brief, shown

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ('{"event": "delivery.sent", "level": "info"}', None),
        (
            '{"event": "smtp.refused", "level": "warning", "logger": "x", "status_code": 451}',
            "smtp.refused status_code=451",
        ),
        ('{"event": "service.crashed", "level": "error", "exception": "KeyError at a.py:1"}', "service.crashed"),
        ('{"event": "a", "level": "ERROR", "until": null}', "a"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("[1, 2]", "[1, 2]"),
        ("", None),
        ("   ", None),
    ],
)
def test_only_what_needs_attention_is_shown(line: str, seen: str | None) -> None:
    assert shown(line) == seen


def test_a_line_is_never_longer_than_a_person_reads() -> None:
    assert len(brief(json.dumps({"event": "x" * 5000}))) == LONGEST
    assert len(brief("x" * 5000)) == LONGEST


def test_lines_are_whole_whatever_the_chunks() -> None:
    lines = Lines()
    assert lines.feed(b"one\ntw") == ["one"]
    assert lines.feed(b"o\r\nthree") == ["two"]
    assert lines.feed(b"\n\xc3") == ["three"]
    assert lines.feed(b"\xa9\n") == ["é"]


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    lines = Lines(longest=10)
    assert lines.feed(b"x" * 11) == ["x" * 11]
    assert lines.feed(b"y\n") == ["y"]


def test_a_full_log_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "api.log"
    with LogFile(path, largest=10) as log:
        for text in (b"0123456789", b"a", b"b"):
            assert log.write(text) is None
    assert path.read_bytes() == b"b"
    assert path.with_name("api.log.1").read_bytes() == b"0123456789a"
