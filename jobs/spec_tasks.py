"""Keys of a workload file about one kind of task: its data, its needs, its failures."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    WithJsonSchema,
    model_validator,
)

from jobs.errors import InputError
from jobs.selection import parse_selection
from jobs.spec_values import (
    Command,
    Duration,
    Model,
    Name,
    NodePath,
    ShellText,
    TemplateText,
    Text,
    blob_place,
    exactly_one,
    http_url,
    relative,
    short_for,
)

FailureWord = Literal["block", "continue", "stop", "pause"]
_CODES = re.compile(r"(-?\d{1,10})(?:\.\.(-?\d{1,10}))?")
_CONDITION_WORDS = ("start", "upload", "otherwise")


class Input(Model):
    """Data for tasks. Exactly one of `path`, `url`, `blobs` and `from` is given."""

    path: TemplateText | None = Field(
        default=None,
        description="File or glob, relative to the workload's directory. With placeholders "
        "each task gets only the files that its own values name.",
    )
    url: Annotated[TemplateText, AfterValidator(http_url)] | None = Field(
        default=None,
        description="Address of a file that the nodes download; one in the data account is "
        "read with the pool's identity, any other without credentials.",
    )
    blobs: Annotated[TemplateText, AfterValidator(blob_place)] | None = Field(
        default=None,
        description="CONTAINER/FOLDER/ in the data account: every blob below it, each under "
        "its full name.",
    )
    stage: Name | None = Field(
        default=None,
        alias="from",
        description="A stage that this one is `after`: what the tasks that this task waits for "
        "have left, a directory each, named by their position.",
    )
    to: NodePath | None = Field(
        default=None,
        description="Directory in the task's working directory. Without it a file keeps its "
        "path relative to the workload's directory, an address its last part, a blob its name, "
        "and a stage is a directory of its name.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        exactly_one(self, ("path", "url", "blobs", "stage"))
        return self


ShortInput = Annotated[Input, short_for("path", str)]


class Output(Model):
    """Files that a task leaves."""

    pattern: Annotated[TemplateText, AfterValidator(relative)] = Field(
        description="File or glob (`*`, `?`, `**`) below the task's working directory."
    )
    when: Literal["always", "succeeded", "failed"] = Field(
        default="always", description="Whether a task's outcome decides on keeping them."
    )
    to: NodePath | None = Field(
        default=None,
        description="Directory to put them in, below the task's own; without it they keep "
        "their path in the working directory.",
    )


class Resources(Model):
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


class Container(Model):
    """The container that a task's command runs in."""

    image: Text = Field(min_length=1, description="As for `docker pull`.")
    run_options: Text = Field(
        default="", description="More options for `docker create`, such as `--ipc=host`."
    )
    registry: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+(?::\d+)?$")] | None = Field(
        default=None,
        description="Server that the pool's identity may pull from, such as NAME.azurecr.io; "
        "not needed for public images and for registries that the pool knows.",
    )
    working_directory: Literal["task", "image"] = Field(
        default="task",
        description="Where the command starts: the task's directory or the image's.",
    )


class MultiInstance(Model):
    """A task that runs on several nodes at once."""

    nodes: StrictInt = Field(ge=1, le=10_000, description="How many nodes a task takes, whole.")
    mpi: Literal["mpich", "openmpi", "intelmpi", "hpcx"] | None = Field(
        default=None,
        description="How the command is started on all of them; without it, the command runs "
        "on the first node and finds the others in AZ_BATCH_HOST_LIST.",
    )
    processes_per_node: StrictInt = Field(
        default=1, ge=1, le=1024, description="Processes that MPI starts on each node."
    )
    options: tuple[Text, ...] = Field(
        default=(), description="More options for mpirun or mpiexec."
    )
    coordination: Command | None = Field(
        default=None,
        description="Command that every node runs first, and that must end, such as one that "
        "starts a service in the background.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.mpi is None and (self.options or "processes_per_node" in self.model_fields_set):
            raise ValueError("options and processes_per_node are MPI's: say which, with `mpi`")
        return self


class AfterTasks(Model):
    """Which tasks of another stage a task waits for."""

    groups: StrictInt | None = Field(
        default=None,
        ge=1,
        description="So many each, in order: the first task waits for the first so many.",
    )
    tasks: Text | None = Field(
        default=None, description="These, by position: `0-99`, `3,7`, `0-99:10`."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        exactly_one(self, ("groups", "tasks"))
        if self.tasks is not None:
            try:
                read = parse_selection(self.tasks)
            except InputError as error:
                raise ValueError(str(error)) from error
            if not read.ranges or read.stages or read.prefixes or read.given:
                raise ValueError("tasks: positions and ranges, such as 0-99 or 3,7")
        return self


AfterWay = Literal["all", "each", "previous"] | AfterTasks


def after_short_form(value: object) -> object:
    """`after: sim` and `after: [sim, prep]` wait for all tasks of those stages."""
    if isinstance(value, str):
        return {value: "all"}
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return dict.fromkeys(value, "all")
    return value


def _failure_rules(value: object) -> object:
    """One word is short for what happens otherwise; keys are codes, ranges or words."""
    if isinstance(value, str):
        return {"otherwise": value}
    if not isinstance(value, dict):
        return value
    taken: list[tuple[int, int, str]] = []
    for key in value:
        if key in _CONDITION_WORDS:
            continue
        match = _CODES.fullmatch(str(key))
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise ValueError(
                f"{key!r} is none of: an exit code (3), a range of them (10..20), start, "
                "upload, otherwise"
            )
        for low, high, other in taken:
            if first <= high and low <= last:
                raise ValueError(f"{key} and {other} have exit codes in common")
        taken.append((first, last, str(key)))
    return {str(key): word for key, word in value.items()}


OnFailure = Annotated[
    dict[str, FailureWord],
    BeforeValidator(_failure_rules),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["block", "continue", "stop", "pause"]},
                {
                    "type": "object",
                    "additionalProperties": {"enum": ["block", "continue", "stop", "pause"]},
                    "propertyNames": {
                        "pattern": r"^(-?\d+(\.\.-?\d+)?|start|upload|otherwise)$",
                    },
                },
            ]
        }
    ),
]


def exit_codes(key: str) -> tuple[int, int]:
    """First and last exit code that a key of `on_failure` means."""
    match = _CODES.fullmatch(key)
    assert match is not None  # noqa: S101 - the model took it
    return int(match[1]), int(match[2] or match[1])


class NodeCommand(Model):
    """What every node does once for the job, before its first task or after its last."""

    command: Command | None = Field(default=None, description="What runs, without a shell.")
    script: ShellText | None = Field(default=None, description="What runs, for `/bin/sh -e`.")
    environment: dict[Name, TemplateText] = Field(default={}, description="Its variables.")
    inputs: tuple[ShortInput, ...] = Field(
        default=(),
        description="Files, addresses and blobs that it gets, once a node; tasks find them in "
        "$AZ_BATCH_JOB_PREP_WORKING_DIR.",
    )
    wall_clock: Duration | None = Field(
        default=None, description="How long it may run; of a release 15 minutes at most."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        exactly_one(self, ("command", "script"))
        return self


class Preparation(NodeCommand):
    """What every node does before its first task of the job."""

    retries: StrictInt = Field(
        default=0, ge=-1, le=1000, description="How often it runs again when it fails."
    )
    wait: StrictBool = Field(
        default=True, description="Whether tasks wait until it has succeeded on their node."
    )


def command_short_form(value: object) -> object:
    """A command is short for a mapping with one."""
    return {"command": value} if isinstance(value, str | list) else value


def plain(model: Model) -> dict[str, Any]:
    """A model as JSON values, for digests."""
    return model.model_dump(mode="json", exclude_defaults=True)
