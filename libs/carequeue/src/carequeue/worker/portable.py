"""Errors on their way from one process to another: as they are where pickle can carry them, else their words."""

from __future__ import annotations

import io
import pickle
import traceback
from dataclasses import dataclass
from typing import Any

from carequeue.errors import (
    HandBack,
    HandlerError,
    Instruction,
    RateLimited,
    RetryAt,
    Skip,
    Unrecoverable,
    WaitForChildren,
)
from carequeue.worker.importable import MAIN

PLAIN: tuple[type[Instruction], ...] = (Unrecoverable, WaitForChildren, HandBack)
"""Instructions that are made of their text alone."""


@dataclass(frozen=True, slots=True)
class PortableError:
    """`pickled` is empty if the error cannot be sent."""

    pickled: bytes
    type_name: str
    message: str
    trace: str


class ProcessTraceback(Exception):
    """Where in its process the handler raised; the cause of what the worker sees."""

    def __init__(self, text: str) -> None:
        super().__init__(text)

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def pack(error: BaseException) -> PortableError:
    """An error, ready to be sent. An instruction of a subclass's own arrives at least as that instruction."""
    pickled = _pickled(error)
    if not pickled and isinstance(error, Instruction):
        pickled = _pickled(_plain(error))
    return PortableError(pickled, type(error).__qualname__, _text(error), _trace(error))


def unpack(packed: PortableError, main: str | None = None) -> Exception:
    """The error as it was; HandlerError if that cannot be had. `main` is what `__main__` is called where it was."""
    error: Any = None
    if packed.pickled:
        try:
            error = _Unpickler(packed.pickled, main).load()
        except Exception:  # noqa: BLE001 - whatever unpickling runs; the words of the error are still there
            error = None
    if not isinstance(error, Exception):
        error = HandlerError(packed.type_name, packed.message)
    error.__cause__ = ProcessTraceback(packed.trace)
    return error


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, main: str | None) -> None:
        super().__init__(io.BytesIO(data))
        self._main = main

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        return super().find_class(MAIN if module_name == self._main else module_name, global_name)


def _pickled(error: BaseException) -> bytes:
    """The error as bytes, if what comes out of them again is the same; else none."""
    if not isinstance(error, Exception):
        return b""
    try:
        data = pickle.dumps(error)
        again = pickle.loads(data)  # noqa: S301 - made in the line before
        return data if type(again) is type(error) and str(again) == str(error) else b""
    except Exception:  # noqa: BLE001 - an error that cannot be pickled may say so in any way
        return b""


def _plain(error: Instruction) -> Instruction:
    match error:
        case RetryAt():
            return RetryAt(error.when, error.why, counts=error.counts)
        case RateLimited():
            return RateLimited(error.for_, group=error.group)
        case Skip():
            return Skip(error.why)
        case _:
            return next(kind for kind in (*PLAIN, Instruction) if isinstance(error, kind))(_text(error))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide that the handler failed
        return ""


def _trace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - as above
        return type(error).__qualname__
