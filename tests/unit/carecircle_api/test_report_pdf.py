"""The report as a file: all of it is there, nothing runs over anything, and it tells nobody more than it must."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from io import BytesIO

import pypdfium2
import pytest
from pypdf import PdfReader

from carecircle.domain.adherence import Figures
from carecircle.domain.report import (
    AsNeededLine,
    FigureLine,
    MedicationLine,
    NotTaken,
    NotTakenLine,
    Report,
    skip_reason,
)
from carecircle_api.exports.report_pdf import MARGIN, MISSING, portions, render

MADE = datetime(2026, 11, 24, 17, 5)  # noqa: DTZ001 - the patient's wall time


def report(names: list[str], **changes: object) -> Report:
    values = {
        "patient": "Rosa Müller",
        "zone": "Europe/Berlin",
        "since": date(2026, 10, 26),
        "until": date(2026, 11, 24),
        "generated_at": MADE,
        "generated_for": "Anna",
        "medications": tuple(
            MedicationLine(name, "50 mg, tablet", ("1 tablet every day at 08:00",), "With water.", paused=False)
            for name in names
        ),
        "figures": tuple(FigureLine(name, "", Figures(on_time=25, late=2, missed=2, skipped=1)) for name in names),
        "not_taken": tuple(
            NotTakenLine(MADE - timedelta(days=n), name, skipped=n % 2 == 0, reason="felt unwell")
            for n, name in enumerate(names)
        ),
        "not_taken_before": 0,
        "as_needed": (AsNeededLine("Ibuprofen", 7, 5, ("2800 mg",), ("1 dose reached the maximum",)),),
    }
    return Report(**{**values, **changes})  # pyright: ignore[reportArgumentType]


def text_of(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages)


def test_it_says_who_when_what_and_how() -> None:
    text = text_of(render(report(["Metoprolol", "Levodopa"]), "a4"))
    for said in (
        "Rosa Müller",
        "26 October 2026 to 24 November 2026",
        "Times are those of Europe/Berlin. Made on 24 November 2026, 17:05 for Anna.",
        "Metoprolol",
        "1 tablet every day at 08:00",
        "With water.",
        "54 of 60 doses were taken (90%).",
        "felt unwell",
        "1 dose reached the maximum",
        "nothing about the patient",
        "Page 1 of",
    ):
        assert said in " ".join(text.split()), said


@pytest.mark.parametrize("paper", ["a4", "letter"])
def test_few_medications_are_one_page_or_two(paper) -> None:
    pages = PdfReader(BytesIO(render(report(["Metoprolol", "Levodopa", "Aspirin"]), paper))).pages
    assert len(pages) <= 2
    assert round(float(pages[0].mediabox.width)) == (595 if paper == "a4" else 612)


def test_its_title_names_nobody_and_no_medicine() -> None:
    reader = PdfReader(BytesIO(render(report(["Metoprolol"]), "a4")))
    assert reader.metadata is not None
    said = " ".join(str(value) for value in reader.metadata.values())
    assert reader.metadata.title == "Medication report"
    assert "Rosa" not in said
    assert "Metoprolol" not in said
    assert reader.trailer["/Root"]["/Lang"] == "en"


def test_greek_cyrillic_and_turkish_are_printed_and_what_is_not_is_said() -> None:
    names = ["Βαρφαρίνη", "Варфарин", "Çiğdem şurubu İı", "Đường huyết"]
    text = text_of(render(report(names), "a4"))
    for name in names:
        assert name in text, name
    assert MISSING not in text
    other = text_of(render(report(["アスピリン", "💊 Aspirin"]), "a4"))
    assert "cannot print" in " ".join(other.split())
    assert "Aspirin" in other


def test_what_looks_like_markup_stays_what_it_is() -> None:
    text = text_of(render(report(["**bold** __x__ --y-- [a](http://b)"]), "a4"))
    assert "**bold** __x__" in text
    assert "[a](http://b)" in "".join(text.split()).replace("--y--", "")


LONG = ["x" * 200, "Supercalifragilistic" * 9, "W" * 200, "a b " * 50, *(f"Medication {n}" for n in range(26))]


@pytest.mark.parametrize("paper", ["a4", "letter"])
def test_thirty_medications_with_long_names_stay_inside_the_margins(paper) -> None:
    """Drawn to pictures: beside the text there is nothing but the band at the top and white."""
    taper = MedicationLine(
        "Prednisolone" * 10,
        "strength " * 20,
        tuple(f"{n} mg " + "on Mondays " * 60 for n in range(41)),
        "long " * 400,
        paused=True,
    )
    given = report(LONG)
    content = render(report(LONG, medications=(*given.medications, taper)), paper)
    pages = pypdfium2.PdfDocument(content)
    assert 5 < len(pages) < 40
    text = text_of(content)
    assert "40 mg" in text
    for page in pages:
        image = page.render(scale=1).to_pil().convert("L")
        edge = int(MARGIN / 25.4 * 72) - 4
        foot = int(6 / 25.4 * 72)
        width, height = image.size
        for box in ((0, 12, edge, height), (width - edge, 12, width, height), (0, height - foot, width, height)):
            darkest, _ = image.crop(box).getextrema()
            assert darkest > 250, (paper, box)


def test_no_two_lines_of_text_lie_over_each_other() -> None:
    """The boxes of the letters, as a viewer knows them: no two share more than a sliver."""
    pages = pypdfium2.PdfDocument(render(report(LONG), "a4"))
    for page in pages:
        found = page.get_textpage()
        boxes = [found.get_rect(n) for n in range(found.count_rects())]
        assert boxes
        for n, (left, bottom, right, top) in enumerate(boxes):
            for other in boxes[n + 1 :]:
                wide = min(right, other[2]) - max(left, other[0])
                high = min(top, other[3]) - max(bottom, other[1])
                assert not (wide > 1 and high > 2), ((left, bottom, right, top), other)


def test_an_empty_report_says_so() -> None:
    empty = report([], medications=(), figures=(), not_taken=(), as_needed=())
    text = text_of(render(empty, "a4"))
    assert "None were planned." in text
    assert "Doses that were skipped or missed" not in text
    assert "Taken as needed" not in text


def test_the_latest_doses_that_were_not_taken_are_kept() -> None:
    kept = NotTaken()
    for n in range(150):
        kept.add(NotTakenLine(MADE + timedelta(days=n), "A", skipped=True, reason=""))
    assert (len(kept.lines), kept.before, kept.lines[0].at) == (100, 50, MADE + timedelta(days=50))


def test_reasons_are_the_kind_and_the_words() -> None:
    assert skip_reason("felt_unwell", None) == "felt unwell"
    assert skip_reason("felt_unwell", "since lunch") == "felt unwell: since lunch"
    assert skip_reason("other", "the cat") == "the cat"
    assert skip_reason("other", None) == "another reason"
    assert skip_reason(None, None) == ""


def test_long_texts_come_in_portions() -> None:
    assert list(portions("a\nb")) == ["a", "b"]
    assert [len(part) for part in portions("x" * 2000)] == [900, 900, 200]
