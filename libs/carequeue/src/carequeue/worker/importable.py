"""Whether a child process can import a handler, and by which name: it shares no memory with the worker."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pickle
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carequeue.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable

MAIN = "__main__"
importing: ContextVar[bool] = ContextVar("importing", default=False)
"""Whether a child process is importing a handler, and with it perhaps the program that starts the worker."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A function and the type of its job's data, for another process to find. `main`: what `__main__` is called there,
    None if nothing of this is in it.
    """

    module: str
    name: str
    payload_type: bytes
    main: str | None


def reference_to(function: Callable[..., Any], payload_type: type[Any] | None) -> Reference:
    """How a child process finds a handler.

    Raises:
        InvalidOption: it cannot: it is no function of a module's own, or its module is not there to be imported.
    """
    if sys.platform == "win32":
        raise InvalidOption("run_in='process' needs a POSIX system; a plain function can run in a thread here")
    name = _name_of(function)
    module = str(function.__module__)
    try:
        packed = pickle.dumps(payload_type)
    except Exception as error:  # whatever a type does when it is pickled
        raise InvalidOption(
            f"{name}: the type of its job's data, {payload_type!r}, has to be importable for run_in='process': {error}"
        ) from error
    main = None
    if module == MAIN or MAIN.encode() in packed:
        main = _name_of_main()
        if main is None:
            raise InvalidOption(
                f"{name}: a child process cannot import the program that is running; "
                "move the handler and the type of its data to a module for run_in='process'"
            )
        _check_guard(name)
    return Reference(main if module == MAIN and main else module, name, packed, main)


def find(reference: Reference) -> tuple[Callable[..., Any], type[Any] | None]:
    """The handler and the type of its job's data, imported if need be. Called in the child process.

    Raises:
        ImportError: its module cannot be imported here.
        AttributeError: it is not in its module.
    """
    mark = importing.set(True)
    try:
        if reference.main is not None:
            sys.modules[MAIN] = importlib.import_module(reference.main)
        function = getattr(importlib.import_module(reference.module), reference.name)
    finally:
        importing.reset(mark)
    return function, pickle.loads(reference.payload_type)  # noqa: S301 - the worker made it


def _name_of(function: Callable[..., Any]) -> str:
    if not inspect.isroutine(function):
        raise InvalidOption(
            f"a handler with run_in='process' is a function, not {function!r}: a child process finds it by its name"
        )
    name = function.__qualname__
    if "<lambda>" in name:
        raise InvalidOption("a lambda has no name by which a child process could find it; use def for run_in='process'")
    if not name.isidentifier():
        raise InvalidOption(
            f"{name} is not at the top of its module, where a child process could find it; move it there "
            "for run_in='process'"
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidOption(f"{name} is a coroutine function; run_in='process' is for plain functions")
    return name


def _check_guard(name: str) -> None:
    file = Path(sys.modules[MAIN].__file__ or "")
    if file.is_file() and "__name__" not in file.read_text("utf-8", "replace"):
        raise InvalidOption(
            f"{name}: a child process imports {file.name}, which would do all that it does once more; put what starts "
            'it under `if __name__ == "__main__":`, or the handler into a module of its own'
        )


def _name_of_main() -> str | None:
    """The name under which the running program can be imported; None for a shell, a package, or a file elsewhere."""
    main = sys.modules[MAIN]
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m
        return None if spec.name.rpartition(".")[2] == MAIN else str(spec.name)
    file = getattr(main, "__file__", None)
    if file is None:
        return None
    name = Path(file).stem
    try:
        found = importlib.util.find_spec(name)
        same = found is not None and found.origin is not None and Path(found.origin).samefile(file)
    except (ImportError, ValueError, OSError):
        return None
    return name if same else None
