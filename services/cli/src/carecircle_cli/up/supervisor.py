"""Keeps children running: starts them, starts crashed ones again, stops all in order. Used by `carecircle up`."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from carecircle_cli.engines.process import EngineError
from carecircle_cli.up.child import Child, ChildFailed, how_it_ended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carecircle_cli.engines.program import Program


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """A crashed child is started again after `first` seconds, twice that, and so on; from anew once it has held out."""

    first: float = 0.5
    longest: float = 30
    steady_after: float = 60

    def delay(self, crashes: int) -> float:
        """Before the start that follows the n-th crash in a row."""
        return min(self.longest, self.first * 2 ** min(crashes - 1, 20))


class Report(Protocol):
    """Where the supervisor says what happens; one method an event."""

    def ready(self, name: str, seconds: float) -> None: ...
    def crashed(self, name: str, how: str, last_lines: str, again_in: float) -> None: ...
    def back(self, name: str) -> None: ...
    def stopped(self, name: str, seconds: float) -> None: ...
    def killed(self, name: str, grace: float) -> None: ...
    def line(self, name: str, text: str) -> None: ...


class Supervisor:
    """`start()` programs in stages, `watch()`, and `stop()` the stages in the reverse of their order."""

    def __init__(self, report: Report, policy: RestartPolicy | None = None) -> None:
        self.report = report
        self.policy = policy or RestartPolicy()
        self._stages: list[list[Child]] = []
        self._keepers: dict[Child, asyncio.Task[None]] = {}
        self._at_once = False

    @property
    def children(self) -> list[Child]:
        return [child for stage in self._stages for child in stage]

    async def start(self, *stages: Sequence[Program]) -> None:
        """Start all of them at the same time, and return once every one is ready.

        Raises:
            ChildFailed: one did not get there. The others are left as they are; `stop()` ends them.
        """
        added = [[self._child(program) for program in stage] for stage in stages]
        self._stages.extend(added)
        try:
            async with asyncio.TaskGroup() as group:
                for child in (child for stage in added for child in stage):
                    group.create_task(self._start(child))
        except* EngineError as errors:
            raise errors.exceptions[0] from None

    async def run(self, program: Program) -> None:
        """Run a program that ends by itself.

        Raises:
            ChildFailed: it ended with another exit code than 0.
        """
        child, began = self._child(program), time.monotonic()
        self._stages.append([child])
        await child.spawn()
        code = await child.wait()
        if code:
            raise ChildFailed(f"{program.name} {how_it_ended(code)}:\n{child.last_lines}")
        self.report.ready(program.name, time.monotonic() - began)

    async def watch(self) -> None:
        """Start crashed children again until this is cancelled."""
        await asyncio.gather(*self._keepers.values())

    async def stop(self) -> None:
        """Stop every child, the last stage first; those of one stage at the same time. Never raises."""
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        self._keepers.clear()
        while self._stages:
            await asyncio.gather(*map(self._stop, self._stages[-1]))
            self._stages.pop()

    def kill(self) -> None:
        """End everything at once; a `stop()` that is under way then has nothing left to wait for."""
        self._at_once = True
        for child in self.children:
            child.kill()

    def _child(self, program: Program) -> Child:
        return Child(program, lambda text: self.report.line(program.name, text))

    async def _start(self, child: Child) -> None:
        began = time.monotonic()
        await child.start()
        self.report.ready(child.name, time.monotonic() - began)
        self._keepers[child] = asyncio.create_task(self._keep(child), name=f"keeper of {child.name}")

    async def _keep(self, child: Child) -> None:
        crashes = 0
        while True:
            began = time.monotonic()
            how = how_it_ended(await child.wait())
            crashes = 1 if time.monotonic() - began > self.policy.steady_after else crashes + 1
            while True:
                delay = self.policy.delay(crashes)
                self.report.crashed(child.name, how, child.last_lines, delay)
                await asyncio.sleep(delay)
                try:
                    await child.start()
                    break
                except EngineError as error:
                    how, crashes = str(error).partition(":\n")[0].removeprefix(f"{child.name} "), crashes + 1
            self.report.back(child.name)

    async def _stop(self, child: Child) -> None:
        if self._at_once:
            child.kill()
        was_running, began = child.running, time.monotonic()
        by_itself = await child.stop()
        if not by_itself and not self._at_once:
            self.report.killed(child.name, child.program.grace)
        elif was_running:
            self.report.stopped(child.name, time.monotonic() - began)
