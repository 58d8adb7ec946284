"""The kinds of values in bodies and queries. Each accepts one notation and refuses what cannot be stored or shown."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
)

from carecircle.domain.errors import Invalid
from carecircle.domain.times import duration, duration_text, local_date_time

FIRST_YEAR, LAST_YEAR = 2000, 2200
RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?", re.ASCII)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
UUID_TEXT = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
UNSHOWABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters (NUL among them), lone surrogates, line and paragraph separators."""
DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Can make a text read differently from what it says."""


class Body(BaseModel):
    """What a client sends: an unknown field is an error, not a wish ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Answer(BaseModel):
    """What we send."""

    model_config = ConfigDict(from_attributes=True)


def plain(text: str) -> str:
    """One line that can be stored and shown."""
    return _showable(text, allowed="")


def lines(text: str) -> str:
    """Several lines; `\\n` and tab are allowed."""
    return _showable(text.replace("\r\n", "\n"), allowed="\n\t")


def _showable(text: str, allowed: str) -> str:
    for character in text:
        unshowable = unicodedata.category(character) in UNSHOWABLE or character in DIRECTION_MARKS
        if unshowable and character not in allowed:
            raise ValueError("has a character that cannot be stored or shown (such as NUL or half a surrogate pair)")
    return text


def _trimmed(text: object) -> object:
    return text.strip() if isinstance(text, str) else text


def normalised_email(text: str) -> str:
    """An address that a mail server can be given, its domain in lower-case ASCII."""
    try:
        # Whether mail arrives is the mail server's word, not ours: no DNS here, and intranet domains are fine.
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise ValueError("This is not an e-mail address we can send to.") from error
    return found.ascii_email or found.normalized


def _instant(value: object) -> object:
    """An aware instant from RFC 3339 text, in UTC."""
    if isinstance(value, datetime):
        return value
    found = RFC3339.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('Give an instant as RFC 3339 with a zone, such as "2026-03-08T12:00:00Z".')
    day, clock, fraction, offset = found.groups()
    try:
        instant = datetime.fromisoformat(f"{day}T{clock}{(fraction or '')[:7]}{offset.upper()}")
    except ValueError:
        raise ValueError("There is no such date or time.") from None
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(f"Give an instant between the years {FIRST_YEAR} and {LAST_YEAR}.")
    return instant.astimezone(UTC)


def _query_instant(value: object) -> object:
    # In a query an unescaped "+" arrives as a space: nothing else can have been meant.
    return _instant(re.sub(r" (?=\d{2}:\d{2}$)", "+", value) if isinstance(value, str) else value)


def _day(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not DATE.fullmatch(value):
        raise ValueError('Give a date as "YYYY-MM-DD".')
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise ValueError("There is no such date.") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"Give a date between the years {FIRST_YEAR} and {LAST_YEAR}.")
    return day


def _length(value: object) -> object:
    """A length of time from ISO 8601 text."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError('Give a length of time as ISO 8601, such as "PT4H".')  # noqa: TRY004 - a refusal, see below
    try:
        return duration(value, field="")
    except Invalid as refused:
        raise ValueError(refused.message) from None


def _local(value: object) -> object:
    """A naive wall-clock time from text."""
    if isinstance(value, datetime):
        return value
    try:
        local = local_date_time(value if isinstance(value, str) else "", field="")
    except Invalid as refused:
        raise ValueError(refused.message) from None
    if not FIRST_YEAR <= local.year <= LAST_YEAR:
        raise ValueError(f"Give a date between the years {FIRST_YEAR} and {LAST_YEAR}.")
    return local


def _moment(value: object) -> object:
    """An instant, or a naive wall-clock time: an offset at the end tells them apart."""
    if isinstance(value, str) and LOCAL.fullmatch(value):
        return _local(value)
    try:
        return _instant(value)
    except ValueError as error:
        raise ValueError(f'{error} Or a local time without a zone: "2026-03-08T08:00".') from None


def _local_text(local: datetime) -> str:
    return local.isoformat(timespec="minutes")


def _uuid(value: object) -> object:
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or not UUID_TEXT.fullmatch(value):
        raise ValueError("Give a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057.")
    return UUID(value)


def _amount(value: object) -> object:
    """A JSON number, read as decimal; not text, and not true."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("Give a number.")  # noqa: TRY004 - pydantic takes only a ValueError for a refusal
    return Decimal(repr(value)) if isinstance(value, float) else value


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


Name = Annotated[
    str,
    BeforeValidator(_trimmed),
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(plain),
]
ShortText = Annotated[
    str, BeforeValidator(_trimmed), StringConstraints(min_length=1, max_length=100), AfterValidator(plain)
]
Unit = Annotated[str, BeforeValidator(_trimmed), StringConstraints(min_length=1, max_length=50), AfterValidator(plain)]
Reason = Annotated[
    str, BeforeValidator(_trimmed), StringConstraints(min_length=1, max_length=500), AfterValidator(plain)
]
Instructions = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(lines)]
ZoneName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(plain)]
Password = Annotated[str, StringConstraints(min_length=8, max_length=128), AfterValidator(plain)]
Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254),
    AfterValidator(plain),
    AfterValidator(normalised_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
Token = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_-]+$")]
Instant = Annotated[
    datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation")
]
QueryInstant = Annotated[
    datetime,
    BeforeValidator(_query_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation"),
]
LocalDateTime = Annotated[
    datetime,
    BeforeValidator(_local),
    PlainSerializer(_local_text, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:00)?$"}, mode="validation"
    ),
]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:00)?$"},
            ]
        },
        mode="validation",
    ),
]
"""Aware, or naive: a wall-clock time."""
Duration = Annotated[
    timedelta,
    BeforeValidator(_length),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "duration"}, mode="validation"),
]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"}, mode="validation")]
WallTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Id = Annotated[UUID, BeforeValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
Amount = Annotated[
    Decimal,
    BeforeValidator(_amount),
    PlainSerializer(_number, return_type=float),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 100_000}),
]
Stock = Annotated[
    Decimal,
    BeforeValidator(_amount),
    PlainSerializer(_number, return_type=float),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 10_000_000}),
]
"""What may be there: nothing, too."""
Change = Annotated[
    Decimal, BeforeValidator(_amount), PlainSerializer(_number, return_type=float), WithJsonSchema({"type": "number"})
]
Flag = StrictBool
Whole = StrictInt
