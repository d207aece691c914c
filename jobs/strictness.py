"""Which warnings a person knows (`--ignore CODE`), and whether any other is an error."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from jobs.advice import WARNING_CODES, Advice
from jobs.arguments import require
from jobs.errors import Finding, InputError, TaskFailureError

ERROR, WARNING = "error", "warning"
FAIL_ON = (ERROR, WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strictness:
    """What is to become of warnings.

    Attributes:
        ignore: Codes that are not told.
        fail_on: `error`, or `warning` for both.
    """

    ignore: frozenset[str] = frozenset()
    fail_on: str = ERROR

    def told(self, warnings: Iterable[Advice]) -> list[Advice]:
        """The warnings that are told."""
        return [one for one in warnings if one.code not in self.ignore]

    def require_none(self, warnings: Iterable[Advice]) -> None:
        """Has a job fail whose tasks succeeded.

        Raises:
            TaskFailureError: There are warnings that are told, and they are as bad as errors.
        """
        told = self.told(warnings)
        if told and self.fail_on == WARNING:
            lines = "\n  ".join(map(str, told))
            raise TaskFailureError(f"with --fail-on warning:\n  {lines}")

    def heeded(self, warnings: Iterable[Advice], where: str) -> list[Advice]:
        """The warnings that are told.

        Raises:
            InputError: There are any, and they are as bad as errors; `where` is the file.
        """
        told = self.told(warnings)
        if told and self.fail_on == WARNING:
            raise InputError([Finding(where=where, message=str(one)) for one in told])
        return told


LENIENT = Strictness()


def strictness(ignore: Collection[str] | None, fail_on: str) -> Strictness:
    """What these options ask for.

    Raises:
        InputError: They cannot be meant, each with its reason.
    """
    require(
        (fail_on in FAIL_ON, f"--fail-on {fail_on!r} is not one of {', '.join(FAIL_ON)}"),
        (
            set(ignore or ()) <= set(WARNING_CODES),
            f"--ignore: the codes of warnings are {', '.join(WARNING_CODES)}",
        ),
    )
    return Strictness(ignore=frozenset(ignore or ()), fail_on=fail_on)
