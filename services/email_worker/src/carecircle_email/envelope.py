"""A composed mail: what the channel writes and the provider hands over."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Envelope:
    sender: str
    recipient: str = field(repr=False)
    """One. A second one could be refused while the first is accepted, and the whole called a success."""
    content: bytes = field(repr=False)
    utf8: bool = False
    """The mailbox name is not ASCII: only a server with SMTPUTF8 can take it."""
