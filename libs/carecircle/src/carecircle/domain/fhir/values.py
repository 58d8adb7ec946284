"""JSON of others, read with its path: what is no FHIR is refused with where, what would be right and nothing else."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from carecircle.domain.errors import Invalid
from carecircle.domain.text import check_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from carecircle.domain.fhir.terms import Json

DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-](?:0\d|1[0-4]):[0-5]\d)", re.ASCII)
PARTIAL = re.compile(r"\d{4}(-\d{2})?", re.ASCII)
LONGEST_TEXT = 10_000
LONGEST_SHOWN = 300
MOST_LEVELS = 8
DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Unclear(Exception):
    """FHIR, but nothing that one of our schedules means exactly. Said, and kept as text."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        self.why = why
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Node:
    """One object and where it is."""

    data: Json
    path: str

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        return name in self.data

    def value(self, name: str) -> Any:
        return self.data.get(name)

    def child(self, name: str) -> Node | None:
        value = self.value(name)
        return None if value is None else node(value, self.at(name))

    def children(self, name: str) -> list[Node]:
        return [node(item, path) for item, path in self.items(name)]

    def items(self, name: str) -> Iterator[tuple[Any, str]]:
        value = self.value(name)
        if value is None:
            return
        if not isinstance(value, list) or not value:
            raise Invalid("Give a list with something in it.", field=self.at(name))
        for number, item in enumerate(cast("list[Any]", value)):
            yield item, f"{self.at(name)}.{number}"

    def text(self, name: str) -> str | None:
        value = self.value(name)
        return None if value is None else text(value, self.at(name))

    def texts(self, name: str) -> list[str]:
        return [text(item, path) for item, path in self.items(name)]

    def code(self, name: str, known: Collection[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in known:
            raise Invalid(f"Unknown code; there is: {', '.join(known)}.", field=self.at(name))
        return value

    def number(self, name: str) -> Decimal | None:
        value = self.value(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Invalid("Give a number.", field=self.at(name))
        return Decimal(repr(value))

    def whole(self, name: str) -> int | None:
        value = self.number(name)
        if value is None:
            return None
        if value != value.to_integral_value() or not 1 <= value <= 1_000_000:
            raise Invalid("Give a whole number from 1 on.", field=self.at(name))
        return int(value)

    def flag(self, name: str) -> bool | None:
        value = self.value(name)
        if value is not None and not isinstance(value, bool):
            raise Invalid("Give true or false.", field=self.at(name))
        return value

    def moment(self, name: str) -> date | datetime | None:
        """A date, or an aware instant.

        Raises:
            Unclear: only a year or a month is given.
        """
        value = self.text(name)
        if value is None:
            return None
        if PARTIAL.fullmatch(value):
            raise Unclear(self.at(name), "Only a year or a month is given; give the day.")
        try:
            if DATE.fullmatch(value):
                return date.fromisoformat(value)
            if DATE_TIME.fullmatch(value):
                return datetime.fromisoformat(value)
        except ValueError:
            pass
        raise Invalid('Give a date as "2026-11-24", or an instant with its offset.', field=self.at(name))

    def others(self, *known: str) -> list[tuple[str, Any]]:
        """The members beside these, with their paths."""
        return [(self.at(name), value) for name, value in self.data.items() if name not in known]


def node(value: Any, path: str) -> Node:
    if not isinstance(value, dict):
        raise Invalid("Give an object.", field=path or "resource")
    return Node(cast("Json", value), path)


def text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Invalid("Give a text that is not empty.", field=path)
    if len(value) > LONGEST_TEXT:
        raise Invalid(f"Give at most {LONGEST_TEXT:,} characters.", field=path)
    if not DIRECTION_MARKS.isdisjoint(value):
        raise Invalid("There are characters that make a text read differently from what it says.", field=path)
    return check_text(" ".join(value.split()), field=path)


def concept_text(concept: Node) -> str | None:
    """What a CodeableConcept says to people: its text, else what its first coding says."""
    said = concept.text("text")
    for coding in concept.children("coding"):
        said = said or coding.text("display") or coding.text("code")
    return said


def shown(value: Any) -> str:
    """Any JSON in words that a person can read: the texts in it, on one line."""
    clean = "".join(one if one.isprintable() else " " for one in _texts(value) if one not in DIRECTION_MARKS)
    words = " ".join(clean.split())
    return words if len(words) <= LONGEST_SHOWN else words[: LONGEST_SHOWN - 1] + "…"


def _texts(value: Any, depth: int = 0) -> str:
    if depth > MOST_LEVELS or value is None:
        return ""
    if isinstance(value, dict):
        members = cast("Json", value)
        if isinstance(members.get("text"), str):
            return members["text"]
        texts = (_texts(item, depth + 1) for name, item in members.items() if name not in {"id", "system"})
        return ", ".join(filter(None, texts))
    if isinstance(value, list):
        return "; ".join(filter(None, (_texts(item, depth + 1) for item in cast("list[Any]", value))))
    return str(value)
