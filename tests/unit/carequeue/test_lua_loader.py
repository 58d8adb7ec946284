"""Scripts are put together from their includes, each once, what is needed before what needs it."""

from __future__ import annotations

import hashlib
import re

import pytest

from carequeue.lua.loader import FOLDER, load

OPENING = re.compile(r"^local function (\w+)\(", re.MULTILINE)
LATE = re.compile(r"^local function (\w+)\(\.\.\.\)\n.*?^return \1\(\.\.\.\)\nend$", re.MULTILINE | re.DOTALL)
NAMES = sorted(path.name.removesuffix("-1.lua") for path in (FOLDER / "commands").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_script_has_every_function_once_and_before_its_use(name: str) -> None:
    """In what is made at each call; what a late function keeps to itself is another's beside that."""
    text = load(name).text
    assert "@include" not in text
    assert "@late" not in text
    outside = LATE.sub(r"local function \1(", text)
    for function in OPENING.findall(outside):
        assert outside.count(f"local function {function}(") == 1
        assert outside.index(f"{function}(") == outside.index(f"local function {function}(") + len("local function ")


@pytest.mark.parametrize("name", NAMES)
def test_a_late_function_has_all_that_it_needs_before_its_own_text(name: str) -> None:
    text = load(name).text
    around = set(OPENING.findall(LATE.sub("", text)))
    for late in LATE.finditer(text):
        own = OPENING.findall(late[0])[1:]
        assert len(own) == len(set(own))
        assert not around & set(own), "it would not share what the others have"
        for needed in own:
            assert late[0].index(f"{needed}(") == late[0].index(f"local function {needed}(") + len("local function ")


def test_what_is_late_costs_a_call_nothing_but_its_name() -> None:
    text = load("step").text
    assert {"failJob", "returnJob", "releaseDeduplication"} <= set(LATE.findall(text))
    assert "local function sendLetter(" not in LATE.sub("", text)


def test_a_script_is_named_by_its_hash() -> None:
    script = load("step")
    assert script.sha == hashlib.sha1(script.text.encode()).hexdigest()  # noqa: S324 - Redis names scripts so
    assert load("step") is script


def test_an_unknown_script_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        load("nothing")
