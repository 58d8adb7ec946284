"""What a person who typed a command can expect to go wrong: said in words, never as a traceback."""

from __future__ import annotations


class CommandFailed(Exception):
    """The command cannot do what it was asked; the message says why and what to do."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        self.exit_code = exit_code
        super().__init__(message)


def explain(error: Exception) -> str | None:
    """The message for people, if this error is one that they can do something about."""
    from pydantic import ValidationError
    from redis.exceptions import RedisError
    from sqlalchemy.exc import DBAPIError

    from carecircle.runtime.settings import SettingsError
    from carecircle.runtime.vapid import UnusableVapidKey
    from carecircle_cli.engines.process import EngineError
    from carequeue.errors import CarequeueError

    match error:
        case CommandFailed() | EngineError() | CarequeueError() | UnusableVapidKey():
            return str(error)
        case SettingsError() | ValidationError():
            return f"the settings are wrong:\n{error}"
        case DBAPIError():
            return f"PostgreSQL: {str(error.orig).strip()}"
        case RedisError():
            return f"Redis: {error}"
        case _:
            return None
