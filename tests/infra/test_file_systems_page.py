"""The page on file systems says what is so."""

from __future__ import annotations

import re

import yaml

from infra.checking import plan_stack
from infra.file_systems import TYPES
from infra.sources import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "file-systems.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_example_has_no_finding() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    raw = {key.removeprefix("hpc:"): value for key, value in yaml.safe_load(text).items()}
    assert [str(one) for one in plan_stack("dev", raw, root=PROJECT_ROOT).findings] == []


def test_the_table_of_types_is_the_types() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| ([0-9, ]+) \|$", TEXT, re.MULTILINE)
    assert dict(rows) == {
        kind: ", ".join(str(port) for port in facts.ports) for kind, facts in TYPES.items()
    }
