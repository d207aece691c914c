"""Documents say what is there: links lead somewhere, commands exist, lines stay readable."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(path: Path) -> set[str]:
    """The names under which GitHub links to a document's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        path = (document.parent / target) if target else document
        assert path.exists(), f"{name(document)} links to {link}"
        if anchor:
            assert anchor in anchors(path), f"{name(document)} links to {link}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_make_target_that_a_document_names_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = document.read_text(encoding="utf-8")
    blocks = "\n".join(FENCE.findall(text))
    named = set(re.findall(r"^make ([a-z-]+)", blocks, re.MULTILINE))
    named |= set(re.findall(r"`make ([a-z-]+)`", text))
    assert named <= targets


def test_make_lists_every_target_with_what_it_does() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {line.split()[1] for line in shown.splitlines()} == targets


def test_ci_runs_only_commands_that_a_person_is_told_of() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    told = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    commands = [line for line in script.splitlines() if line.startswith("make ")]
    assert commands[0] == "make lint"
    assert commands[-1] == "make demo"
    others = re.sub(
        r"^(make|set|cd|export|bash \.ci/machine)\b.*$|^#.*$", "", script, flags=re.MULTILINE
    )
    assert others.split() == []
    assert all(re.search(rf"^{command}\b", told, re.MULTILINE) for command in commands)
