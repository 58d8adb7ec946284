"""QueueEventsProducer: events of your own in the stream of a queue, for whoever reads it with `QueueEvents`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carequeue.errors import InvalidOption
from carequeue.store.administration import Administration
from carequeue.store.connected import Connected
from carequeue.wire.json_text import well_formed
from carequeue.wire.keys import QueueKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from carequeue.store.connection import Connection

RESERVED = frozenset(
    {
        *("added", "waiting", "delayed", "active", "progress", "completed", "failed", "retries-exhausted", "stalled"),
        *("waiting-children", "removed", "cleaned", "drained", "paused", "resumed", "duplicated", "deduplicated"),
        *("blocked", "expired", "error"),
    }
)
"""What the queue itself says, and what Node's QueueEvents emits about itself."""


class QueueEventsProducer(Connected):
    """Publishes events: `async with QueueEventsProducer("reminders", "redis://localhost") as producer`.

    `connection` is a URL, or a ready client, which stays yours to close.
    """

    def __init__(self, name: str, connection: Connection = "redis://localhost:6379", *, prefix: str = "bull") -> None:
        self.keys: QueueKeys = QueueKeys(prefix, name)
        super().__init__(connection, self.keys.base)

    async def publish(
        self, name: str, fields: Mapping[str, str | int | float] | None = None, *, max_events: int | None = None
    ) -> str:
        """Write an event and return its place in the stream. `event.fields` of whoever reads it has the values as text.

        `max_events` bounds the stream, all its events included; None: as the queue does. A repetition after
        ConnectionLost may write it twice.

        Raises:
            InvalidOption: the name is empty or one of the queue's own events, or a field cannot be one.
            ConnectionLost: Redis did not answer.
        """
        if not name or name in RESERVED:
            raise InvalidOption(f"an event of your own has a name that the queue does not use itself, got {name!r}")
        if max_events is not None and max_events < 1:
            raise InvalidOption(f"a stream keeps at least 1 event, got max_events={max_events}")
        told = {"event": name}
        for field, value in (fields or {}).items():
            if not field or field == "event":
                raise InvalidOption(f"a field of an event has a name other than 'event', got {field!r}")
            told[well_formed(field)] = well_formed(_text(field, value))
        return await Administration(self.client, self.keys).publish(told, max_events)


def _text(field: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise InvalidOption(f"the field {field!r} of an event is text or a number, got {value!r}; json.dumps makes it text")
