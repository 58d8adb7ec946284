"""The trace that a job carries, `tm`: a JSON object of what the propagators write, as bullmq-otel does it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from opentelemetry import context, propagate
from opentelemetry.context import Context

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.propagators.textmap import TextMapPropagator

NOTHING: Context = Context()
_JSON = json.JSONEncoder(separators=(",", ":"))


def written(current: Context) -> str:
    """A context as a job carries it; empty if there is nothing to carry: no trace, or no propagator."""
    found: dict[str, str] = {}
    propagate.inject(found, context=current)
    return _JSON.encode(found) if found else ""


def read(text: object) -> Context:
    """The context that a job carries; an empty one for what nobody understands. What is current here plays no part."""
    return _read(text, propagate.get_global_textmap()) if isinstance(text, str) and text else NOTHING


@lru_cache(maxsize=256)  # jobs that were added in one call carry the same, and so do a job's attempts
def _read(text: str, propagator: TextMapPropagator) -> Context:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return NOTHING
    if not isinstance(found, dict):
        return NOTHING
    pairs = cast("dict[str, object]", found)
    return propagator.extract({name: value for name, value in pairs.items() if isinstance(value, str)}, NOTHING)


@contextmanager
def continued(carrier: str) -> Generator[None]:
    """Let what runs in here belong to the trace that `carrier` names, a job's `tm`: in another process, for example."""
    token = context.attach(read(carrier))
    try:
        yield
    finally:
        context.detach(token)
