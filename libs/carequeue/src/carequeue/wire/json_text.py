"""JSON as JavaScript's JSON.stringify writes it, so that a job looks the same whoever added it."""

from __future__ import annotations

import json
import math
import re
from json import encoder
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, cast

from carequeue.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PLAIN_BELOW = 1e21  # JavaScript writes numbers below it, and from 1e-6 on, without an exponent
SMALL = 1e-6
MAX_INDEX = 2**32 - 2
SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")
INDEX = re.compile(r"0|[1-9]\d{0,9}")
PLAIN_TYPES = frozenset((str, int, bool, type(None)))

# The writer in C that json.dumps makes anew for each call; another Python than CPython may have none.
_make = cast("Callable[..., Callable[[object, int], tuple[str, ...]]] | None", getattr(encoder, "c_make_encoder", None))
_WRITE_PLAIN = _make and _make(None, repr, encode_basestring, None, ":", ",", False, False, False)


def stringify(value: object, where: str = "data") -> str:
    """The JSON text of a value made of dict, list, tuple, str, numbers, bool and None.

    Raises:
        PayloadError: something in it JSON cannot carry; the message names the place.
    """
    try:
        text = _quick(value) or _write(value)
    except _Unfit as problem:
        place = ".".join([where, *reversed(problem.path)])
        raise PayloadError(f"{place}: {problem}") from None
    except RecursionError as error:
        raise PayloadError(f"{where}: nested too deep for JSON") from error
    return text if text.isascii() else SURROGATES.sub(_surrogate, text)


def parse(text: str, where: str = "data") -> Any:
    """The value of a JSON text.

    Raises:
        PayloadError: it is no JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"{where}: not JSON: {error}") from error


def well_formed(text: str) -> str:
    """Text that UTF-8 can carry: half characters become U+FFFD, as in JavaScript."""
    return text if text.isascii() else SURROGATES.sub(_replaced, text)


class _Unfit(Exception):
    """JSON cannot carry it. On its way up it gathers the path, so that what fits costs nothing for it."""

    def __init__(self, reason: str) -> None:
        self.path: list[str] = []
        super().__init__(reason)


def _quick(value: object) -> str | None:
    """The text of an object that holds nothing in which Python's own writer differs from JavaScript's; most do."""
    if _WRITE_PLAIN is None or type(value) is not dict:
        return None
    members = cast("dict[object, object]", value)
    for key, member in members.items():
        if type(key) is not str or key[:1].isdigit() or type(member) not in PLAIN_TYPES:
            return None
    return "".join(_WRITE_PLAIN(members, 0))


def _write(value: object) -> str:
    match value:
        case str():
            return encode_basestring(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return int.__repr__(value)
        case float():
            return _number(value)
        case dict():
            return _object(cast("Mapping[object, object]", value))
        case list() | tuple():
            return _array(cast("Sequence[object]", value))
        case _:
            raise _Unfit(f"JSON cannot carry a {type(value).__name__}")


def _array(value: Sequence[object]) -> str:
    items: list[str] = []
    try:
        for item in value:
            items.append(_write(item))
    except _Unfit as problem:
        problem.path.append(str(len(items)))
        raise
    return f"[{','.join(items)}]"


def _object(value: Mapping[object, object]) -> str:
    members: list[str] = []
    key = ""
    try:
        for key in _in_order(value):
            members.append(f"{encode_basestring(key)}:{_write(value[key])}")
    except _Unfit as problem:
        if key:
            problem.path.append(key)
        raise
    return f"{{{','.join(members)}}}"


def _in_order(value: Mapping[object, object]) -> list[str]:
    """JavaScript's order of keys: those that look like array indexes ascending, then the others as they were set."""
    keys: list[str] = []
    indexes: list[str] = []
    for key in value:
        if not isinstance(key, str):
            raise _Unfit(f"a key of a JSON object is a string, got {key!r}")
        if key[:1].isdigit() and INDEX.fullmatch(key) and int(key) <= MAX_INDEX:
            indexes.append(key)
        else:
            keys.append(key)
    return sorted(indexes, key=int) + keys if indexes else keys


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise _Unfit(f"JSON has no {value}")
    size = abs(value)
    if size == 0:
        return "0"
    text = float.__repr__(value)
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text.removesuffix(".0")
    digits = mantissa.removeprefix("-").replace(".", "")
    sign = "-" if value < 0 else ""
    power = int(exponent)
    if SMALL <= size < 1:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    if 1 <= size < PLAIN_BELOW:
        return f"{sign}{digits.ljust(power + 1, '0')}"
    return f"{mantissa.removesuffix('.0')}e{power:+d}"


def _surrogate(match: re.Match[str]) -> str:
    return _joined(match.group()) or f"\\u{ord(match.group()):04x}"


def _replaced(match: re.Match[str]) -> str:
    return _joined(match.group()) or "\ufffd"


def _joined(found: str) -> str | None:
    """Two halves that Python kept apart are one character."""
    return found.encode("utf-16", "surrogatepass").decode("utf-16") if len(found) == 2 else None
