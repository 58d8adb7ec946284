"""What kind of error a reply is: the word with which Redis begins it, whatever the client made of that."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from redis import exceptions

if TYPE_CHECKING:
    from collections.abc import Mapping

IN_A_SCRIPT_OF_6_2 = re.compile(r"^Error running script .*?: -([A-Z]+) ", re.DOTALL)
"""Redis 6.2 wraps what a command in a script answered; later ones pass it on."""
NOT_PERMITTED_IN_A_SCRIPT = ("ACL failure in script", "The user executing the script can't")

WORDS: Mapping[type[Exception], str] = {
    exceptions.BusyLoadingError: "LOADING",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.OutOfMemoryError: "OOM",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.ClusterDownError: "CLUSTERDOWN",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.MovedError: "MOVED",
    exceptions.AskError: "ASK",
    exceptions.NoPermissionError: "NOPERM",
}
"""Where redis-py has a class for it, and takes the word off the message."""

MISLED = ("READONLY", "MOVED")
"""This server is not the right one any more; who connects again must ask where it is."""


def word_of(error: Exception) -> str:
    """READONLY, MOVED, NOPERM …; for what is no reply, or is none of these, something else."""
    if known := WORDS.get(type(error)):
        return known
    text = str(error)
    if wrapped := IN_A_SCRIPT_OF_6_2.match(text):
        return wrapped[1]
    if any(words in text for words in NOT_PERMITTED_IN_A_SCRIPT):
        return "NOPERM"
    return text.partition(" ")[0]


def is_misled(error: Exception) -> bool:
    return isinstance(error, exceptions.ResponseError) and word_of(error) in MISLED
