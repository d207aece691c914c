"""Keys of a workload file that say where tasks come from. What they make: `jobs.factories`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictFloat,
    StrictInt,
    model_validator,
)

from jobs.spec_values import MAX_TASKS, Model, Name, Number, Scalar, Text, blob_place, exactly_one


class Axis(Model):
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
        exactly_one(self, ("values", "range", "linspace"))
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


class Distribution(Model):
    """What one parameter is drawn from. Exactly one of its members is given."""

    uniform: tuple[Number, Number] | None = Field(
        default=None, description="[low, high]: any number from low up to high."
    )
    loguniform: tuple[Number, Number] | None = Field(
        default=None, description="[low, high]: its logarithm is uniform; both above 0."
    )
    normal: tuple[Number, Number] | None = Field(
        default=None, description="[mean, standard deviation]."
    )
    lognormal: tuple[Number, Number] | None = Field(
        default=None, description="[mean, standard deviation] of its logarithm."
    )
    exponential: Number | None = Field(default=None, gt=0, description="Its mean.")
    integers: tuple[StrictInt, StrictInt] | None = Field(
        default=None, description="[first, last]: whole numbers, both ends included."
    )
    choice: tuple[Scalar, ...] | None = Field(
        default=None, min_length=1, description="One of these values, each equally likely."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        exactly_one(self, tuple(type(self).model_fields))
        for name in ("uniform", "loguniform", "integers"):
            pair = getattr(self, name)
            if pair is not None and pair[0] > pair[1]:
                raise ValueError(f"{name}: {pair[0]} is above {pair[1]}")
        if self.loguniform is not None and self.loguniform[0] <= 0:
            raise ValueError("loguniform: both ends must be above 0")
        for name in ("normal", "lognormal"):
            pair = getattr(self, name)
            if pair is not None and pair[1] <= 0:
                raise ValueError(f"{name}: the standard deviation must be above 0")
        return self


class Draws(Model):
    """Tasks with values drawn at random: the same for the same seed, on any machine."""

    count: StrictInt = Field(ge=1, le=MAX_TASKS, description="How many tasks.")
    seed: StrictInt = Field(description="Another seed, other values.")
    parameters: dict[Name, Distribution] = Field(
        min_length=1, description="What each parameter is drawn from."
    )


class Factory(Model):
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
    jsonl: Text | None = Field(
        default=None,
        description="A task for each line of a file, a JSON object of parameters; all lines "
        "have the same names.",
    )
    files: Text | None = Field(
        default=None,
        description="A task for each file that the glob matches, sorted by name: `{file}` is "
        "its path in the task's working directory, `{file_name}` and `{file_stem}` its name "
        "with and without the extension. The file is an input of its task.",
    )
    blobs: Annotated[Text, AfterValidator(blob_place)] | None = Field(
        default=None,
        description="A task for each blob of the data account below CONTAINER/FOLDER/, sorted "
        "by name, with the placeholders of `files`. Storage is asked for the names.",
    )
    random: Draws | None = Field(default=None, description="Values drawn at random by a seed.")
    generator: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*:[A-Za-z_]\w*$")] | None = Field(
        default=None,
        description="MODULE:FUNCTION of a Python file beside the workload file: each mapping "
        "that it yields is a task. It gets the variables that its parameters name, and must "
        "give the same each time.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        exactly_one(self, tuple(type(self).model_fields))
        if self.rows is not None and any(row.keys() != self.rows[0].keys() for row in self.rows):
            raise ValueError("list: all sets of values must have the same names")
        return self


def tasks_short_form(value: object) -> object:
    """`tasks: 5` is short for a repeat; one factory is short for a list of one."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return [{"repeat": value}]
    return [value] if isinstance(value, dict) else value
