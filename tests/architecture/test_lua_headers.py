"""A script's header is its contract: KEYS, ARGV, Output and Events agree with what the body and its includes do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import carequeue
from carequeue.wire.keys import QueueKeys

LUA = Path(carequeue.__file__).parent / "lua"
COMMANDS = sorted((LUA / "commands").glob("*.lua"))
INCLUDES = sorted((LUA / "includes").glob("*.lua"))
INCLUDE = re.compile(r'^--- @include "(\w+)"$', re.MULTILINE)
HEADER = re.compile(r"\A--\[\[\n(.*?)\n\]\]\n", re.DOTALL)
LISTED = re.compile(r"^  (KEYS|ARGV)\[(\d+)(…)?\] {1,}\S", re.MULTILINE)
USED = re.compile(r"\b(KEYS|ARGV)\[(\d+)\]")
WHOLE = re.compile(r"#ARGV\b")
EMITTED = re.compile(r"'event',\s*'([\w-]+)'")
EMITTED_BY_VARIABLE = re.compile(r"'event',\s*([^'\s][^,]*),")
FUNCTION = re.compile(r"^local function (\w+)", re.MULTILINE)


def header_and_body(path: Path) -> tuple[str, str]:
    text = path.read_text()
    found = HEADER.match(text)
    assert found, f"{path.name} opens with its contract"
    return found.group(1), text[found.end() :]


def with_includes(text: str, seen: set[str] | None = None) -> str:
    seen = set() if seen is None else seen
    parts = [text]
    for name in INCLUDE.findall(text):
        if name not in seen:
            seen.add(name)
            parts.append(with_includes((LUA / "includes" / f"{name}.lua").read_text(), seen))
    return "\n".join(parts)


def without_comments(text: str) -> str:
    return re.sub(r"--(?!\[\[|- @).*", "", re.sub(r"--\[\[.*?\]\]", "", text, flags=re.DOTALL))


def ids(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


@pytest.mark.parametrize("path", COMMANDS, ids=ids(COMMANDS))
def test_the_header_lists_exactly_the_keys_and_arguments_that_the_body_reads(path: Path) -> None:
    header, body = header_and_body(path)
    listed = {(kind, int(number)) for kind, number, _ in LISTED.findall(header)}
    repeated = {(kind, int(number)) for kind, number, more in LISTED.findall(header) if more}
    used = {(kind, int(number)) for kind, number in USED.findall(without_comments(body))}

    assert used <= listed
    assert listed - used <= repeated, "listed, never read"
    assert bool(repeated) == bool(WHOLE.search(body)), "repeated groups are marked with … and read up to #ARGV"
    for kind in ("KEYS", "ARGV"):
        numbers = sorted(number for listed_kind, number in listed if listed_kind == kind)
        assert numbers == list(range(1, len(numbers) + 1)), f"{kind} are numbered without a gap"


@pytest.mark.parametrize("path", COMMANDS, ids=ids(COMMANDS))
def test_the_file_name_says_how_many_keys_there_are(path: Path) -> None:
    header, _ = header_and_body(path)
    keys = sum(kind == "KEYS" for kind, _, _ in LISTED.findall(header))
    assert path.stem.rpartition("-")[2] == str(keys)


@pytest.mark.parametrize("path", COMMANDS, ids=ids(COMMANDS))
def test_the_header_lists_exactly_the_events_that_can_be_emitted(path: Path) -> None:
    header, body = header_and_body(path)
    found = re.search(r"^  Events: ([\w, -]+)$", header, re.MULTILINE)
    assert found, "the header has a line 'Events: …' or 'Events: none'"
    listed = set() if found.group(1) == "none" else set(found.group(1).split(", "))
    code = without_comments(with_includes(body))
    assert EMITTED_BY_VARIABLE.findall(code) == [], "the name of an event is written out, so that it can be found"
    assert set(EMITTED.findall(code)) == listed


@pytest.mark.parametrize("path", COMMANDS, ids=ids(COMMANDS))
def test_the_header_says_what_comes_back(path: Path) -> None:
    header, body = header_and_body(path)
    assert re.search(r"^  Output: \S", header, re.MULTILINE)
    assert ("Output: nothing" not in header) == bool(re.search(r"^\s*return\b", body, re.MULTILINE))


@pytest.mark.parametrize("path", INCLUDES, ids=ids(INCLUDES))
def test_an_include_is_one_function_named_after_its_file(path: Path) -> None:
    assert FUNCTION.findall(path.read_text()) == [path.stem]


def test_every_include_is_used() -> None:
    used = {name for path in [*COMMANDS, *INCLUDES] for name in INCLUDE.findall(path.read_text())}
    assert {path.stem for path in INCLUDES} == used


def test_what_is_included_is_called() -> None:
    idle = [
        f"{path.name}: {name}"
        for path in [*COMMANDS, *INCLUDES]
        for name in INCLUDE.findall(path.read_text())
        if not re.search(rf"\b{name}\(", without_comments(path.read_text()))
    ]
    assert idle == []


def test_scripts_and_python_name_the_keys_alike() -> None:
    written = dict(re.findall(r"(\w+) = '([\w:-]+)'", (LUA / "includes" / "queueKeys.lua").read_text()))
    asked = {name for path in [*COMMANDS, *INCLUDES] for name in re.findall(r"\bkeys\.(\w+)", path.read_text())}
    lua = {written.get(name, name) for name in asked - {"base"}}
    names = (name for name, value in vars(QueueKeys).items() if isinstance(value, property))
    python = {getattr(QueueKeys("bull", "q"), name).removeprefix("bull:q:") for name in names}
    assert written
    assert lua <= python
