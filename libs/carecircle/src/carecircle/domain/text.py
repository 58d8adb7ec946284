"""What may stand in a text that a person typed."""

from __future__ import annotations

import unicodedata

from carecircle.domain.errors import Invalid


def check_text(text: str, *, field: str, max_length: int | None = None) -> str:
    """The text itself, if it can be stored and shown.

    NUL and lone surrogates cannot be stored; the other control characters have no business in a message.

    Raises:
        Invalid: it is too long, or has such characters.
    """
    if max_length is not None and len(text) > max_length:
        raise Invalid(f"Give at most {max_length} characters.", field=field)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise Invalid("There are characters that cannot be shown.", field=field)
    return text
