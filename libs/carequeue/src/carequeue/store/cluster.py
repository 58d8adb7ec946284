"""The node of a Cluster that has a queue's slot, and a client that goes along when the slot moves.

All keys of a queue lie in one slot, so its client needs one node at a time and is an ordinary client otherwise. MOVED
is followed: the command did not run. ASK, while a slot is being moved key by key, is not: a script would run beside its
keys. The queue waits until the slot has moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from redis.crc import key_slot
from redis.exceptions import (
    ClusterDownError,
    MovedError,
    NoPermissionError,
    RedisError,
)

from carequeue.errors import InvalidOption, UnsuitableRedis
from carequeue.store.client import Argument, LinkedRedis
from carequeue.store.seeking import Seeker, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from carequeue.store.url import Node

REDIRECTS = 5
"""How often a command is sent on before the cluster counts as not ready."""


def slot_of(base: str) -> int:
    """The slot of all keys of a queue, by its base key.

    Raises:
        InvalidOption: they would lie in many slots, so its scripts could not run.
    """
    slot = key_slot(base.encode())
    if slot != key_slot(f"{base}:".encode()):
        prefix, _, queue = base.rpartition(":")
        raise InvalidOption(
            f"in a Redis Cluster all keys of a queue lie in one slot: write the name as {'{' + queue + '}'!r}, or, for "
            f"all queues in one slot, which flows need, the prefix as {'{' + prefix + '}'!r}"
        )
    return slot


def same_slot(*bases: str) -> bool:
    return len({slot_of(base) for base in bases}) == 1


class SlotSeeker(Seeker):
    """Asks any node of the cluster who has the slot, or believes the one that sent us on."""

    def __init__(
        self,
        connection_class: type[Any],
        settings: Mapping[str, Any],
        nodes: tuple[Node, ...],
        slot: int,
        remap: Callable[[Node], Node] | None = None,
    ) -> None:
        super().__init__(connection_class, settings, nodes)
        self._seeds = nodes
        self._slot = slot
        self._remap = remap
        self._sent_to: Node | None = None

    @property
    def sought(self) -> str:
        where = ", ".join(f"{host}:{port}" for host, port in self._seeds)
        return f"the node with slot {self._slot} of the cluster at {where}"

    async def find(self) -> Node:
        sent_to, self._sent_to = self._sent_to, None
        node = sent_to or await self._ask_around()
        self.found: Node | None = node
        return node

    def misled(self, error: Exception) -> None:
        host, port = cast("Any", error).node_addr if isinstance(error, MovedError) else ("", 0)
        if host:
            self._sent_to = self._reached((host, port))

    async def _ask_around(self) -> Node:
        errors: dict[Node, Exception] = {}
        for node in list(self._nodes):
            try:
                async with self.asking(node) as connection:
                    shards = await ask(connection, "CLUSTER", "SLOTS")
            except NoPermissionError:
                raise
            except (RedisError, OSError) as error:
                if "cluster support disabled" in str(error):
                    raise UnsuitableRedis(
                        f"{node[0]}:{node[1]} is a server by itself: give redis://, not cluster"
                    ) from None
                errors[node] = error
                continue
            self._learn(node, shards)
            for first, last, master, *_ in shards:
                if first <= self._slot <= last:
                    return self._announced(master, node)
            raise ClusterDownError(f"no node has slot {self._slot}")
        raise self.nobody(errors)

    def _learn(self, answered: Node, shards: list[Any]) -> None:
        """Whom to ask from now on: who answered, then everybody it told of, then those we began with."""
        told = [self._announced(node, answered) for _, _, *nodes in shards for node in nodes]
        self._nodes = list(dict.fromkeys((answered, *told, *self._seeds)))

    def _announced(self, entry: list[Any], answered: Node) -> Node:
        host = entry[0] if entry[0] not in (None, "", "?") else answered[0]
        return self._reached((host, int(entry[1])))

    def _reached(self, node: Node) -> Node:
        return self._remap(node) if self._remap else node


class SlotRedis(LinkedRedis):
    """A client of one slot."""

    async def send(self, *command: Argument) -> Any:
        return await self._following(super().send, *command)

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        return await self._following(cast("Any", super()).execute_command, *arguments, **options)

    async def _following(self, send: Callable[..., Any], *command: Any, **options: Any) -> Any:
        left = REDIRECTS
        while True:
            try:
                return await send(*command, **options)
            except MovedError:
                left -= 1
                if not left:
                    raise
