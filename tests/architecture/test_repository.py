"""What holds for the tree as a whole: links lead somewhere, nothing names a machine, no file hides a second noun."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED_TEST = re.compile(r"\[`(test_\w+)`\]\(([^)#\s]+\.py)\)")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)")
ANCHORED = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(#[^)]+)\)")
HOME_OR_HOST = re.compile(r"/(?:home|root|Users)/\w+/|https?://[\w.-]*(?:pypi|pythonhosted|npmjs|debian)[\w.-]*/")
MOST_LINES = 400
NOT_TEXT = {".png", ".ico", ".ttf", ".woff2"}


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in tracked("*.md")
        for target, _ in LINK.findall(document.read_text())
        if "://" not in target and not target.startswith("mailto:") and not (document.parent / target).exists()
    ]
    assert broken == []


def test_links_into_documents_lead_to_a_heading() -> None:
    broken = [
        f"{document.relative_to(ROOT)}: {target}{anchor}"
        for document in tracked("*.md")
        for target, anchor in ANCHORED.findall(document.read_text())
        if "://" not in target and anchor not in anchors_of(document.parent / target if target else document)
    ]
    assert broken == []


def anchors_of(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_a_test_that_a_document_names_is_in_the_file_that_it_links() -> None:
    named = [
        (document, name, document.parent / target)
        for document in tracked("*.md")
        for name, target in NAMED_TEST.findall(document.read_text())
    ]
    assert named
    missing = [f"{document.relative_to(ROOT)}: {name}" for document, name, file in named if not _has_test(file, name)]
    assert missing == []


def _has_test(file: Path, name: str) -> bool:
    return file.exists() and re.search(rf"^(?:async )?def {name}\(", file.read_text(), re.MULTILINE) is not None


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    assert [path.name for path in sorted(folder.glob("0*.md")) if f"({path.name})" not in index] == []


def test_no_file_names_a_machine_or_a_package_host() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path.suffix not in NOT_TEXT and path != Path(__file__)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if HOME_OR_HOST.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("area", ["libs", "services"])
def test_no_source_file_has_grown_past_one_noun(area: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked(f"{area}/**/*.py")
        if (lines := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert long == {}
