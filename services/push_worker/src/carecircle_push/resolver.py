"""Name resolution that refuses private networks: a push host's name must not lead to our own machines.

Checked at connect time, because a name that was harmless when the browser subscribed can point elsewhere later.
aiohttp asks no resolver for an IP literal: `check_endpoint` refuses those.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

if TYPE_CHECKING:
    from collections.abc import Collection

NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(OSError):
    """The name resolves to an address that is not on the public internet."""


class PublicResolver(AbstractResolver):
    """Resolves public hosts only, except for the (host, port) pairs that the operator trusts."""

    def __init__(self, trusted: Collection[tuple[str, int]] = (), inner: AbstractResolver | None = None) -> None:
        self._trusted = frozenset(trusted)
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        # All or nothing: one private address among public ones is how rebinding looks.
        if (host.lower(), port) not in self._trusted and not all(is_public(result["host"]) for result in found):
            raise AddressRefused(f"{host} resolves to an address that is not public")
        return found

    async def close(self) -> None:
        await self._inner.close()


def is_public(address: str) -> bool:
    """Whether this address, and the IPv4 address inside it if there is one, is on the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (inner := _embedded(ip)) is not None:
        return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def _embedded(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
