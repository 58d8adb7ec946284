"""The report for a doctor's visit as PDF: a few pages that are read in a minute, on paper as well.

Runs in a process of its own (see `reports.py`), so it imports no more than it needs.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal, TypeAlias

from fontTools.ttLib import TTFont  # pyright: ignore[reportMissingTypeStubs]
from fpdf import FPDF, FontFace
from fpdf.enums import Align, CellBordersLayout, TableBordersLayout, VAlign, XPos, YPos

from carecircle.domain.plain_words import day_words

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from contextlib import AbstractContextManager

    from fpdf.table import Table

    from carecircle.domain.adherence import Figures
    from carecircle.domain.report import Report

Paper: TypeAlias = Literal["a4", "letter"]
Color: TypeAlias = tuple[int, int, int]

FAMILY = "NotoSans"
MARGIN = 16
FOOT = 18
INK: Color = (33, 37, 41)
QUIET: Color = (96, 104, 112)
ACCENT: Color = (11, 84, 99)
PALE: Color = (232, 241, 243)
RULE: Color = (205, 213, 218)
GOOD: Color = (38, 120, 132)
MISSING = "\ufffd"
"""In place of a character that the font does not have."""
TITLE = "Medication report"
PORTION = 900
BESIDE = 3
"""So many lines on how a medication is taken fit beside its name on any page."""


def render(report: Report, paper: Paper) -> bytes:
    """The whole file."""
    page = ReportPage(report, paper)
    page.add_page()
    page.head()
    page.medications()
    page.figures()
    page.not_taken()
    page.as_needed()
    page.remarks()
    return bytes(page.output())


class ReportPage(FPDF):
    def __init__(self, report: Report, paper: Paper) -> None:
        super().__init__(format=paper)
        self._report = report
        self._unprintable = False
        self.set_margins(MARGIN, MARGIN, MARGIN)
        self.set_auto_page_break(True, FOOT + 4)
        folder = files("carecircle_api") / "fonts"
        self.add_font(FAMILY, "", str(folder / "NotoSans-Regular.ttf"))
        self.add_font(FAMILY, "B", str(folder / "NotoSans-Bold.ttf"))
        self.set_title(TITLE)  # what a list of files or a printer shows: no names of people or medicines
        self.set_lang("en")
        self.set_creator("CareCircle Reminders")
        self.set_display_mode("fullwidth")
        self.set_text_shaping(False)

    # ---- parts

    def head(self) -> None:
        report = self._report
        self.set_fill_color(*ACCENT)
        self.rect(0, 0, self.w, 3.5, style="F")
        self.set_y(MARGIN - 2)
        self._write(TITLE.upper(), 8.5, ACCENT, bold=True)
        self._write(self._shown(report.patient), 21, INK, bold=True, leading=1.15)
        period = f"{day_words(report.since)} to {day_words(report.until)}"
        self._write(period, 11.5, INK)
        made = f"{day_words(report.generated_at.date())}, {report.generated_at:%H:%M}"
        about = f"Times are those of {report.zone}. Made on {made} for {self._shown(report.generated_for)}."
        self._write(about, 8.5, QUIET)
        self.ln(2)

    def medications(self) -> None:
        self._section("Current medications")
        report = self._report
        if not report.medications:
            self._write("None.", 10, INK)
            return
        with self._table((28, 21, 51), ("Medication", "Strength and form", "How it is taken")) as table:
            for line in report.medications:
                name = line.name + (" (paused)" if line.paused else "")
                how = [*(line.how or ("Nothing is planned.",)), *portions(line.instructions or "")]
                # The first lines stand beside the name; the longest taper goes on, row by row, over the end of a page.
                self._row(table, (name, line.detail, "\n".join(how[:BESIDE])), bold_first=True)
                for text in how[BESIDE:]:
                    self._row(table, ("", "", text), begins=False)

    def figures(self) -> None:
        self._section("Planned doses in this period")
        report = self._report
        if not report.figures:
            self._write("None were planned.", 10, INK)
            return
        self._overall(report.total)
        heads = ("Medication", "Due", "Taken", "On time", "Skipped", "Missed", "Not known", "Taken of due")
        with self._table((33, 8, 9, 10, 10, 9, 8, 13), heads, numbers=True) as table:
            for line in report.figures:
                name = line.name + (f" ({line.remark})" if line.remark else "")
                self._row(table, (name, *_counts(line.figures)), bold_first=True)

    def not_taken(self) -> None:
        report = self._report
        if not report.not_taken:
            return
        self._section("Doses that were skipped or missed")
        if report.not_taken_before:
            self._write(f"The latest {len(report.not_taken)}; {report.not_taken_before} more came before.", 9, QUIET)
        with self._table((25, 30, 11, 34), ("Planned for", "Medication", "Outcome", "Reason")) as table:
            for line in report.not_taken:
                at = f"{line.at:%a} {line.at.day} {line.at:%b %Y, %H:%M}"
                outcome = "skipped" if line.skipped else "missed"
                self._row(table, (at, line.name, outcome, line.reason))

    def as_needed(self) -> None:
        report = self._report
        if not report.as_needed:
            return
        self._section("Taken as needed")
        with self._table((33, 9, 9, 20, 29), ("Medication", "Doses", "Days", "In all", "Remarks")) as table:
            for line in report.as_needed:
                texts = (line.name, str(line.doses), str(line.days), ", ".join(line.amounts), "; ".join(line.remarks))
                self._row(table, texts, bold_first=True)

    def remarks(self) -> None:
        self._section("How to read this")
        for text in (
            "The figures come from what the patient and the people who help have recorded. They are no measurement "
            "and no medical advice.",
            "**Due** are doses whose outcome is known: taken, skipped or missed. **On time** is taken inside the "
            "window that was set for the medication, usually one or two hours around its time.",
            "**Skipped** was decided by somebody. **Missed** was asked for and not answered; it may have been taken "
            "all the same.",
            "**Not known** are doses that nobody was reminded of because the reminder service failed. They say "
            "nothing about the patient, and are in no share.",
        ):
            self._write(text, 8.5, QUIET, markdown=True)
            self.ln(0.8)
        if self._unprintable:
            self._write(
                f"This report has letters for Latin, Greek and Cyrillic writing. {MISSING} stands for a character "
                "that it cannot print; the CSV and JSON exports have it.",
                8.5,
                INK,
                bold=True,
            )

    def footer(self) -> None:
        self.set_y(-FOOT + 4)
        self.set_draw_color(*RULE)
        self.line(MARGIN, self.get_y(), self.w - MARGIN, self.get_y())
        self.ln(1.5)
        self.set_font(FAMILY, "", 7.5)
        self.set_text_color(*QUIET)
        width = self.epw / 2
        self.cell(width, 4, "Health data: for the people it was made for.", align=Align.L)
        self.cell(width, 4, f"Page {self.page_no()} of {{nb}}", align=Align.R)

    # ---- pieces

    def _overall(self, total: Figures) -> None:
        """One bar of all doses, with its words: it is read without colours."""
        share = total.taking_adherence
        words = "No dose was due." if share is None else f"{total.taken} of {total.due} doses were taken ({share:.0%})."
        self._write(words, 10.5, INK, bold=True)
        if share is None:
            return
        top, height = self.get_y() + 1, 3
        self.set_fill_color(*PALE)
        self.rect(MARGIN, top, self.epw, height, style="F")
        self.set_fill_color(*GOOD)
        self.rect(MARGIN, top, self.epw * share, height, style="F")
        self.set_y(top + height + 2.5)

    def _section(self, title: str) -> None:
        if self.will_page_break(34):  # a heading is never the last thing of a page
            self.add_page()
        self.ln(4)
        self.start_section(title)
        self._write(title, 12.5, ACCENT, bold=True)
        self.ln(0.6)

    def _write(
        self, text: str, size: float, color: Color, *, bold: bool = False, leading: float = 1.35, markdown: bool = False
    ) -> None:
        self.set_font(FAMILY, "B" if bold else "", size)
        self.set_text_color(*color)
        height = size * leading * 25.4 / 72
        self.multi_cell(0, height, text, align=Align.L, markdown=markdown, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _table(
        self, widths: tuple[float, ...], heads: tuple[str, ...], *, numbers: bool = False
    ) -> AbstractContextManager[Table]:
        self.set_font(FAMILY, "", 9)
        self.set_text_color(*INK)
        self.set_draw_color(*RULE)
        self.set_line_width(0.2)
        self.set_fill_color(255, 255, 255)
        return self._headed(
            self.table(
                col_widths=widths,
                borders_layout=TableBordersLayout.NONE,
                headings_style=FontFace(emphasis="BOLD", color=ACCENT, fill_color=PALE, size_pt=8),
                line_height=4.6,
                padding=(0.9, 1.4, 0.9, 1.4),
                text_align=tuple(Align.R if numbers and n else Align.L for n in range(len(heads))),
                v_align=VAlign.T,
            ),
            heads,
        )

    @contextmanager
    def _headed(self, table: AbstractContextManager[Table], heads: tuple[str, ...]) -> Generator[Table]:
        with table as opened:
            row = opened.row()
            for head in heads:
                row.cell(head, v_align=VAlign.B)
            yield opened

    def _row(
        self,
        table: Table,
        texts: Sequence[str],
        *,
        begins: bool = True,
        bold_first: bool = False,
    ) -> None:
        """A row with a line above it, or one that belongs to the row before."""
        row = table.row()
        border = CellBordersLayout.TOP if begins else CellBordersLayout.NONE
        for n, text in enumerate(texts):
            style = FontFace(emphasis="BOLD") if bold_first and n == 0 else None
            row.cell(self._shown(text), style=style, border=border)

    def _shown(self, text: str) -> str:
        """The text with a mark in place of what the font cannot print."""
        known = glyphs()
        shown = "".join(letter if letter == "\n" or ord(letter) in known else MISSING for letter in text)
        self._unprintable = self._unprintable or shown != text
        return shown


@cache
def glyphs() -> frozenset[int]:
    """The characters that both fonts have."""
    folder = files("carecircle_api") / "fonts"
    found: list[set[int]] = []
    for name in ("NotoSans-Regular.ttf", "NotoSans-Bold.ttf"):
        with TTFont(str(folder / name), lazy=True) as font:
            found.append(set(font.getBestCmap() or ()))
    return frozenset(found[0] & found[1])


def portions(text: str) -> Iterator[str]:
    """A long text in parts of which each fits on a page: its lines, and these cut where they are very long."""
    for line in text.split("\n"):
        for first in range(0, len(line), PORTION):
            yield line[first : first + PORTION]


def _counts(figures: Figures) -> tuple[str, ...]:
    share = figures.taking_adherence
    numbers = (figures.due, figures.taken, figures.on_time, figures.skipped, figures.missed, figures.unknown)
    return (*map(str, numbers), "–" if share is None else f"{share:.0%}")  # noqa: RUF001 - a dash, not a minus
