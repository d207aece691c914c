"""The workload file: what one YAML file says about a job. Contract 8; docs/workloads.md.

Shape only. This module opens no file (`jobs.loading` reads the workload): whether an
input exists, which columns a CSV has, whether the pool is big enough is asked by
`jobs.inputs`, `jobs.factories` and `jobs.plan`, each with findings of the same kind.
Every model here is frozen, refuses unknown keys, and its descriptions are the published
schema (`jobs/workload.schema.json`; `python -m jobs.spec` prints it).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from jobs.durations import parse_duration
from jobs.templates import parse_template

SCHEMA_FILE = Path(__file__).with_name("workload.schema.json")
MAX_TASKS = 10_000_000
RESERVED_NAMES = frozenset({"index"})
BUILD_NAMES = frozenset({"python"})
LOCAL_NAMES = frozenset({"workload", "results", "python", "job"})

_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


def _template(text: str) -> str:
    parse_template(text)
    return text


def _shell_template(text: str) -> str:
    parse_template(text, shell_text=True)
    return text


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character, which no operating system passes on")
    return text


def _split(value: object) -> object:
    """A command written as one line, as a shell would split it; a list is taken as it is."""
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ValueError(f"cannot be split into arguments: {error}") from error


def _relative(text: str) -> str:
    """A path below the directory it is meant for, with `/` between its parts."""
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text:
        raise ValueError(
            f"{text!r} must be a relative path with `/`, without `..`: it is a place "
            "below the task's working directory"
        )
    return text


def _plain_value(value: object) -> object:
    if not isinstance(value, bool | int | float | str):
        raise ValueError("should be text, a number, true or false")  # noqa: TRY004 - pydantic's protocol
    return value


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _as(key: str, *kinds: type) -> BeforeValidator:
    """Accepts the short form of a model with one important member."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, kinds) else value)


Text = Annotated[StrictStr, AfterValidator(_no_nul)]
TemplateText = Annotated[StrictStr, AfterValidator(_no_nul), AfterValidator(_template)]
NodePath = Annotated[StrictStr, AfterValidator(_no_nul), AfterValidator(_relative)]
Scalar = Annotated[StrictBool | StrictInt | StrictFloat | StrictStr, BeforeValidator(_plain_value)]
Name = Annotated[str, Field(pattern=_NAME, max_length=64)]
Command = Annotated[
    tuple[TemplateText, ...],
    BeforeValidator(_split, json_schema_input_type=str | list[str]),
    Field(min_length=1),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "examples": ["45s", "10m", "1h30m", "2d", "PT10M"]}),
]


def _exactly_one(model: BaseModel, names: Sequence[str]) -> None:
    written = [type(model).model_fields[name].alias or name for name in names]
    given = [
        shown
        for name, shown in zip(names, written, strict=True)
        if getattr(model, name) is not None
    ]
    if len(given) != 1:
        have = f"has {' and '.join(given)}" if given else "has none"
        raise ValueError(f"needs exactly one of {', '.join(written)}, and {have}")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class Build(_Model):
    """How the program is made on this machine."""

    command: Command = Field(
        description="Command that makes the program, run in the workload's directory."
    )
    sources: tuple[Text, ...] = Field(
        min_length=1,
        description="Files and globs that the program is made from: the command runs again "
        "only when one of them, or the command, changed.",
    )
    output: Text = Field(
        description="The file that the command makes, relative to the workload's directory; "
        "in the task's working directory it has the same name without the directories."
    )


class Program(_Model):
    """The files that a task runs, the same for every task."""

    files: tuple[Text, ...] = Field(
        default=(), description="Files and globs, relative to the workload's directory."
    )
    build: Build | None = Field(
        default=None, description="How to make the program, if it is made."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.files and self.build is None:
            raise ValueError("has neither files nor build: leave `program` out instead")
        return self


class Input(_Model):
    """Data for tasks."""

    path: TemplateText = Field(
        description="File or glob, relative to the workload's directory. With placeholders "
        "each task gets only the files that its own values name."
    )
    to: NodePath | None = Field(
        default=None,
        description="Directory in the task's working directory; without it a file keeps its "
        "path relative to the workload's directory.",
    )


class Output(_Model):
    """Files that a task leaves."""

    pattern: Annotated[TemplateText, AfterValidator(_relative)] = Field(
        description="File or glob (`*`, `?`, `**`) below the task's working directory."
    )
    when: Literal["always", "succeeded", "failed"] = Field(
        default="always", description="Whether a task's outcome decides on keeping them."
    )


class Resources(_Model):
    """What a task needs, and how long things may last."""

    slots: StrictInt = Field(
        default=1, ge=1, le=256, description="Task slots of a node that the task takes."
    )
    wall_clock: Duration | None = Field(
        default=None, description="How long a task may run before it is ended; no limit if absent."
    )
    retries: StrictInt = Field(
        default=0,
        ge=-1,
        le=1000,
        description="How often a task that exits with a non-zero code is run again; -1: for ever.",
    )
    retention: Duration = Field(
        default=timedelta(days=1),
        description="How long a finished task's directory stays on its node.",
    )


class Axis(_Model):
    """The values that one parameter takes."""

    values: tuple[Scalar, ...] | None = Field(
        default=None, min_length=1, description="The values themselves."
    )
    range: tuple[StrictInt | StrictFloat, ...] | None = Field(
        default=None,
        min_length=2,
        max_length=3,
        description="[start, stop] or [start, stop, step]: from start up to, without, stop. "
        "Decimal steps are exact.",
    )
    linspace: tuple[StrictInt | StrictFloat, StrictInt | StrictFloat, StrictInt] | None = Field(
        default=None, description="[first, last, count]: evenly spaced, both ends included."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _exactly_one(self, ("values", "range", "linspace"))
        if self.range is not None and len(self.range) == 3 and self.range[2] == 0:  # noqa: PLR2004 - [start, stop, step]
            raise ValueError("range: the step is 0")
        if self.linspace is not None and not 1 <= self.linspace[2] <= MAX_TASKS:
            raise ValueError(f"linspace: the count is not between 1 and {MAX_TASKS}")
        return self


ShortAxis = Annotated[
    Axis,
    BeforeValidator(
        lambda value: {"values": value} if isinstance(value, list) else value,
        json_schema_input_type=list[bool | int | float | str] | Axis,
    ),
]


class Factory(_Model):
    """Where tasks come from. Exactly one of its members is given."""

    repeat: StrictInt | None = Field(
        default=None,
        ge=1,
        le=MAX_TASKS,
        description="This many tasks; `{repeat}` counts from 0.",
    )
    sweep: dict[Name, ShortAxis] | None = Field(
        default=None,
        min_length=1,
        description="A task for every combination of the parameters' values; the last "
        "parameter varies fastest.",
    )
    zipped: dict[Name, ShortAxis] | None = Field(
        default=None,
        alias="zip",
        min_length=1,
        description="A task for the first value of each parameter, one for the second, …; "
        "all have equally many.",
    )
    rows: tuple[dict[Name, Scalar], ...] | None = Field(
        default=None,
        alias="list",
        min_length=1,
        description="A task for each set of values; all have the same names.",
    )
    csv: Text | None = Field(
        default=None,
        description="A task for each row of a CSV file, whose header names the parameters.",
    )
    files: Text | None = Field(
        default=None,
        description="A task for each file that the glob matches, sorted by name: `{file}` is "
        "its path in the task's working directory, `{file_name}` and `{file_stem}` its name "
        "with and without the extension. The file is an input of its task.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _exactly_one(self, tuple(type(self).model_fields))
        if self.rows is not None and any(row.keys() != self.rows[0].keys() for row in self.rows):
            raise ValueError("list: all sets of values must have the same names")
        return self


def _tasks(value: object) -> object:
    """`tasks: 5` is short for a repeat; one factory is short for a list of one."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return [{"repeat": value}]
    return [value] if isinstance(value, dict) else value


class Workload(_Model):
    """A workload file."""

    name: str = Field(
        pattern=r"^[A-Za-z][A-Za-z0-9-]{0,39}$",
        description="Start of the job's id: a letter, then letters, digits and `-`, 40 at most.",
    )
    description: Text = Field(default="", description="For people; nothing depends on it.")
    pool: str = Field(
        min_length=1, description="Where the tasks run: a pool, by the stack's name for it."
    )
    priority: StrictInt = Field(
        default=0, ge=-1000, le=1000, description="Among the jobs of the pool; higher first."
    )
    variables: dict[Name, Scalar] = Field(
        default={},
        description="Values for placeholders, the same for every task; `--set NAME=VALUE` "
        "replaces one.",
    )
    program: Program | None = Field(default=None, description="What is run, if it is ours.")
    command: Command | None = Field(
        default=None,
        description="What a task runs, without a shell: one line, split as a shell would, or "
        "a list of arguments. A placeholder's value never splits. Exactly one of `command` "
        "and `script`.",
    )
    script: Annotated[Text, AfterValidator(_shell_template)] | None = Field(
        default=None,
        description="What a task runs, as text for `/bin/sh -e`. A placeholder's value is "
        "quoted for the shell; `${NAME}` and every other brace are the shell's own.",
    )
    environment: dict[Name, TemplateText] = Field(
        default={}, description="Environment variables of the task, values with placeholders."
    )
    inputs: tuple[Annotated[Input, _as("path", str)], ...] = Field(
        default=(), description="Data that is staged and brought to the tasks."
    )
    outputs: tuple[Annotated[Output, _as("pattern", str)], ...] = Field(
        default=(), description="Files that the tasks leave; collected with stdout and stderr."
    )
    resources: Resources = Field(default=Resources(), description="What a task needs.")
    tasks: Annotated[
        tuple[Factory, ...],
        BeforeValidator(_tasks, json_schema_input_type=int | Factory | list[Factory]),
        Field(min_length=1, max_length=8),
    ] = Field(
        default=(Factory(repeat=1),),
        description="Where tasks come from: a number of them, a factory, or a list of "
        "factories: then every combination of theirs, the last varying fastest.",
    )
    merge: Command | None = Field(
        default=None,
        description="Command run here in the result directory when all tasks have succeeded "
        "and their outputs are collected. Placeholders: {workload} and {results} are "
        "directories, {python} this interpreter, {job} the job's id, and the variables.",
    )
    check: Command | None = Field(
        default=None,
        description="As `merge`, after it: a non-zero exit code means that the answer is wrong.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _exactly_one(self, ("command", "script"))
        return self


def schema() -> dict[str, Any]:
    """The JSON schema of a workload file."""
    generated = Workload.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "HPC on Azure Batch: workload file",
        **{key: value for key, value in generated.items() if key != "title"},
    }


def schema_text() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2, sort_keys=False) + "\n"


def keys_of(model: type[BaseModel]) -> Iterator[str]:
    """A model's keys as the file writes them."""
    for name, field in model.model_fields.items():
        yield field.alias or name


MODELS: tuple[type[BaseModel], ...] = (
    Workload,
    Program,
    Build,
    Input,
    Output,
    Resources,
    Factory,
    Axis,
)


if __name__ == "__main__":
    print(schema_text(), end="")  # noqa: T201 - this is its result
