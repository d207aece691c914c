"""The workload file: what one YAML file says about a job. Contract 8; docs/workloads.md.

The general form has `stages`; a file without them is one stage, whose keys stand at the
top. Shape only: this module opens no file (`jobs.loading` reads the workload); whether an
input exists, which columns a CSV has, whether the pool is big enough is asked by
`jobs.inputs`, `jobs.factories` and `jobs.checking`, each with findings of the same kind.
Every model here is frozen, refuses unknown keys, and its descriptions are the published
schema (`jobs/workload.schema.json`; `python -m jobs.spec` prints it).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, Field, StrictInt, model_validator

from jobs.spec_factories import Axis, Distribution, Draws, Factory, tasks_short_form
from jobs.spec_schedule import Schedule, schedule_short_form
from jobs.spec_tasks import (
    AfterTasks,
    AfterWay,
    Container,
    Input,
    MultiInstance,
    NodeCommand,
    OnFailure,
    Output,
    Preparation,
    Resources,
    ShortInput,
    after_short_form,
    command_short_form,
)
from jobs.spec_values import (
    Command,
    Model,
    Name,
    Scalar,
    ShellText,
    TagText,
    TemplateText,
    Text,
    exactly_one,
    short_for,
)

SCHEMA_FILE = Path(__file__).with_name("workload.schema.json")
MAX_STAGES = 90
MAX_TAGS = 10
RESERVED_NAMES = frozenset({"index"})
BUILD_NAMES = frozenset({"python"})
LOCAL_NAMES = frozenset({"workload", "results", "python", "job"})
INHERITED = (
    "program",
    "environment",
    "inputs",
    "outputs",
    "resources",
    "container",
    "on_failure",
)
"""Keys that a stage takes from the top of the file, whole, when it does not give them."""
OWN = ("command", "script", "tasks", "multi_instance")


class Build(Model):
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


class Program(Model):
    """What a task runs, the same for every task: files that are staged, or a package."""

    application: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = Field(
        default=None,
        description="Application of the stack, published with `python -m jobs publish`: in "
        "`command` and `script`, `{program}` is its directory on the node.",
    )
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = Field(
        default=None, description="Of the application; its default version if absent."
    )

    files: tuple[Text, ...] = Field(
        default=(), description="Files and globs, relative to the workload's directory."
    )
    build: Build | None = Field(
        default=None, description="How to make the program, if it is made."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.files and self.build is None and self.application is None:
            raise ValueError(
                "has neither files, build nor application: leave `program` out instead"
            )
        if self.version is not None and self.application is None:
            raise ValueError("version is of an application, and there is none")
        return self


class Tasks(Model):
    """One kind of task: what it runs, on what, and how many of it there are."""

    program: Program | None = Field(default=None, description="What is run, if it is ours.")
    container: Annotated[Container, short_for("image", str)] | None = Field(
        default=None, description="Container image that the command runs in."
    )
    command: Command | None = Field(
        default=None,
        description="What a task runs, without a shell: one line, split as a shell would, or "
        "a list of arguments. A placeholder's value never splits. Exactly one of `command` "
        "and `script`.",
    )
    script: ShellText | None = Field(
        default=None,
        description="What a task runs, as text for `/bin/sh -e`. A placeholder's value is "
        "quoted for the shell; `${NAME}` and every other brace are the shell's own.",
    )
    environment: dict[Name, TemplateText] = Field(
        default={}, description="Environment variables of the task, values with placeholders."
    )
    inputs: tuple[ShortInput, ...] = Field(
        default=(), description="Data that is staged and brought to the tasks."
    )
    outputs: tuple[Annotated[Output, short_for("pattern", str)], ...] = Field(
        default=(), description="Files that the tasks leave; collected with stdout and stderr."
    )
    # To check a default would be to build its model whenever a command starts.
    resources: Resources = Field(
        default=Resources.model_construct(), description="What a task needs."
    )
    multi_instance: MultiInstance | None = Field(
        default=None, description="For tasks that run on several nodes at once (MPI)."
    )
    on_failure: OnFailure = Field(
        default={},
        description="What follows when a task ends so: `block` (tasks that wait for it never "
        "run; the default), `continue` (they run all the same), `stop` (the job ends at once) "
        "or `pause` (the job waits until somebody enables it). One word, or a mapping of exit "
        "codes (`3`), ranges (`10..20`), `start` (it could not be started), `upload` (its "
        "outputs could not be stored) and `otherwise`.",
    )
    tasks: Annotated[
        tuple[Factory, ...],
        BeforeValidator(tasks_short_form, json_schema_input_type=int | Factory | list[Factory]),
        Field(min_length=1, max_length=8),
    ] = Field(
        default=(Factory.model_construct(repeat=1),),
        description="Where tasks come from: a number of them, a factory, or a list of "
        "factories: then every combination of theirs, the last varying fastest.",
    )


class Stage(Tasks):
    """One kind of task of several, and what it waits for."""

    after: Annotated[
        dict[Name, AfterWay],
        BeforeValidator(
            after_short_form, json_schema_input_type=str | list[str] | dict[str, AfterWay]
        ),
    ] = Field(
        default={},
        description="Stages whose tasks must have succeeded before: names, or a mapping of "
        "names to `all`, `each` (one to one), {groups: N}, {tasks: POSITIONS}, or, for the "
        "stage itself, `previous` (one after the other).",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        exactly_one(self, ("command", "script"))
        return self


class Workload(Tasks):
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
    tags: dict[Name, TagText] = Field(
        default={},
        max_length=MAX_TAGS,
        description="What the job is to be found and counted by, such as a project: names and "
        "texts, with the variables as placeholders. Nothing that a task does depends on them.",
    )
    stages: dict[Name, Stage] = Field(
        default={},
        max_length=MAX_STAGES,
        description="Kinds of tasks that wait for each other, by name. A stage has its own "
        f"{', '.join(OWN)}, and takes {', '.join(INHERITED)} from the top of the file, each "
        "whole, where it does not give them.",
    )
    preparation: (
        Annotated[
            Preparation,
            BeforeValidator(command_short_form, json_schema_input_type=str | Preparation),
        ]
        | None
    ) = Field(
        default=None,
        description="What every node does before its first task: a command, or a mapping.",
    )
    release: (
        Annotated[
            NodeCommand,
            BeforeValidator(command_short_form, json_schema_input_type=str | NodeCommand),
        ]
        | None
    ) = Field(
        default=None,
        description="What every node that was prepared does when the job ends.",
    )
    schedule: (
        Annotated[
            Schedule,
            BeforeValidator(schedule_short_form, json_schema_input_type=str | Schedule),
        ]
        | None
    ) = Field(
        default=None,
        description="When Batch itself makes a job of this, and how often: how long from one to "
        "the next, or a mapping. Without it the job is submitted at once.",
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
        if not self.stages:
            exactly_one(self, ("command", "script"))
            return self
        given = [key for key in OWN if key in self.model_fields_set]
        if given:
            raise ValueError(
                f"a file with stages has {' and '.join(given)} in its stages, not at the top"
            )
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
    Stage,
    Program,
    Build,
    Input,
    Output,
    Resources,
    Container,
    MultiInstance,
    AfterTasks,
    Preparation,
    NodeCommand,
    Schedule,
    Factory,
    Axis,
    Draws,
    Distribution,
)


if __name__ == "__main__":
    print(schema_text(), end="")  # noqa: T201 - this is its result
