"""Password hashes: argon2id, in threads, never more at a time than the machine can bear."""

from __future__ import annotations

import asyncio
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

PARALLEL = 2
"""Each hash takes some 64 MiB and a core for some 50 ms; the rest wait in line."""


class Passwords:
    """Hashes and checks passwords. One a process."""

    def __init__(self, hasher: PasswordHasher | None = None, *, parallel: int = PARALLEL) -> None:
        self._hasher = hasher or PasswordHasher()
        self._slots = asyncio.Semaphore(parallel)

    async def hash(self, password: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def check(self, password: str, stored: str | None) -> bool:
        """Whether it is the password. Without a stored hash it takes as long, and is not."""
        async with self._slots:
            return await asyncio.to_thread(self._verify, password, stored)

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, password: str, stored: str | None) -> bool:
        try:
            matches = self._hasher.verify(stored or self._decoy, password)
        except (VerificationError, InvalidHashError):
            return False
        return matches and stored is not None

    @cached_property
    def _decoy(self) -> str:
        """What an unknown address is checked against, so that it answers no faster than a known one."""
        return self._hasher.hash("nobody has this password")
