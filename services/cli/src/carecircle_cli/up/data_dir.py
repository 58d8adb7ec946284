"""The one folder in which everything of `carecircle up` lies: engines' data, secrets, logs, ports, the lock."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from carecircle.runtime import vapid
from carecircle_cli.engines.process import free_ports, is_free
from carecircle_cli.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Running:
    """What a running `up` tells other commands: how to reach its parts."""

    pid: int
    api_url: str
    environment: Mapping[str, str]


class DataDir:
    """Makes what is missing, keeps what is there. Secrets are readable by their owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def postgres(self) -> Path:
        return self.path / "postgres" / "data"

    @property
    def redis(self) -> Path:
        return self.path / "redis"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def mail(self) -> Path:
        return self.path / "mail.jsonl"

    @property
    def demo(self) -> Path:
        return self.path / "demo.json"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    @contextmanager
    def lock(self) -> Generator[None]:
        """Hold the folder for this process.

        Raises:
            CommandFailed: another one holds it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / ".gitignore").write_text("*\n")
            file = (self.path / "lock").open("a")
        except OSError as error:
            raise CommandFailed(f"the data folder {self.path} cannot be used: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandFailed(self._held()) from None
            self._state.unlink(missing_ok=True)  # of one that was killed
            try:
                yield
            finally:
                self._state.unlink(missing_ok=True)

    def secret_key(self) -> Path:
        """The file with the key that signs access tokens."""
        path = self.path / "secrets" / "secret-key"
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _write_private(path, secrets.token_urlsafe(48))
        return path

    def vapid_key(self) -> Path:
        """The file with the VAPID private key."""
        path = self.path / "secrets" / "vapid.pem"
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            vapid.generate(path)
        return path

    def ports(self, preferred: Mapping[str, int], fixed: Mapping[str, int]) -> dict[str, int]:
        """A port for every name of `preferred`: the fixed one, else last time's, else the preferred one (0: any), and
        where that is taken any other.
        """
        path = self.path / "ports.json"
        chosen = {**choose_ports(preferred, _read_ports(path) | dict(fixed), is_free), **fixed}
        path.write_text(json.dumps(chosen, indent=2))
        return chosen

    def announce(self, running: Running) -> None:
        """Let other commands find this system."""
        _write_private(self._state, json.dumps(asdict(running), indent=2))

    def running(self) -> Running | None:
        """The system that runs on this folder now, as far as it is known."""
        if not self._is_held():
            return None  # what the file says is of one that was killed
        try:
            return Running(**json.loads(self._state.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _is_held(self) -> bool:
        try:
            with (self.path / "lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    @property
    def _state(self) -> Path:
        return self.path / "running.json"

    def _held(self) -> str:
        running = self.running()
        who = f" (process {running.pid}, {running.api_url})" if running else ""
        return (
            f"`carecircle up` runs on {self.path} already{who}. "
            "Stop it with Ctrl-C where it runs, or give this one another --data-dir."
        )


def choose_ports(
    wanted: Mapping[str, int], remembered: Mapping[str, int], is_free: Callable[[int], bool]
) -> dict[str, int]:
    chosen: dict[str, int] = {}
    spare = iter(free_ports(len(wanted)))
    for name, preferred in wanted.items():
        candidates = [remembered.get(name, 0), preferred]
        usable = (port for port in candidates if port and port not in chosen.values() and is_free(port))
        chosen[name] = next(usable, 0) or next(spare)
    return chosen


def _read_ports(path: Path) -> dict[str, int]:
    try:
        parsed: object = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    ports = cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}
    return {name: port for name, port in ports.items() if isinstance(port, int)}


def _write_private(path: Path, text: str) -> None:
    # Written beside and moved: a reader sees the old one or the whole new one, never with an open mode.
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
