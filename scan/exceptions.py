"""What is found and left, each with the reason: `exceptions.yaml`.

An exception is of one check and names its resources by patterns. One that nothing is found
for any more is an error as much as a new finding is, so that the file says what holds
today: what was mended leaves it, and cannot come back unseen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from scan.checkov import Failure
from scan.errors import ExceptionsError

FILE: Final = Path(__file__).with_name("exceptions.yaml")

Pattern = Annotated[str, Field(pattern=r"^[^/]+/[^/]+/[^/]+$")]


class Exempted(BaseModel):
    """A check that is not followed somewhere.

    Attributes:
        check: Checkov's id.
        resources: Patterns of `STACK/TYPE/NAME`, as of a shell.
        reason: Why it is right so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: Annotated[str, Field(pattern=r"^CKV2?_[A-Z]+_\d+$")]
    resources: tuple[Pattern, ...] = Field(min_length=1)
    reason: Annotated[str, Field(min_length=20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Excepted:
    """A failure and why it is left."""

    failure: Failure
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """A pattern of an exception that nothing is found for any more."""

    check: str
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Failures, held against the exceptions.

    Attributes:
        new: Failures that nothing excepts.
        excepted: Those that something does.
        stale: Patterns that nothing is found for.
    """

    new: tuple[Failure, ...]
    excepted: tuple[Excepted, ...]
    stale: tuple[Stale, ...]

    @property
    def is_clean(self) -> bool:
        """Whether the file of exceptions says all that was found, and no more."""
        return not self.new and not self.stale


def read_exceptions(file: Path = FILE) -> tuple[Exempted, ...]:
    """The exceptions of a file.

    Raises:
        ExceptionsError: It cannot be read, or says something else.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        return TypeAdapter(tuple[Exempted, ...]).validate_python(document or ())
    except OSError as error:
        raise ExceptionsError(f"{file.name} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ExceptionsError(f"{file.name} is not YAML: {error}") from error
    except ValidationError as error:
        found = "\n".join(
            f"  {'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
            for one in error.errors()
        )
        raise ExceptionsError(f"{file.name} is wrong:\n{found}") from error


def judge(
    failures: Iterable[Failure],
    exceptions: Iterable[Exempted],
    *,
    scanned: Collection[str],
    complete: bool = True,
) -> Verdict:
    """Holds failures against exceptions.

    Args:
        failures: Found in the stacks that were scanned.
        exceptions: All that are known.
        scanned: The stacks.
        complete: Whether they are all there are. Where not, a pattern of several stacks
            that is not met is not stale, because it may be of another stack.
    """
    exceptions = tuple(exceptions)
    new: list[Failure] = []
    excepted: list[Excepted] = []
    met: set[tuple[str, str]] = set()
    for failure in failures:
        matching = [
            (one, pattern)
            for one in exceptions
            for pattern in one.resources
            if one.check == failure.check and fnmatchcase(failure.resource, pattern)
        ]
        met |= {(one.check, pattern) for one, pattern in matching}
        if matching:
            excepted.append(Excepted(failure=failure, reason=matching[0][0].reason))
        else:
            new.append(failure)
    stale = [
        Stale(check=one.check, pattern=pattern)
        for one in exceptions
        for pattern in one.resources
        if (one.check, pattern) not in met and (complete or pattern.partition("/")[0] in scanned)
    ]
    return Verdict(new=tuple(new), excepted=tuple(excepted), stale=tuple(stale))
