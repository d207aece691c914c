"""What is wrong with a file is said in the file's words, and all of it at once."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from typer.testing import CliRunner

from jobs.cli import app
from jobs.errors import WorkloadError
from jobs.loading import load_workload
from jobs.shapes import said
from jobs.spec import Workload

BASE = {"name": "a", "pool": "b", "command": "c", "tasks": 3}
WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**12, "", "x y", "x" * 3000, [], [1], [None], {}, {"x": 1},
    {"a": []}, [[]], ["x"] * 3, {"a": {"b": 1}},
)  # fmt: skip
FOREIGN = (
    "Input", "valid ", "validation", "tuple", "dictionar", "instance of", "Tuple", "Value ",
    "timedelta", "integer", "boolean", " item", "string",
)  # fmt: skip
Put = Callable[[dict[str, Any]], dict[str, Any]]


def models_in(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in typing.get_args(kind):
        yield from models_in(part)


def wrong_files(model: type[BaseModel], put: Put, depth: int = 0) -> Iterator[dict[str, Any]]:
    for name, field in model.model_fields.items():
        key = field.alias or name
        yield from (put({key: value}) for value in WRONG)
        for inner in models_in(field.annotation) if depth < 3 else ():
            for held in (
                lambda value, key=key: put({key: value}),
                lambda value, key=key: put({key: [value]}),
                lambda value, key=key: put({key: {"k": value}}),
            ):
                yield from wrong_files(inner, held, depth + 1)


def test_no_message_speaks_of_python() -> None:
    kinds: dict[str, set[str]] = {}
    for values in wrong_files(Workload, lambda members: {**BASE, **members}):
        try:
            Workload.model_validate(values)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                kinds.setdefault(item["type"], set()).add(said(item).partition(", not ")[0])
    assert len(kinds) > 15
    for kind in kinds.keys() - {"value_error", "extra_forbidden"}:
        for text in kinds[kind]:
            assert not any(word in text for word in FOREIGN), f"{kind}: {text}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: {sweep: {x: []}}", "tasks.sweep.x: is empty"),
        ("tasks: {sweep: {x: {range: [1]}}}", "range: should have at least 2 entries, not 1"),
        ("environment: 3", "environment: should be a mapping of keys to values, not 3"),
        ("resources: {slots: 1.5}", "slots: should be a whole number, not 1.5"),
        ("resources: {wall_clock: [1]}", "should be a length of time, such as 45s"),
        ('tags: {a: ""}', "tags.a: is empty"),
    ],
)
def test_messages_are_those_of_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "job.yaml"
    factories = "" if text.startswith("tasks") else "tasks: 1\n"
    path.write_text(f"name: a\npool: b\ncommand: c\n{factories}{text}\n", encoding="utf-8")
    with pytest.raises(WorkloadError) as caught:
        load_workload(path)
    assert [message in str(finding) for finding in caught.value.findings] == [True]


def test_a_limit_of_several_entries_is_told_with_how_many_there_are() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[int]).validate_python({"a": 1}, strict=True)
    assert said(caught.value.errors()[0]) == 'should be a list, not {"a": 1}'


@pytest.mark.parametrize("verb", [("validate",), ("run", "--dry-run"), ("submit",)])
def test_a_pool_that_is_not_there_is_told_with_what_else_is_wrong(
    verb: tuple[str, ...], tmp_path: Path, values: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.json").write_text(json.dumps(values()))
    (tmp_path / "job.yaml").write_text(
        "name: a\nvariables: {where: cpux}\npool: '{where}'\ncommand: c\nresources: {slots: 0}\n"
    )
    done = CliRunner().invoke(app, [*verb, "job.yaml", "--outputs", "s.json", "--json"])
    assert done.exit_code == 2
    findings = json.loads(done.stdout)["error"]["findings"]
    assert [finding["path"] for finding in findings] == ["pool", "resources.slots"]
    assert "has no pool 'cpux', it has: cpu; did you mean 'cpu'?" in findings[0]["message"]


def test_outputs_that_cannot_be_read_are_told_with_what_is_wrong_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text("name: a\npool: b\ncommand: c\nresources: {slots: 0}\n")
    done = CliRunner().invoke(app, ["validate", "job.yaml", "--outputs", "none.json", "--json"])
    findings = json.loads(done.stdout)["error"]["findings"]
    assert [finding["where"] for finding in findings] == ["job.yaml", "none.json"]
