"""Whether a push service accepts our VAPID key: a 401 or 403 alone can as well be about one subscription."""

from __future__ import annotations

ENOUGH_REFUSALS = 5
"""So many different subscriptions refused without one accepted in between: it is our key, not theirs."""


class KeyStanding:
    """What each push service made of our key lately, by origin."""

    def __init__(self) -> None:
        self._refused: dict[str, set[str]] = {}
        """Of the services that have accepted the key: the subscriptions refused since the last acceptance."""

    def accepted(self, service: str) -> None:
        self._refused[service] = set()

    def refused(self, service: str, endpoint: str) -> bool:
        """Note a refusal. True when it is about this subscription alone, as far as can be known."""
        endpoints = self._refused.get(service)
        if endpoints is None:
            return False
        endpoints.add(endpoint)
        if len(endpoints) < ENOUGH_REFUSALS:
            return True
        del self._refused[service]
        return False
