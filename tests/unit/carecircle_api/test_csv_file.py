"""CSV that no spreadsheet runs, and that every reader reads back."""

from __future__ import annotations

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecircle_api.exports.csv_file import csv_lines, safe_cell

FORMULA_STARTS = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001 - the wide forms are meant
printable = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t"), max_size=30)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30 1", "'+49 30 1"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("＝1", "'＝1"),  # noqa: RUF001 - the wide form is meant
        ("sick;=HYPERLINK()", "sick;'=HYPERLINK()"),
        ("a,-b", "a,'-b"),
        ("Metoprolol", "Metoprolol"),
        ("5-HTP", "5-HTP"),
        ("felt sick - better now", "felt sick - better now"),
        ("", ""),
    ],
)
def test_a_formula_becomes_text(text: str, safe: str) -> None:
    assert safe_cell(text) == safe


@given(st.lists(st.lists(printable, min_size=1, max_size=4), min_size=1, max_size=4))
def test_whatever_people_type_is_read_back_and_is_no_formula(rows: list[list[str]]) -> None:
    text = csv_lines(rows)
    read = list(csv.reader(StringIO(text, newline="")))
    assert read == [[safe_cell(cell) for cell in row] for row in rows]
    assert not [cell for row in read for cell in row if cell.startswith(tuple(FORMULA_STARTS))]
    assert [[cell.replace("'", "") for cell in row] for row in read] == [
        [cell.replace("'", "") for cell in row] for row in rows
    ]


def test_lines_are_those_of_rfc_4180() -> None:
    assert csv_lines([["a", 'say "x"'], ["two\nlines", ""]]) == '"a","say ""x"""\r\n"two\nlines",""\r\n'
