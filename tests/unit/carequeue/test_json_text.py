"""JSON text as JavaScript writes it. The expected texts were taken from Node's JSON.stringify."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carequeue.errors import PayloadError
from carequeue.wire.json_text import parse, stringify, well_formed

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (123456789012345680.0, "123456789012345680"),
        (1.2345678901234567e20, "123456789012345670000"),
        (1e-6, "0.000001"),
        (1.5e-5, "0.000015"),
        (1e-7, "1e-7"),
        (-1.5e-7, "-1.5e-7"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (2**53, "9007199254740992"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_numbers_look_as_in_javascript(value: Any, text: str) -> None:
    assert stringify(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é☃𝄞", '"é☃𝄞"'),
        ("\u2028\x7f", '"\u2028\x7f"'),
        ('"\\/', '"\\"\\\\/"'),
        ("\b\t\n\f\r\x00\x1f", '"\\b\\t\\n\\f\\r\\u0000\\u001f"'),
        ("\ud800", '"\\ud800"'),
        ("a\udc00b", '"a\\udc00b"'),
        ("\ud83d\ude00", '"😀"'),
    ],
)
def test_texts_look_as_in_javascript(value: str, text: str) -> None:
    assert stringify(value) == text


@pytest.mark.parametrize(
    ("text", "expected"), [("plain", "plain"), ("é\ud800x", "é\ufffdx"), ("\ud83d\ude00", "😀"), ("\udc00", "\ufffd")]
)
def test_text_that_is_no_json_is_made_well_formed(text: str, expected: str) -> None:
    assert well_formed(text) == expected


def test_there_are_no_spaces_and_tuples_are_arrays() -> None:
    assert stringify({"a": (1, [2, {}]), "b": []}) == '{"a":[1,[2,{}]],"b":[]}'


def test_keys_that_look_like_indexes_come_first_in_order() -> None:
    value = {"b": 1, "10": 2, "2": 3, "01": 4, "4294967295": 5, "4294967294": 6, "-1": 7}
    assert stringify(value) == '{"2":3,"10":2,"4294967294":6,"b":1,"01":4,"4294967295":5,"-1":7}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_json_has_no_number_for_is_refused(value: float) -> None:
    with pytest.raises(PayloadError, match=r"^data\.a\.1: JSON has no"):
        stringify({"a": [0, value]})


@pytest.mark.parametrize("value", [{"a": {"b": object()}}, {"a": {"b": {1, 2}}}, {"a": {"b": b"x"}}])
def test_what_json_cannot_carry_is_refused_by_its_place(value: Any) -> None:
    with pytest.raises(PayloadError, match=r"^progress\.a\.b: JSON cannot carry a "):
        stringify(value, "progress")


def test_keys_are_text() -> None:
    with pytest.raises(PayloadError, match=r"^data\.a: a key of a JSON object is a string, got 1$"):
        stringify({"a": {1: 2}})


def test_a_value_that_holds_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(PayloadError, match="nested too deep"):
        stringify(ring)


@given(JSON_VALUES)
def test_what_is_written_reads_back_the_same(value: Any) -> None:
    # as JavaScript reads it: every number is a double
    assert json.loads(stringify(value), parse_int=float) == value


@pytest.mark.parametrize("text", ["", "{", "[1,]", "nul", '{"a":1} x'])
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(PayloadError, match="data: not JSON"):
        parse(text)


def test_text_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(PayloadError, match="not JSON"):
        parse("[" * 200_000)
