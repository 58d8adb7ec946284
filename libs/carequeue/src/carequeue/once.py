"""`once`: does something in a handler that must not be done again by the job's next attempt.

receipt = await once(store, f"mail-{job.data.mail_id}", send, fence=job.fence)

Nothing makes a mail, a payment or a call to somebody else's system happen exactly once; see docs/idempotency.md for
what is left, and how to close it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast

from carequeue.errors import InvalidOption, PayloadError, Superseded, Unrecoverable
from carequeue.options import check_longer_than_nothing
from carequeue.store.connected import Connected
from carequeue.store.once import DIGITS, OnceScripts
from carequeue.wire.codec import encode_data
from carequeue.wire.json_text import parse
from carequeue.wire.keys import QueueKeys
from carequeue.wire.times import span_ms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from carequeue.store.connection import Connection

R = TypeVar("R")

ClaimState = Literal["new", "in_doubt", "finished", "superseded"]

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a store answers to a claim.

    new: nobody claimed it before. in_doubt: somebody did, and never said that it is done; whoever asked has the claim
    now. finished: it is done, with this `result`. superseded: somebody with a higher fence has the claim.
    """

    state: ClaimState
    result: str = ""
    """JSON, as it was given to `done`."""


class OnceStore(Protocol):
    """Where is noted what is done: RedisOnce, or a table of your own. Both methods are atomic, and may be repeated."""

    async def claim(self, key: str, fence: int) -> Claim:
        """Take the claim to `key`, unless it is done or claimed under a higher fence."""
        ...

    async def done(self, key: str, fence: int, result: str) -> bool:
        """Note that it is done, with this JSON. False if it is claimed under another fence by now."""
        ...


async def once(
    store: OnceStore,
    key: str,
    action: Callable[[], Awaitable[R]],
    *,
    fence: int,
    in_doubt: Callable[[], Awaitable[R]] | None = None,
) -> R:
    """Await `action()` unless that was done for this `key` before, and return its result: a JSON value, also the first
    time. `fence` is the attempt's, `job.fence`.

    An attempt that ended between its claim and its result leaves a doubt: its action may have happened. The next one
    runs `in_doubt` in place of `action` then, to look and return the result, to do it again, or to raise. Without it
    the action runs again.

    Raises:
        Superseded: a later attempt has the claim. Before the action, or after it: then both have run it.
        Unrecoverable: what the action returned cannot be stored as JSON.
    """
    claim = await store.claim(key, fence)
    if claim.state == "finished":
        return cast("R", parse(claim.result))
    if claim.state == "superseded":
        raise Superseded(f"a later attempt has claimed {key!r}: this one has nothing to do any more")
    doubtful = claim.state == "in_doubt" and in_doubt is not None
    text = _json(key, await (in_doubt() if doubtful and in_doubt else action()))
    if not await _to_the_end(store.done(key, fence, text)):
        raise Superseded(f"a later attempt has claimed {key!r} while this one did it")
    return cast("R", parse(text))


class RedisOnce(Connected):
    """An OnceStore in Redis: `async with RedisOnce("mails", url) as store`. `name` keeps the keys of one use apart.

    A result, or a claim, is remembered for `ttl`. Redis may forget the latest ones when it crashes, as its persistence
    is set. In a cluster: `RedisOnce("{mails}", …)`.

    Raises:
        InvalidOption: as Queue, for the name and the connection; a ttl that is not longer than nothing.
    """

    def __init__(
        self,
        name: str,
        /,
        connection: Connection = "redis://localhost:6379",
        *,
        prefix: str = "once",
        ttl: timedelta = WEEK,
    ) -> None:
        check_longer_than_nothing("ttl", ttl)
        self.keys: QueueKeys = QueueKeys(prefix, name)
        self._ttl_ms = span_ms(ttl)
        super().__init__(connection, self.keys.base)

    async def claim(self, key: str, fence: int) -> Claim:
        """Take the claim to `key`, unless it is done or claimed under a higher fence.

        Raises:
            ConnectionLost: it may be claimed, and may be claimed again.
        """
        _check_fence(fence)
        state, result = await OnceScripts(self.client, self.keys).claim(key, fence, self._ttl_ms)
        return Claim(cast("ClaimState", state), result)

    async def done(self, key: str, fence: int, result: str) -> bool:
        """Note that it is done, with this JSON. False if it is claimed under another fence by now.

        Raises:
            ConnectionLost: it may be noted, and may be noted again.
        """
        _check_fence(fence)
        return await OnceScripts(self.client, self.keys).done(key, fence, result, self._ttl_ms)


async def _to_the_end(noting: Awaitable[bool]) -> bool:
    """What is done is noted, even if the handler is cancelled this moment: else it would be done again."""
    task = asyncio.ensure_future(noting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at: the cancellation is what the handler hears of
        raise


def _json(key: str, value: Any) -> str:
    try:
        return "null" if value is None else encode_data(None, value)
    except PayloadError as error:
        # It is done: another attempt would do it again and fail again.
        raise Unrecoverable(f"what was done for {key!r} returned what cannot be stored as JSON: {error}") from error


def _check_fence(fence: int) -> None:
    if not 0 <= fence < 10**DIGITS:
        raise InvalidOption(f"a fence is a number from 0 with at most {DIGITS} digits, got {fence}")
