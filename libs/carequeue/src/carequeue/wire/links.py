"""The tie between a child and its parent as BullMQ stores it, with what the child's failure means.

The flags of a failure stand twice, in the child's options and beside its parent's id; the scripts read the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carequeue.options import OnFailure
from carequeue.wire.json_text import stringify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from carequeue.options import ParentRef

FAILURE_FLAGS = {
    OnFailure.FAIL_PARENT: "fpof",
    OnFailure.CONTINUE_PARENT: "cpof",
    OnFailure.IGNORE_DEPENDENCY: "idof",
    OnFailure.REMOVE_DEPENDENCY: "rdof",
}


def encode_link(parent: ParentRef, on_failure: OnFailure | None) -> str:
    link: dict[str, object] = {"id": parent.id, "queueKey": parent.queue_key}
    return stringify(link | encode_flag(on_failure))


def encode_flag(on_failure: OnFailure | None) -> dict[str, object]:
    return {} if on_failure is None else {FAILURE_FLAGS[on_failure]: True}


def decode_flag(raw: Mapping[str, Any]) -> OnFailure | None:
    return next((ours for ours, flag in FAILURE_FLAGS.items() if raw.get(flag) is True), None)
