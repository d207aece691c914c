"""Errors of `jobs`: one root, one exit code each.

    JobsError                  root; `jobs.cli` prints it and exits with its `exit_code`
    ├── InputError        2    what the user wrote is wrong; holds every finding at once
    │   ├── WorkloadError      … in a workload file
    │   ├── StackError         … in what names the stack, or the stack's outputs
    │   ├── TakenError         … in the job's id: there is such a job
    │   ├── CleanedError       … in the job that is meant: it was cleaned
    │   └── BuildError         … in the program: its build command failed
    ├── ServiceError      3    Batch or storage refused; `code` is the service's own
    │   ├── CredentialError    … because it does not know us, or there is nothing to show
    │   ├── NotFoundError      … because what was named does not exist
    │   └── UnavailableError   … or never answered within the retries
    ├── TaskFailureError  1    the work was done and a task, the merge or the check failed,
    │   │                      or a file that a task left cannot be written, by its name
    │   └── StaleError         … or an answer was made from what is replaced by now
    └── LeftError              somebody stopped watching; `details` has where the job stands
        ├── UnfinishedError 4  … at a time limit, or because nothing moves until it is resumed:
        │                      its submission was not finished, or it is disabled
        └── InterruptError 130 … by Ctrl-C or SIGTERM; says what goes on, how to come back

SDK errors become these in one place, `jobs.translate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

EXIT_OK = 0
EXIT_TASK_FAILED = 1
EXIT_INPUT = 2
EXIT_SERVICE = 3
EXIT_UNFINISHED = 4
EXIT_INTERRUPTED = 130


class JobsError(Exception):
    """A condition that a person can mend; its text says where, what, why and how."""

    exit_code = EXIT_SERVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with an input.

    Attributes:
        message: What is wrong, and what would be right.
        where: The file, or the option.
        line: 1-based line in the file, or None where the finding has no line.
        path: The member, such as `tasks.sweep.x[2]`; empty for the whole.
    """

    message: str
    where: str = ""
    line: int | None = None
    path: str = ""

    def __str__(self) -> str:
        """`FILE:LINE: PATH: message`, without the parts that are not known."""
        place = self.where if self.line is None else f"{self.where}:{self.line}"
        return ": ".join(part for part in (place, self.path, self.message) if part)


class InputError(JobsError):
    """What the user wrote is wrong. `findings` has all of it, in the file's order."""

    exit_code = EXIT_INPUT

    def __init__(self, findings: Iterable[Finding] | str) -> None:
        """Takes the findings, or one sentence."""
        self.findings = (
            (Finding(message=findings),) if isinstance(findings, str) else tuple(findings)
        )
        super().__init__("\n".join(str(finding) for finding in self.findings))


class WorkloadError(InputError):
    """A workload file cannot be used."""


class StackError(InputError):
    """A stack is not there, or its outputs are not what this version reads."""


class TakenError(InputError):
    """A job of this id is there already; nothing was submitted."""


class CleanedError(InputError):
    """The job was cleaned: only its result tree is left."""


class BuildError(InputError):
    """The build command of a program failed; the text ends with its output."""

    def __init__(self, message: str, *, output: str = "") -> None:
        """Takes a sentence and what the command printed."""
        self.output = output
        super().__init__(f"{message}\n{output.rstrip()}" if output.strip() else message)


class ServiceError(JobsError):
    """Batch or storage refused.

    Attributes:
        code: The service's error code, such as `ActiveJobAndScheduleQuotaReached`.
        status: HTTP status, or None when there was no answer.
        unclear: Whether an earlier attempt at the same request ended without an answer,
            so that what is refused now may have been carried out then.
        details: What a program is told besides, of a job that was watched: members of a JSON
            object.
    """

    exit_code = EXIT_SERVICE
    unclear = False
    details: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, message: str, *, code: str = "", status: int | None = None) -> None:
        """Takes the text for a person and what a program decides on."""
        self.code = code
        self.status = status
        super().__init__(message)


class CredentialError(ServiceError):
    """The service does not accept the credential, or there is none."""


class NotFoundError(ServiceError):
    """What was named does not exist."""


class UnavailableError(ServiceError):
    """The service did not answer, or was too busy, until the retries were used up."""


class TaskFailureError(JobsError):
    """The work was done, and a task, the merge or the check failed, or a file has no fit name."""

    exit_code = EXIT_TASK_FAILED


class StaleError(TaskFailureError):
    """All tasks succeeded, and an answer was made from outputs that were replaced since."""


class LeftError(JobsError):
    """Somebody stopped watching before the end; the job goes on.

    Attributes:
        details: What a program is told besides: members of a JSON object.
    """

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        """Takes the text for a person and, if they are known, the details for a program."""
        self.details = dict(details or {})
        super().__init__(message)


class UnfinishedError(LeftError):
    """A time limit ended the waiting, or nothing moves until the job is resumed."""

    exit_code = EXIT_UNFINISHED


class InterruptError(LeftError):
    """Ctrl-C or SIGTERM; the text says what goes on and how to come back."""

    exit_code = EXIT_INTERRUPTED


def shown(path: Path) -> str:
    """A path as a person typed it: relative to the working directory where it is inside."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
