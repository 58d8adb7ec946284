"""Errors in one line and without the passwords that URLs carry."""

from __future__ import annotations

import re

PASSWORD = re.compile(r"(?<=://)([^/@\s]*):[^/@\s]*@")
LONGEST = 300


def without_secrets(error: Exception) -> str:
    """The error's first line; its kind if it has no words."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return PASSWORD.sub(r"\1:***@", lines[0])[:LONGEST] if lines else type(error).__name__
