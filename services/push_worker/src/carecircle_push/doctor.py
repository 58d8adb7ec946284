"""Can push services trust us? Looks at the VAPID key and what is allowed beside the public services; asks nobody."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from carecircle.runtime import vapid
from carecircle.runtime.findings import Finding
from carecircle.runtime.settings import SettingsError
from carecircle_push.settings import PushSettings
from carecircle_push.signer import VapidSigner

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

SUBJECT = "Web Push"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OTHERS = stat.S_IRWXG | stat.S_IRWXO


async def check() -> list[Finding]:
    """What is right and wrong with the key and the origins of the settings."""
    try:
        # The database is somebody else's check; a missing address of it is said there.
        settings = PushSettings.load(database_url="postgresql://not-asked")
    except SettingsError as error:
        return [Finding.fail(SUBJECT, "settings", str(error), "`carecircle vapid generate` makes a key")]
    return [_key(settings), _private(settings.vapid_private_key_file), _origins(settings.push_allowed_origins)]


def _key(settings: PushSettings) -> Finding:
    path = settings.vapid_private_key_file
    try:
        key = vapid.load(path)
        VapidSigner(key, settings.vapid_subject).authorization("https://push.example")
    except Exception as error:  # noqa: BLE001 - whatever the signing library raises is what is wrong
        return Finding.fail(
            SUBJECT, "VAPID key", str(error), "restore the key from a backup; a new one loses every browser"
        )
    return Finding.ok(
        SUBJECT, "VAPID key", f"signs for {settings.vapid_subject}; public {vapid.encode_public(key)[:16]}…"
    )


def _private(path: Path) -> Finding:
    """Whether other users of the machine can read it: by its own mode, or because its folder is closed to them."""
    try:
        open_to_others = bool(path.stat().st_mode & OTHERS) and bool(path.parent.stat().st_mode & stat.S_IXOTH)
    except OSError as error:
        return Finding.fail(SUBJECT, "key file", f"{path}: {error.strerror}", "see CARECIRCLE_VAPID_PRIVATE_KEY_FILE")
    if open_to_others and not path.is_relative_to("/run/secrets"):
        return Finding.warn(SUBJECT, "key file", f"others on this machine can read {path}", f"chmod 600 {path}")
    return Finding.ok(SUBJECT, "key file", "readable by its owner only")


def _origins(allowed: Collection[str]) -> Finding:
    plain = sorted(one for one in allowed if urlsplit(one).scheme != "https" and urlsplit(one).hostname not in LOOPBACK)
    if plain:
        return Finding.warn(
            SUBJECT, "origins", f"allowed without encryption: {', '.join(plain)}",
            "use https:// in CARECIRCLE_PUSH_ALLOWED_ORIGINS",
        )  # fmt: skip
    extra = f" and {', '.join(sorted(allowed))}" if allowed else ""
    return Finding.ok(SUBJECT, "origins", f"the public push services{extra}")
