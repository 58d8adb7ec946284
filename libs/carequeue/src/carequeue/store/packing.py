"""Commands packed by hiredis, where it is installed.

redis-py's asyncio client reads replies with hiredis but packs commands in Python, argument by argument: for a call that
reports fifty jobs that is a quarter of everything a worker does.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import ConnectionPool

    Pack = Callable[[tuple[Any, ...]], bytes]


def pack_with_hiredis(pool: ConnectionPool) -> None:
    """Let the future connections of a pool pack that way; without hiredis nothing changes."""
    pack = hiredis_pack()
    if pack is not None:
        pool.connection_class = _packing(pool.connection_class, pack)


def hiredis_pack() -> Pack | None:
    """What makes one command's bytes of its words; None without hiredis."""
    try:
        import hiredis  # an optional extra
    except ImportError:
        return None
    return cast("Any", hiredis).pack_command


@cache
def _packing(connection: type[Any], pack: Pack) -> type[Any]:
    def pack_command(_: object, command: str, *arguments: Any) -> list[bytes]:
        return [pack((*command.split(), *arguments))]  # redis-py says "CONFIG SET" in one word

    return type(f"Packing{connection.__name__}", (connection,), {"pack_command": pack_command})
