"""docs/autoscale.md: what it shows is what happens."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from autoscale.cli import main
from autoscale.rules import RULES
from autoscale.semantics import Semantics

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "autoscale.md"
TEXT = GUIDE.read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    found = re.findall(rf"^```{kind}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found
    return found


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.split("\n")[0])
def test_a_command_prints_what_the_guide_says(
    block: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "pool.formula").write_text(blocks("formula")[0], encoding="utf-8")
    (tmp_path / "monday.json").write_text(blocks("json")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command, expected = block.split("\n", 1)
    arguments = shlex.split(command.removeprefix("$ python -m autoscale "))
    main(arguments)
    out, err = capsys.readouterr()
    assert err == ""
    assert out == expected


def test_the_python_of_the_guide_runs() -> None:
    (block,) = blocks("python")
    exec(compile(block, str(GUIDE), "exec"), {})  # noqa: S102 - the guide's own example


def test_the_guide_lists_every_rule() -> None:
    rows = re.findall(r"^\| (AS\d+) \| (\w+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert rows == [(rule.id, rule.severity, rule.title) for rule in RULES.values()]


def test_the_guide_lists_every_choice() -> None:
    rows = re.findall(r"\| `(\w+)` \|$", TEXT, re.MULTILINE)
    assert rows == list(Semantics.__dataclass_fields__)
