"""The master that Sentinel watches over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from carequeue.store.seeking import Seeker, ask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from carequeue.store.url import Node


class MasterSeeker(Seeker):
    """Asks the sentinels one after the other; the first that knows the master is believed."""

    def __init__(
        self, connection_class: type[Any], settings: Mapping[str, Any], nodes: tuple[Node, ...], master: str
    ) -> None:
        super().__init__(connection_class, settings, nodes)
        self._master = master

    @property
    def sought(self) -> str:
        where = ", ".join(f"{host}:{port}" for host, port in sorted(self._nodes))
        return f"the master {self._master!r} of the sentinels at {where}"

    async def find(self) -> Node:
        errors: dict[Node, Exception] = {}
        for node in list(self._nodes):
            try:
                async with self.asking(node) as connection:
                    answer = await ask(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._master)
            except (RedisError, OSError) as error:
                errors[node] = error
                continue
            if answer is None:
                errors[node] = ResponseError("it knows no master of that name")
                continue
            self.prefer(node)
            master = (str(answer[0]), int(answer[1]))
            self.found: Node | None = master
            return master
        raise self.nobody(errors)
