"""What has to be remembered of the demo between two runs: who logs in, and with what."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

OWNER = "anna@example.org"
CARER = "daniel@example.org"


@dataclass(frozen=True, slots=True)
class DemoState:
    owner: str
    carer: str
    password: str

    @property
    def made_up(self) -> bool:
        """Whether nobody real gets the owner's mails."""
        return self.owner == OWNER

    @classmethod
    def load(cls, path: Path) -> Self | None:
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None

    @classmethod
    def load_or_make(cls, path: Path, *, owner: str | None = None) -> Self:
        """The one in the file, if it is of this owner; else a new one, which is written there."""
        known = cls.load(path)
        if known is not None and (owner is None or known.owner == owner):
            return known
        made = cls(owner or OWNER, CARER, f"care-{secrets.token_hex(4)}")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(made), file, indent=2)
        return made
