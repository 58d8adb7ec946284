"""Names of jobs as labels: a metric keeps a series for each value for ever, and a program may make up names."""

from __future__ import annotations

from carequeue.errors import InvalidOption

OTHER = "(other)"
MOST_NAMES = 100


class JobNames:
    """The first `most` names that are seen are labels; every further one is "(other)"."""

    def __init__(self, most: int = MOST_NAMES) -> None:
        if most < 0:
            raise InvalidOption(f"metrics keep 0 or more names of jobs apart, got {most}")
        self._most = most
        self._known: set[str] = set()

    def label(self, name: str) -> str:
        if name in self._known:
            return name
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(name)
        return name
