"""What the routes work with: made once at the start, handed to the application, found through `deps`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from carecircle.channels import ChannelSpec
from carecircle.db.session import Database
from carecircle_api.exports.reports import Printer
from carecircle_api.hints import Hints
from carecircle_api.observe import HttpMetrics
from carecircle_api.passwords import Passwords
from carecircle_api.settings import ApiSettings
from carecircle_api.throttle import Throttle
from carecircle_api.tokens import AccessTokens


@dataclass(frozen=True, slots=True)
class Services:
    settings: ApiSettings
    database: Database
    hints: Hints
    readiness: Callable[[], Awaitable[tuple[int, Mapping[str, object]]]]
    """Status and body of /readyz."""
    vapid_public_key: str | None
    tokens: AccessTokens
    passwords: Passwords
    throttle: Throttle
    metrics: HttpMetrics
    printer: Printer = field(default_factory=Printer)
    """Draws reports."""
    channels: Mapping[str, ChannelSpec] = field(default_factory=dict[str, ChannelSpec])
    """By which a preview says how people would be told."""
