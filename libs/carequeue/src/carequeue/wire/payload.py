"""Typed data to and from plain JSON values: dataclasses, pydantic models, and the types that they are made of.

A type is compiled once into two functions. Both are strict, and an error names the field: `data.doses.0.unit`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin
from uuid import UUID

from carequeue.errors import PayloadError

ROOT = "data"
MISSING = dataclasses.MISSING
Convert = Callable[[Any, str], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """How one type is written (`encode`) and read (`decode`); both take the value and where it stands."""

    encode: Convert
    decode: Convert


def encode_payload(payload_type: Any, value: object) -> object:
    """`value` as plain JSON values. Without a type anything that JSON can carry, and dataclasses, are taken.

    Raises:
        PayloadError: the value does not fit the type.
    """
    if payload_type is None:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return shape_of(type(value)).encode(value, ROOT)
        return value
    return shape_of(payload_type).encode(value, ROOT)


def decode_payload(payload_type: Any, value: object) -> object:
    """A `payload_type` from plain JSON values. Keys that a dataclass does not know are ignored: its sender is newer.

    Raises:
        PayloadError: the value does not fit the type.
    """
    return value if payload_type is None else shape_of(payload_type).decode(value, ROOT)


@functools.cache
def shape_of(kind: Any) -> Shape:
    """The shape of a type.

    Raises:
        PayloadError: data of this type cannot be in a job.
    """
    kind = _bare(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is Literal:
        return _literal(arguments)
    if kind in _CONTAINERS or origin in _CONTAINERS:
        return _container(origin or kind, arguments)
    if isinstance(kind, type):
        return _class(cast("type[Any]", kind))
    raise PayloadError(f"{kind!r} cannot be the type of a job's data")


def _bare(kind: Any) -> Any:
    if isinstance(kind, typing.NewType):
        return _bare(kind.__supertype__)
    if get_origin(kind) is typing.Annotated:
        return _bare(get_args(kind)[0])
    if isinstance(kind, TypeVar):
        return Any
    return kind


def _class(kind: type[Any]) -> Shape:
    if issubclass(kind, enum.Enum):
        return _enum(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind)
    if hasattr(kind, "model_validate") and hasattr(kind, "model_dump"):
        return _model(kind)
    raise PayloadError(f"{kind.__name__} cannot be the type of a job's data; use a dataclass, a pydantic model or JSON")


# The leaves


def _exact(kind: type, *also: type) -> Shape:
    wanted = (kind, *also)

    def check(value: Any, where: str) -> Any:
        if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
            raise _unfit(where, kind.__name__, value)
        return value

    return Shape(check, check)


def _whole() -> Shape:
    exact = _exact(int)

    def decode(value: Any, where: str) -> int:
        # JavaScript knows one kind of number and may have written 1.0
        return int(value) if isinstance(value, float) and value.is_integer() else exact.decode(value, where)

    return Shape(exact.encode, decode)


def _fraction() -> Shape:
    exact = _exact(float, int)
    return Shape(exact.encode, lambda value, where: float(exact.decode(value, where)))


def _text_form(kind: type, write: Callable[[Any], str], read: Callable[[str], Any], *, not_a: type | None) -> Shape:
    """A type that JSON carries as text."""

    def encode(value: Any, where: str) -> str:
        if not isinstance(value, kind) or (not_a is not None and isinstance(value, not_a)):
            raise _unfit(where, kind.__name__, value)
        return write(value)

    def decode(value: Any, where: str) -> Any:
        if not isinstance(value, str):
            raise _unfit(where, kind.__name__, value)
        try:
            return read(value)
        except (ValueError, InvalidOperation) as error:
            raise PayloadError(f"{where}: not the text of a {kind.__name__}") from error

    return Shape(encode, decode)


def _instant_text(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _same(value: Any, where: str) -> Any:
    return value


def _mapping(value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _unfit(where, "dict", value)
    return cast("dict[Any, Any]", value)


_SCALARS: Mapping[Any, Shape] = {
    Any: Shape(_same, _same),
    object: Shape(_same, _same),
    str: _exact(str),
    bool: _exact(bool),
    int: _whole(),
    float: _fraction(),
    types.NoneType: _exact(types.NoneType),
    None: _exact(types.NoneType),
    dict: Shape(_mapping, _mapping),
    Mapping: Shape(_mapping, _mapping),
    UUID: _text_form(UUID, str, UUID, not_a=None),
    datetime: _text_form(datetime, _instant_text, datetime.fromisoformat, not_a=None),
    date: _text_form(date, date.isoformat, date.fromisoformat, not_a=datetime),
    time: _text_form(time, time.isoformat, time.fromisoformat, not_a=None),
    Decimal: _text_form(Decimal, str, Decimal, not_a=None),
}


# What holds others


def _container(origin: Any, arguments: tuple[Any, ...]) -> Shape:
    if origin in (dict, Mapping):
        return _dict(*arguments) if arguments else _SCALARS[dict]
    if origin is tuple and arguments and arguments[-1] is not ...:
        return _fixed_tuple(arguments)
    return _items(tuple if origin is tuple else list, shape_of(arguments[0] if arguments else Any))


def _items(kind: type[list[Any]] | type[tuple[Any, ...]], item: Shape) -> Shape:
    def encode(value: Any, where: str) -> list[Any]:
        return [item.encode(each, f"{where}.{place}") for place, each in enumerate(_sequence(value, where))]

    def decode(value: Any, where: str) -> Any:
        return kind(item.decode(each, f"{where}.{place}") for place, each in enumerate(_sequence(value, where)))

    return Shape(encode, decode)


def _fixed_tuple(arguments: tuple[Any, ...]) -> Shape:
    shapes = [] if arguments == ((),) else [shape_of(argument) for argument in arguments]

    def each(value: Any, where: str) -> Sequence[Any]:
        found = _sequence(value, where)
        if len(found) != len(shapes):
            raise PayloadError(f"{where}: has {len(found)} items, not {len(shapes)}")
        return found

    def encode(value: Any, where: str) -> list[Any]:
        return [shapes[n].encode(item, f"{where}.{n}") for n, item in enumerate(each(value, where))]

    def decode(value: Any, where: str) -> tuple[Any, ...]:
        return tuple(shapes[n].decode(item, f"{where}.{n}") for n, item in enumerate(each(value, where)))

    return Shape(encode, decode)


def _dict(key_type: Any, value_type: Any) -> Shape:
    """Keys are text in JSON: an `int` key is written as one and read back."""
    key, item = shape_of(key_type), shape_of(value_type)
    numbered = _bare(key_type) is int

    def encode(value: Any, where: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, each in _mapping(value, where).items():
            text = key.encode(name, where)
            found[str(text) if numbered else text] = item.encode(each, f"{where}.{name}")
        return found

    def decode(value: Any, where: str) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for name, each in _mapping(value, where).items():
            if numbered and not name.removeprefix("-").isdecimal():
                raise PayloadError(f"{where}: the key {name!r} is no integer")
            found[key.decode(int(name) if numbered else name, where)] = item.decode(each, f"{where}.{name}")
        return found

    return Shape(encode, decode)


def _union(arguments: tuple[Any, ...]) -> Shape:
    """The first alternative that fits. What is optional keeps the message of its only real alternative."""
    real = [argument for argument in arguments if argument is not types.NoneType]
    shapes = [shape_of(argument) for argument in real]
    optional = len(real) < len(arguments)

    def first(value: Any, where: str, pick: Callable[[Shape], Convert]) -> Any:
        if value is None and optional:
            return None
        problems: list[PayloadError] = []
        for shape in shapes:
            try:
                return pick(shape)(value, where)
            except PayloadError as problem:
                problems.append(problem)
        if len(problems) == 1:
            raise problems[0]
        raise PayloadError(f"{where}: fits none of {', '.join(_name(argument) for argument in real)}")

    return Shape(
        lambda value, where: first(value, where, lambda shape: shape.encode),
        lambda value, where: first(value, where, lambda shape: shape.decode),
    )


def _literal(allowed: tuple[Any, ...]) -> Shape:
    def check(value: Any, where: str) -> Any:
        if not any(value == each and type(value) is type(each) for each in allowed):
            raise PayloadError(f"{where}: is none of {', '.join(repr(each) for each in allowed)}")
        return value

    return Shape(check, check)


def _enum(kind: type[enum.Enum]) -> Shape:
    def encode(value: Any, where: str) -> Any:
        if not isinstance(value, kind):
            raise _unfit(where, kind.__name__, value)
        return value.value

    def decode(value: Any, where: str) -> enum.Enum:
        try:
            return kind(value)
        except ValueError as error:
            raise PayloadError(f"{where}: no {kind.__name__} has this value") from error

    return Shape(encode, decode)


def _dataclass(kind: type) -> Shape:
    shapes = _LateShapes(kind)
    members = [field for field in dataclasses.fields(kind) if field.init]

    def encode(value: Any, where: str) -> dict[str, Any]:
        if type(value) is not kind:
            raise _unfit(where, kind.__name__, value)
        return {
            field.name: shapes[field.name].encode(getattr(value, field.name), f"{where}.{field.name}")
            for field in members
        }

    def decode(value: Any, where: str) -> Any:
        stored = _mapping(value, where)
        said: dict[str, Any] = {}
        for field in members:
            if field.name in stored:
                said[field.name] = shapes[field.name].decode(stored[field.name], f"{where}.{field.name}")
            elif field.default is MISSING and field.default_factory is MISSING:
                raise PayloadError(f"{where}.{field.name}: is missing")
        try:
            return kind(**said)
        except (ValueError, TypeError) as error:
            raise PayloadError(f"{where}: refused by {kind.__name__}: {error}") from error

    return Shape(encode, decode)


class _LateShapes:
    """The shapes of a dataclass's fields, made at first use: a class may hold itself."""

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self._shapes: dict[str, Shape] | None = None

    def __getitem__(self, name: str) -> Shape:
        if self._shapes is None:
            hints = typing.get_type_hints(self._kind, include_extras=True)
            self._shapes = {field: shape_of(hint) for field, hint in hints.items() if get_origin(hint) is not _CLASS}
        return self._shapes[name]


def _model(kind: Any) -> Shape:
    """A pydantic model; pydantic itself is not imported, its errors are ValueErrors."""

    def encode(value: Any, where: str) -> Any:
        if type(value) is not kind:
            raise _unfit(where, kind.__name__, value)
        return value.model_dump(mode="json")

    def decode(value: Any, where: str) -> Any:
        try:
            return kind.model_validate(value)
        except ValueError as error:
            raise PayloadError(f"{where}{_place(error)}: refused by {kind.__name__}") from error

    return Shape(encode, decode)


def _place(error: ValueError) -> str:
    """Where pydantic saw the first problem, without the value itself: it may be private."""
    errors = getattr(error, "errors", None)
    found = cast("list[Any]", errors(include_input=False, include_url=False) if callable(errors) else [])
    return "".join(f".{part}" for part in found[0]["loc"]) if found else ""


def _sequence(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise _unfit(where, "list", value)
    return cast("Sequence[Any]", value)


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _unfit(where: str, wanted: str, value: object) -> PayloadError:
    # the type of what was given, not the value: it may be private
    return PayloadError(f"{where}: wants {wanted}, got {type(value).__name__}")


_CLASS = typing.ClassVar
_CONTAINERS = (dict, list, tuple, Mapping, Sequence)
