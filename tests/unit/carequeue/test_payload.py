"""Typed data: what fits comes back equal, and what does not fit is refused by the name of the field."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, Literal, NewType, Optional
from uuid import UUID, uuid4

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carequeue.errors import PayloadError
from carequeue.wire.json_text import parse, stringify
from carequeue.wire.payload import decode_payload, encode_payload

DoseId = NewType("DoseId", UUID)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


@dataclass(frozen=True, slots=True)
class Dose:
    quantity: Decimal
    unit: str = "tablet"


@dataclass(frozen=True, slots=True)
class Everything:
    id: UUID
    dose_id: DoseId
    at: datetime
    on: date
    wall: time
    colour: Colour
    level: Level
    doses: tuple[Dose, ...]
    pair: tuple[int, str]
    notes: list[str]
    table: dict[str, int]
    numbered: dict[int, str]
    kind: Literal["a", "b"]
    maybe: UUID | None = None
    older: Optional[int] = None  # noqa: UP045 - both spellings must work
    either: int | str = 0
    free: Any = None
    share: float = 0.5
    flag: bool = False
    extra: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list["Tree"])


class Model(pydantic.BaseModel):
    patient_id: UUID
    times: list[time]


def everything(**changes: Any) -> Everything:
    fields: dict[str, Any] = {
        "id": uuid4(),
        "dose_id": DoseId(uuid4()),
        "at": datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
        "on": date(2026, 3, 29),
        "wall": time(8, 0),
        "colour": Colour.BLUE,
        "level": Level.LOW,
        "doses": (Dose(Decimal("1.50")), Dose(Decimal(2), "ml")),
        "pair": (1, "x"),
        "notes": ["é"],
        "table": {"a": 1},
        "numbered": {7: "seven", -1: "minus"},
        "kind": "b",
    }
    return Everything(**(fields | changes))


def through(payload_type: Any, value: Any) -> Any:
    return decode_payload(payload_type, parse(stringify(encode_payload(payload_type, value))))


def test_everything_comes_back_equal() -> None:
    value = everything(maybe=uuid4(), older=3, either="text", free={"x": [1, None]}, extra={"y": 1}, flag=True)
    assert through(Everything, value) == value


def test_instants_keep_their_offset_and_utc_is_z() -> None:
    at = datetime(2026, 3, 29, 3, 30, 15, 250_000, tzinfo=timezone(timedelta(hours=2)))
    assert through(datetime, at) == at
    assert encode_payload(datetime, at.astimezone(UTC)) == "2026-03-29T01:30:15.250000Z"


def test_a_class_may_hold_itself() -> None:
    tree = Tree("root", [Tree("leaf"), Tree("branch", [Tree("leaf")])])
    assert through(Tree, tree) == tree


def test_a_pydantic_model_comes_back_equal() -> None:
    model = Model(patient_id=uuid4(), times=[time(8, 0)])
    assert through(Model, model) == model


def test_a_dataclass_without_a_type_is_written_as_one() -> None:
    assert encode_payload(None, Dose(Decimal(1))) == {"quantity": "1", "unit": "tablet"}


@pytest.mark.parametrize("payload_type", [dict, dict[str, Any], Any, object])
def test_plain_data_passes_as_it_is(payload_type: Any) -> None:
    value = {"a": [1, {"b": None}]}
    assert through(payload_type, value) == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "no uuid"}, "data.id: wants UUID, got str"),
        ({"at": date(2026, 1, 1)}, "data.at: wants datetime, got date"),
        ({"on": datetime(2026, 1, 1, tzinfo=UTC)}, "data.on: wants date, got datetime"),
        ({"level": 1}, "data.level: wants Level, got int"),
        ({"colour": "red"}, "data.colour: wants Colour, got str"),
        ({"doses": (Dose(1),)}, "data.doses.0.quantity: wants Decimal, got int"),  # type: ignore[arg-type]
        ({"doses": "ab"}, "data.doses: wants list, got str"),
        ({"pair": (1,)}, "data.pair: has 1 items, not 2"),
        ({"pair": (1, 2)}, "data.pair.1: wants str, got int"),
        ({"notes": [1]}, "data.notes.0: wants str, got int"),
        ({"table": {"a": "1"}}, "data.table.a: wants int, got str"),
        ({"table": {"a": True}}, "data.table.a: wants int, got bool"),
        ({"numbered": {"7": "x"}}, "data.numbered: wants int, got str"),
        ({"kind": "c"}, "data.kind: is none of 'a', 'b'"),
        ({"maybe": 1}, "data.maybe: wants UUID, got int"),
        ({"either": 1.5}, "data.either: fits none of int, str"),
        ({"flag": 1}, "data.flag: wants bool, got int"),
        ({"share": "1"}, "data.share: wants float, got str"),
    ],
)
def test_wrong_data_is_refused_by_the_name_of_the_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PayloadError) as refused:
        encode_payload(Everything, everything(**changes))
    assert str(refused.value) == message


def test_another_class_is_refused() -> None:
    with pytest.raises(PayloadError, match="data: wants Dose, got dict"):
        encode_payload(Dose, {"quantity": Decimal(1), "unit": "ml"})
    with pytest.raises(PayloadError, match="data: wants Model, got dict"):
        encode_payload(Model, {})


@pytest.mark.parametrize(
    ("payload_type", "stored", "message"),
    [
        (Dose, {"unit": "ml"}, "data.quantity: is missing"),
        (Dose, {"quantity": 1}, "data.quantity: wants Decimal, got int"),
        (Dose, {"quantity": "one"}, "data.quantity: not the text of a Decimal"),
        (Dose, [], "data: wants dict, got list"),
        (UUID, "x", "data: not the text of a UUID"),
        (UUID, 5, "data: wants UUID, got int"),
        (datetime, "yesterday", "data: not the text of a datetime"),
        (date, "2026-02-30", "data: not the text of a date"),
        (time, "25:00", "data: not the text of a time"),
        (Colour, "green", "data: no Colour has this value"),
        (int, 1.5, "data: wants int, got float"),
        (int, None, "data: wants int, got NoneType"),
        (dict[int, str], {"x": "y"}, "data: the key 'x' is no integer"),
        (list[Dose], [{}], "data.0.quantity: is missing"),
    ],
)
def test_stored_data_that_does_not_fit_is_refused(payload_type: Any, stored: Any, message: str) -> None:
    with pytest.raises(PayloadError) as refused:
        decode_payload(payload_type, stored)
    assert str(refused.value) == message


def test_a_model_says_the_place_and_not_the_value() -> None:
    with pytest.raises(PayloadError, match=r"^data\.times\.0: refused by Model$") as refused:
        decode_payload(Model, {"patient_id": str(uuid4()), "times": ["secret"]})
    assert "secret" not in str(refused.value)


def test_keys_of_a_newer_sender_are_ignored() -> None:
    assert decode_payload(Dose, {"quantity": "1", "unit": "ml", "colour": "red"}) == Dose(Decimal(1), "ml")


def test_javascripts_whole_numbers_are_integers() -> None:
    assert decode_payload(int, 3.0) == 3
    assert isinstance(decode_payload(float, 3), float)


def test_what_a_class_itself_refuses_is_a_payload_error() -> None:
    @dataclass
    class Positive:
        n: int

        def __post_init__(self) -> None:
            if self.n < 1:
                raise ValueError("not positive")

    with pytest.raises(PayloadError, match="data: refused by Positive: not positive"):
        decode_payload(Positive, {"n": 0})


@pytest.mark.parametrize("payload_type", [bytes, set[int], complex, type(lambda: 0)])
def test_types_that_json_cannot_carry_cannot_be_a_payload(payload_type: Any) -> None:
    with pytest.raises(PayloadError, match="cannot be the type of a job's data"):
        encode_payload(payload_type, None)


@given(st.datetimes(timezones=st.just(UTC)), st.dates(), st.times(), st.decimals(allow_nan=False), st.uuids())
def test_leaves_of_any_value_come_back_equal(at: datetime, on: date, wall: time, amount: Decimal, key: UUID) -> None:
    for kind, value in ((datetime, at), (date, on), (time, wall), (Decimal, amount), (UUID, key)):
        assert through(kind, value) == value
