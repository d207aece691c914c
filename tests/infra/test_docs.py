"""The page on provisioning says what is so."""

from __future__ import annotations

import re
import shlex

import pytest

from infra import cli
from infra.pools import PRESETS
from infra.sources import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "provision.md"
TEXT = PAGE.read_text(encoding="utf-8")
OFFLINE = sorted(
    {
        command
        for command in re.findall(r"python -m infra [a-z -]+", TEXT)
        if not command.startswith("python -m infra changes")
    }
)


def test_there_are_commands_to_run() -> None:
    assert {command.split()[3] for command in OFFLINE} == {"check", "plan", "rules"}


@pytest.mark.parametrize("command", OFFLINE)
def test_a_command_of_the_page_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(shlex.split(command)[3:])
    assert capsys.readouterr().out


def test_the_table_of_presets_is_the_presets() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", TEXT, re.MULTILINE)
    assert dict(rows) == {name: preset.vm_size for name, preset in PRESETS.items()}
