"""What a URL says about where Redis is and how to log in there.

    redis://user:password@host:6379/0            one server; rediss:// with TLS, unix:///run/redis.sock by a socket
    redis+sentinel://user:password@one:26379,two:26379/mymaster?db=0
    redis+cluster://user:password@one:6379,two:6379

The last two with TLS: rediss+sentinel, rediss+cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast
from urllib.parse import SplitResult, unquote, urlsplit

from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url

from carequeue.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping

Node = tuple[str, int]
"""A host and a port."""
Kind = Literal["server", "sentinel", "cluster"]

SCHEMES: Mapping[str, tuple[Kind, type[Any]]] = {
    "redis": ("server", Connection),
    "rediss": ("server", SSLConnection),
    "unix": ("server", UnixDomainSocketConnection),
    "redis+sentinel": ("sentinel", Connection),
    "rediss+sentinel": ("sentinel", SSLConnection),
    "redis+cluster": ("cluster", Connection),
    "rediss+cluster": ("cluster", SSLConnection),
}
PORTS: Mapping[Kind, int] = {"server": 6379, "sentinel": 26379, "cluster": 6379}

OPTIONS = frozenset({
    "db", "username", "password", "socket_timeout", "socket_connect_timeout", "socket_keepalive",
    "health_check_interval", "max_connections",
})  # fmt: skip
"""What may stand behind the `?`, beside what begins with ssl_. Others would have the client repeat commands, or hand
out something else than text.
"""
SENTINEL_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}
TO_SENTINELS = ("socket_connect_timeout", "socket_keepalive")
"""Options, beside those of TLS, that hold for connections to sentinels as well."""


@dataclass(frozen=True, slots=True)
class Address:
    """A URL, taken apart. `settings` are redis-py's for a connection to a server, `asking` those to a sentinel."""

    kind: Kind
    connection_class: type[Any]
    settings: Mapping[str, Any]
    nodes: tuple[Node, ...] = ()
    """The sentinels, or some nodes of the cluster."""
    master: str = ""
    """The name under which the sentinels know the master."""
    asking: Mapping[str, Any] = field(default_factory=dict[str, Any])


def read_url(url: str) -> Address:
    """Take a URL apart.

    Raises:
        InvalidOption: it is none of Redis, or has an option that carequeue cannot follow.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        _refuse(str(error))
    if parts.scheme not in SCHEMES:
        _refuse(f"it begins with one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    kind, connection_class = SCHEMES[parts.scheme]
    options = _options(parts)
    own = {name: options.pop(word) for word, name in SENTINEL_OPTIONS.items() if word in options}
    unknown = sorted(word for word in options if word not in OPTIONS and not word.startswith("ssl_"))
    if unknown or (own and kind != "sentinel"):
        _refuse(
            f"there is no option {', '.join(unknown or SENTINEL_OPTIONS)} here; "
            f"the options are {', '.join(sorted(OPTIONS))}, ssl_… and, for sentinels, {', '.join(SENTINEL_OPTIONS)}"
        )
    if kind == "server":
        return Address(kind, connection_class, _server(parts, options))
    nodes = tuple(_node(text, PORTS[kind]) for text in parts.netloc.rpartition("@")[2].split(","))
    path = unquote(parts.path.strip("/"))
    if kind == "cluster":
        if path not in ("", "0") or options.get("db", 0):
            _refuse("a cluster has only the database 0")
        return Address(kind, connection_class, options, nodes)
    if not path or "/" in path:
        _refuse("behind the sentinels comes the master's name: redis+sentinel://one:26379,two:26379/mymaster?db=0")
    common = {name: value for name, value in options.items() if name in TO_SENTINELS or name.startswith("ssl_")}
    return Address(kind, connection_class, options, nodes, path, common | own)


def _options(parts: SplitResult) -> dict[str, Any]:
    """The login and what stands behind the `?`, in redis-py's types."""
    login, at, _ = parts.netloc.rpartition("@")
    try:
        options = dict(cast("Mapping[str, Any]", parse_url(f"unix://{login}{at}?{parts.query}")))
    except ValueError as error:
        _refuse(str(error))
    del options["connection_class"]
    return options


def _server(parts: SplitResult, options: Mapping[str, Any]) -> dict[str, Any]:
    if parts.scheme == "unix":
        if not parts.path:
            _refuse("a socket has a path: unix:///run/redis.sock")
        return {**options, "path": unquote(parts.path)}
    host, port = _node(parts.netloc.rpartition("@")[2], PORTS["server"])
    database = parts.path.strip("/")
    if database and not database.isdecimal():
        _refuse(f"behind the address comes the number of a database, not {database!r}")
    return {"db": int(database or 0), **options, "host": host, "port": port}


def _node(text: str, port: int) -> Node:
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]"):  # [::1] is a host without a port
        host, number = text, str(port)
    if not number.isdecimal() or not 0 < int(number) < 65536:
        _refuse("a port is a number; in a password write %40, %2F, %3A, %3F, %23 for the signs @ / : ? #")
    return unquote(host.strip("[]")) or "localhost", int(number)


def _refuse(why: str) -> NoReturn:
    raise InvalidOption(f"not the URL of a Redis: {why}")  # without the URL, which has the password
