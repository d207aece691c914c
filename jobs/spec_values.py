"""Kinds of values in a workload file, checked by shape: text, names, commands, durations.

What a whole file holds is `jobs.spec`; this module knows nothing of its keys.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated

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
)

from jobs.durations import parse_duration
from jobs.templates import parse_template

MAX_TASKS = 10_000_000
"""Of a stage: its positions have seven digits (`jobs.stages`)."""

_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
_URL = re.compile(r"https?://[^\s/?#]+/[^\s?#]+(?:\?\S*)?")


class Model(BaseModel):
    """A mapping in the file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=False, defer_build=True
    )


def exactly_one(model: BaseModel, names: Sequence[str]) -> None:
    """Demands that one of the members is given.

    Raises:
        ValueError: None is, or several are.
    """
    written = [type(model).model_fields[name].alias or name for name in names]
    given = [
        shown
        for name, shown in zip(names, written, strict=True)
        if getattr(model, name) is not None
    ]
    if len(given) != 1:
        have = f"has {' and '.join(given)}" if given else "has none"
        raise ValueError(f"needs exactly one of {', '.join(written)}, and {have}")


def short_for(key: str, *kinds: type) -> BeforeValidator:
    """Accepts the short form of a model with one important member."""

    def widened(value: object) -> object:
        short = isinstance(value, kinds) and not isinstance(value, bool)
        return {key: value} if short else value

    return BeforeValidator(widened)


def relative(text: str) -> str:
    """A path below the directory it is meant for, with `/` between its parts."""
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text:
        raise ValueError(
            f"{text!r} must be a relative path with `/`, without `..`: it is a place "
            "below the task's working directory"
        )
    return text


def http_url(text: str) -> str:
    """An http or https address of a file."""
    if _URL.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no http or https address of a file")
    return text


def blob_place(text: str) -> str:
    """`CONTAINER/PREFIX` of the data account, the prefix ending with `/`."""
    container, _, prefix = text.partition("/")
    if not re.fullmatch(r"[a-z0-9](?:-?[a-z0-9]){2,62}", container) or (
        prefix and not prefix.endswith("/")
    ):
        raise ValueError(
            f"{text!r} should be CONTAINER/ or CONTAINER/FOLDER/, with `/` at the end: a "
            "container of the data account and the beginning of the blobs' names"
        )
    return text


def _template(text: str) -> str:
    parse_template(text)
    return text


def _shell_template(text: str) -> str:
    parse_template(text, shell_text=True)
    return text


def passed_on(text: str) -> str:
    """Text that reaches a program on a node.

    Raises:
        ValueError: It has a NUL character, or is no Unicode, as a file's name in another
            encoding, or half of a surrogate pair in JSON.
    """
    if "\0" in text:
        raise ValueError("holds a NUL character, which no operating system passes on")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("is no Unicode, which the service takes alone") from error
    return text


def _split(value: object) -> object:
    """A command written as one line, as a shell would split it; a list is taken as it is."""
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ValueError(f"cannot be split into arguments: {error}") from error


def _plain_value(value: object) -> object:
    if not isinstance(value, bool | int | float | str):
        raise ValueError("should be text, a number, true or false")  # noqa: TRY004 - pydantic's protocol
    return passed_on(value) if isinstance(value, str) else value


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Text = Annotated[StrictStr, AfterValidator(passed_on)]
TemplateText = Annotated[StrictStr, AfterValidator(passed_on), AfterValidator(_template)]
TagText = Annotated[TemplateText, Field(min_length=1, max_length=200)]
ShellText = Annotated[StrictStr, AfterValidator(passed_on), AfterValidator(_shell_template)]
NodePath = Annotated[StrictStr, AfterValidator(passed_on), AfterValidator(relative)]
Scalar = Annotated[StrictBool | StrictInt | StrictFloat | StrictStr, BeforeValidator(_plain_value)]
Number = Annotated[StrictInt | StrictFloat, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=_NAME, max_length=64)]
Command = Annotated[
    tuple[TemplateText, ...],
    BeforeValidator(_split, json_schema_input_type=str | list[str]),
    Field(min_length=1),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema(
        {"type": ["string", "number"], "examples": ["45s", "10m", "1h30m", "2d", "PT10M", 90]}
    ),
]
