"""Writes libs/carequeue/docs/reference.md from what carequeue exports: signatures and docstrings (`make docs`)."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import itertools
import re
import textwrap
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PAGE = Path(__file__).resolve().parents[1] / "libs/carequeue/docs/reference.md"
MODULES = ("carequeue", "carequeue.testing", "carequeue.opentelemetry", "carequeue.prometheus")
FIRST = (
    "queue",
    "worker",
    "job",
    "kind",
    "options",
    "repeat",
    "scheduler",
    "events",
    "flow",
    "children",
    "inspect",
    "states",
    "search",
)
LAST = ("errors",)
HEAD = """# Reference

Every public name, from its docstring; `make docs` writes this page. Whatever is not here may change without notice.
"""
WORDS = {"JobWords": "JobOptions", "WorkerWords": "WorkerOptions"}
"""Keyword arguments that are the fields of an options class."""
WIDTH = 100
SECTION = re.compile(r"^Raises:\n((?:[ \t]+.*\n?)+)", re.MULTILINE)
RAISED = re.compile(r"^([\w, .]+): (.*)$", re.DOTALL)


def reference() -> str:
    """The whole page."""
    parts = [HEAD]
    for module in map(importlib.import_module, MODULES):
        names = sorted(module.__all__, key=lambda name: (_place(getattr(module, name)), name.lower()))
        parts.append(f"## `{module.__name__}`\n\n" + ", ".join(f"[{name}](#{name.lower()})" for name in names) + "\n")
        parts += [_entry(name, getattr(module, name)) for name in names]
    return "\n".join(parts)


def undocumented() -> list[str]:
    """Public names, and public attributes of public classes, that have no docstring."""
    missing: list[str] = []
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            thing = getattr(module, name)
            if not _doc(thing):
                missing.append(f"{module.__name__}.{name}")
            if inspect.isclass(thing):
                missing += [f"{module.__name__}.{name}.{word}" for word, member in _members(thing) if not _doc(member)]
    return missing


def _place(thing: Any) -> tuple[int, str]:
    """Where its module's names stand in the page."""
    module = thing.__module__.split(".")[1]
    if module in FIRST:
        return FIRST.index(module), module
    return len(FIRST) + (module in LAST), module


def _entry(name: str, thing: Any) -> str:
    if not inspect.isclass(thing):
        return "\n".join([f"### {name}\n", f"```\n{_signatures(name, thing)}\n```\n", _prose(_doc(thing)), ""])
    parts = [f"### {name}\n", _head(name, thing), "", _prose(_doc(thing)), ""]
    if issubclass(thing, enum.Enum):
        notes = _notes(thing)
        parts += [f"- `{name}.{each.name}` = `{each.value!r}`{_after(notes.get(each.name))}" for each in thing]
        parts.append("")
    elif dataclasses.is_dataclass(thing):
        parts += [*_fields(thing), ""]
    elif attributes := list(_attributes(thing)):
        parts += [*attributes, ""]
    for word, member in _members(thing):
        title = f"{word}: {_type(member.fget)}" if isinstance(member, property) else _signatures(word, member)
        parts += [f"#### {name}.{word}\n", f"```\n{title}\n```\n", _prose(_doc(member)), ""]
    return "\n".join(parts)


def _head(name: str, kind: type[Any]) -> str:
    bases = [base.__name__ for base in kind.__bases__ if _is_exported(base)]
    line = f"enum {name}" if issubclass(kind, enum.Enum) else f"{name}{_signature(kind)}"
    inherits = ", ".join(f"[{base}](#{base.lower()})" for base in bases)
    return f"```\n{line}\n```" + (f"\n\nIt is a {inherits}, with all that one has." if bases else "")


def _members(kind: type[Any]) -> list[tuple[str, Any]]:
    """The public methods and properties, those included that come from a base class which is not public itself."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        if base is not kind and (_is_exported(base) or not base.__module__.startswith("carequeue")):
            continue
        for name, member in vars(base).items():
            plain = getattr(member, "__func__", member)
            if not name.startswith("_") and (inspect.isfunction(plain) or isinstance(plain, property)):
                found.setdefault(name, plain)
    return list(found.items())


def _is_exported(kind: type[Any]) -> bool:
    return any(getattr(importlib.import_module(module), kind.__name__, None) is kind for module in MODULES)


# Signatures


def _signatures(name: str, function: Callable[..., Any]) -> str:
    versions = typing.get_overloads(function) or [function]
    prefix = "await " if inspect.iscoroutinefunction(function) else ""
    return "\n".join(f"{prefix}{name}{_signature(version)}" for version in versions)


def _signature(thing: Callable[..., Any]) -> str:
    try:
        signature = inspect.signature(thing)
    except ValueError:
        return "()"
    parameters = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
    shown: list[str] = []
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not any("*" in earlier for earlier in shown):
            shown.append("*")
        shown.append(_parameter(each))
    returns = "" if inspect.isclass(thing) else f" -> {_type(thing)}"
    line = f"({', '.join(shown)}){returns}"
    return line if len(line) <= WIDTH else "(\n    " + ",\n    ".join(shown) + f",\n){returns}"


def _parameter(parameter: inspect.Parameter) -> str:
    said = _annotation(parameter.annotation)
    if parameter.kind is parameter.VAR_KEYWORD:
        unpacked = re.fullmatch(r"Unpack\[(\w+)\]", said)
        return f"**{WORDS.get(unpacked[1], unpacked[1])}" if unpacked else f"**{parameter.name}: {said}"
    star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
    shown = f"{star}{parameter.name}: {said}" if said else f"{star}{parameter.name}"
    if parameter.default is parameter.empty:
        return shown
    return f"{shown} = {_value(parameter.default)}"


def _type(function: Any) -> str:
    return _annotation(inspect.signature(function).return_annotation) or "None"


def _annotation(said: Any) -> str:
    if said is inspect.Parameter.empty:
        return ""
    return said if isinstance(said, str) else getattr(said, "__name__", repr(said))


def _value(value: Any) -> str:
    if dataclasses.is_dataclass(value) or value is ... or repr(value).startswith("<"):
        return "…"
    return repr(value).replace("datetime.", "")


# Docstrings


def _doc(thing: Any) -> str:
    """Its own docstring, not one that `dataclass`, `enum` or a base class made up for it."""
    own = thing.__dict__.get("__doc__") if inspect.isclass(thing) else thing.__doc__
    made_up = inspect.isclass(thing) and (own or "").startswith(f"{thing.__name__}(")
    return "" if not own or made_up else inspect.cleandoc(own)


def _prose(doc: str) -> str:
    return SECTION.sub(lambda found: "\n".join(["Raises:\n", *_raised(found[1])]) + "\n", doc).rstrip()


def _raised(section: str) -> Iterator[str]:
    entries: list[str] = []
    for line in textwrap.dedent(section).splitlines():
        if line.startswith((" ", "\t")):
            entries[-1] += " " + line.strip()
        elif line:
            entries.append(line)
    for entry in entries:
        found = RAISED.match(entry)
        yield f"- `{found[1]}`: {found[2]}" if found else f"- {entry}"


def _fields(kind: type[Any]) -> Iterator[str]:
    notes = _notes(kind)
    for field in dataclasses.fields(kind):
        default = "" if field.default is dataclasses.MISSING else f" = {_value(field.default)}"
        yield f"- `{field.name}: {_annotation(field.type)}{default}`{_after(notes.get(field.name))}"


def _attributes(kind: type[Any]) -> Iterator[str]:
    """What `__init__` sets with its type said."""
    body = _body(vars(kind).get("__init__"))
    notes = _notes_in(body)
    for statement in body:
        match statement:
            case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self"), attr=name), annotation=said):
                if not name.startswith("_"):
                    yield f"- `{name}: {ast.unparse(said)}`{_after(notes.get(name))}"
            case _:
                pass


def _after(note: str | None) -> str:
    return f": {' '.join(note.split())}" if note else ""


def _notes(kind: type[Any]) -> dict[str, str]:
    return _notes_in(_body(kind))


def _notes_in(body: Sequence[ast.stmt]) -> dict[str, str]:
    """The text that stands under each attribute in the source."""
    notes: dict[str, str] = {}
    for statement, following in itertools.pairwise(body):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name))
                | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                notes[name] = inspect.cleandoc(text)
            case _:
                pass
    return notes


def _body(thing: Any) -> Sequence[ast.stmt]:
    """The statements of a class or a function that is written in Python."""
    if not inspect.isclass(thing) and not inspect.isfunction(thing):
        return ()
    try:
        [tree] = ast.parse(textwrap.dedent(inspect.getsource(thing))).body
    except OSError:  # made by `dataclass`
        return ()
    return tree.body if isinstance(tree, ast.ClassDef | ast.FunctionDef) else ()


if __name__ == "__main__":
    PAGE.write_text(reference(), "utf-8")
