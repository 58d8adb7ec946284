"""What the dispatcher reads from the environment, beside what every service reads."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from carecircle.runtime.settings import Settings


class DispatcherSettings(Settings):
    sweep_seconds: float = Field(default=30, gt=0, le=600)
    """How often doses and deliveries whose window ended are looked for."""
    plan_seconds: float = Field(default=300, gt=0, le=3600)
    """How often schedules are planned ahead."""
    supplies_seconds: float = Field(default=60, gt=0, le=3600)
    """How often supplies are looked at whose time has come; of each that is once a day and after each change."""

    @property
    def supplies_every(self) -> timedelta:
        return timedelta(seconds=self.supplies_seconds)

    @property
    def sweep_every(self) -> timedelta:
        return timedelta(seconds=self.sweep_seconds)

    @property
    def plan_every(self) -> timedelta:
        return timedelta(seconds=self.plan_seconds)
