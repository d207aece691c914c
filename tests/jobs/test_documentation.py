from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jobs.cli import app
from jobs.loading import load_workload
from jobs.spec import SCHEMA_FILE
from jobs.stages import stages_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "workloads.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
TABLE = PAGE.split("## Factories")[1].split("Values of an axis")[0]
FACTORIES = re.findall(r"^\| (?:`5` or )?`(\{.*?\})` \|", TABLE, re.MULTILINE)


def test_all_factories_of_the_page_are_looked_at() -> None:
    assert len(FACTORIES) == 10


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_workload_of_the_page_is_valid(tmp_path: Path, number: int) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(EXAMPLES[number], encoding="utf-8")
    load_workload(path)


def test_every_way_to_wait_on_the_page_is_valid(tmp_path: Path) -> None:
    table = PAGE.split("| `after:` |")[1].split("`inputs: [{from")[0]
    ways = re.findall(r"^\| `(\{.*?\})`", table, re.MULTILINE)
    assert len(ways) == 4
    for way in ways:
        path = tmp_path / "job.yaml"
        stages = "mesh: {command: c}\n  sim: {command: c}\n  step: {command: c, after: " + way
        path.write_text(f"name: a\npool: b\nstages:\n  {stages}}}\n", encoding="utf-8")
        stages_of(load_workload(path))


@pytest.mark.parametrize("factory", FACTORIES)
def test_every_factory_of_the_page_is_valid(tmp_path: Path, factory: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"name: a\npool: b\ncommand: c\ntasks: {factory}\n", encoding="utf-8")
    load_workload(path)


def test_every_key_is_on_the_page() -> None:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    models = [schema, *schema["$defs"].values()]
    keys = {key for model in models for key in model.get("properties", ())} - {"values"}
    assert not [key for key in keys if not re.search(rf"\b{key}\b", PAGE)]


def test_every_verb_is_on_the_page_and_no_other() -> None:
    verbs = {command.name or command.callback.__name__ for command in app.registered_commands
             if command.callback is not None}  # fmt: skip
    section = PAGE.split("## Verbs")[1].split(";")[0]
    assert set(re.findall(r"`(\w+)`", section)) == verbs - {"watch"}
