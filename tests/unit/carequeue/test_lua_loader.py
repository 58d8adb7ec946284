"""Scripts are put together from their includes, each once, what is needed before what needs it."""

from __future__ import annotations

import hashlib

import pytest

from carequeue.lua.loader import FOLDER, load

NAMES = sorted(path.name.removesuffix("-1.lua") for path in (FOLDER / "commands").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_script_has_every_function_once_and_before_its_use(name: str) -> None:
    text = load(name).text
    assert "@include" not in text
    for line in text.splitlines():
        if line.startswith("local function "):
            function = line.removeprefix("local function ").partition("(")[0]
            assert text.count(f"local function {function}(") == 1
            assert text.index(f"{function}(") == text.index(f"local function {function}(") + len("local function ")


def test_a_script_is_named_by_its_hash() -> None:
    script = load("step")
    assert script.sha == hashlib.sha1(script.text.encode()).hexdigest()  # noqa: S324 - Redis names scripts so
    assert load("step") is script


def test_an_unknown_script_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        load("nothing")
