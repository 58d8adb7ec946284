"""Whatever carequeue exports says in its docstring what it is for: the reference is made of them."""

from __future__ import annotations

import re
from pathlib import Path

from infra.reference import reference, undocumented

import carequeue

LIBRARY = Path(__file__).parents[2] / "libs/carequeue"
NAMED_TEST = re.compile(r"\[`(test_\w+)`\]\(([^)#]+\.py)\)")


def test_every_public_name_of_carequeue_has_a_docstring() -> None:
    assert undocumented() == []


def test_the_reference_tells_signatures_fields_members_and_errors() -> None:
    page = reference()
    assert "await add(kind: str, data: Any = None, **JobOptions) -> Job[Any]" in page
    assert "- `run_at: datetime | None = None`: Not before this instant (aware)." in page
    assert "- `OnFailure.FAIL_PARENT` = `'fail_parent'`: The parent fails as well, at once." in page
    assert "- `ParentNotFound`: the parent does not exist." in page
    assert "It is a [CarequeueError](#carequeueerror), with all that one has." in page
    assert "- `lost: asyncio.Event`" in page


def test_every_exception_is_on_the_page_of_errors() -> None:
    page = (LIBRARY / "docs/errors.md").read_text("utf-8")
    exceptions = [
        name for name, item in vars(carequeue).items() if isinstance(item, type) and issubclass(item, Exception)
    ]
    told = {name for name in exceptions if f"| `{name}`" in page}
    assert sorted(set(exceptions) - told - {"CarequeueError", "JobError", "Instruction"}) == []


def test_the_tests_that_the_pages_name_are_there() -> None:
    missing = [
        (page.name, test)
        for page in sorted((LIBRARY / "docs").glob("*.md"))
        for test, path in NAMED_TEST.findall(page.read_text("utf-8"))
        if f"def {test}(" not in (page.parent / path).read_text("utf-8")
    ]
    assert missing == []
