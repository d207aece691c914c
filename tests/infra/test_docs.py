"""The page on provisioning says what is so."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml

from infra import cli
from infra.checking import plan_stack
from infra.pool_changes import EFFECTS, Effect
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


def _start_task_example() -> dict[str, Any]:
    (text,) = re.findall(r"```yaml\n([^`]*start_task:[^`]*)```", TEXT)
    return {key.removeprefix("hpc:"): value for key, value in yaml.safe_load(text).items()}


def test_the_example_of_a_start_task_has_no_finding() -> None:
    raw = _start_task_example()
    assert [str(one) for one in plan_stack("dev", raw, root=PROJECT_ROOT).findings] == []


def test_what_the_page_says_a_start_task_needs_is_found_where_it_lacks() -> None:
    raw = _start_task_example()
    del raw["network"]
    raw["pools"]["cfd"]["start_task"]["command_line"] = "apt-get update && apt-get install -y x"
    rules = {one.code for one in plan_stack("dev", raw, root=PROJECT_ROOT).findings}
    assert "POL010" in rules
    assert any(rule.startswith("NET") for rule in rules)


def test_a_start_task_changes_live() -> None:
    assert EFFECTS["startTask"] is Effect.LIVE
