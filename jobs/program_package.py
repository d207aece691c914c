"""A program that is an application package: named here, on the node when a task starts.

The service deploys a package to a directory that only its node knows, and tells it in an
environment variable. `{program}` stands for that directory, so that what uses it is
started by a shell, which alone can fill it in; everything else stays as it was written.

Publishing packages is `jobs.publish`; whether a version is there is asked once, before
anything is sent (`require_published`), because a task would only fail on its node.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jobs.errors import Finding, InputError, NotFoundError
from jobs.loading import LoadedWorkload
from jobs.spec import Program
from jobs.stack import Pool, Stack
from jobs.stages import StageView
from jobs.templates import Scalar

PLACEHOLDER = "program"
_DIRECTORY = "\0program\0"
"""What `{program}` becomes until the shell's text is made: no text of a file holds a NUL."""


class Service(Protocol):
    """What is asked of Batch."""

    def get(self, path: str, doing: str, **query: str) -> dict[str, Any]:
        """Reads one entity."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramPackage:
    """An application package that tasks run.

    Attributes:
        application: Its application.
        version: Which; None for the application's default.
    """

    application: str
    version: str | None

    @classmethod
    def of(cls, program: Program | None) -> ProgramPackage | None:
        """The package that a workload's `program` names, or None."""
        if program is None or program.application is None:
            return None
        return cls(application=program.application, version=program.version)

    def __str__(self) -> str:
        """As a person names it."""
        return f"{self.application} {self.version or '(default version)'}"

    @property
    def variable(self) -> str:
        """The environment variable with its directory, on Linux nodes.

        Source: https://learn.microsoft.com/azure/batch/batch-application-packages
        """
        parts = ["AZ_BATCH_APP_PACKAGE", self.application, *filter(None, [self.version])]
        return re.sub(r"[.#-]", "_", "_".join(parts))

    @property
    def reference(self) -> dict[str, str]:
        """As a task refers to it."""
        version = {} if self.version is None else {"version": self.version}
        return {"applicationId": self.application, **version}

    @property
    def values(self) -> dict[str, Scalar]:
        """What templates get for `{program}`."""
        return {PLACEHOLDER: _DIRECTORY}

    def quote(self, text: str) -> str:
        """A value for a shell, the directory filled in by it."""
        parts = [shlex.quote(part) if part else "" for part in text.split(_DIRECTORY)]
        return f'"${{{self.variable}}}"'.join(parts) or "''"

    def in_shell(self, arguments: Sequence[str]) -> list[str]:
        """A command; started by a shell if it names the directory."""
        if not any(_DIRECTORY in one for one in arguments):
            return list(arguments)
        return ["/bin/sh", "-ec", " ".join(["exec", *map(self.quote, arguments)])]


def package_findings(
    workload: LoadedWorkload, view: StageView, stack: Stack, pool: Pool | None
) -> Iterator[Finding]:
    """What is wrong with a stage's package, as far as the stack's outputs tell."""
    package = ProgramPackage.of(view.spec.program)
    if package is None:
        return
    here = view.place("program", "application")
    if package.application not in stack.applications:
        close = difflib.get_close_matches(package.application, stack.applications, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        known = ", ".join(sorted(stack.applications)) or "none (hpc:applications declares them)"
        text = f"stack {stack.stack} has no application {package.application!r}, it has: {known}"
        yield workload.finding(f"{text}{hint}", *here)
    if pool is not None and pool.os == "windows":
        yield workload.finding("programs of packages are for Linux pools here", *here)
    if PLACEHOLDER in workload.spec.variables:
        yield workload.finding(
            "{program} is the directory of the package: give the variable another name",
            "variables",
            PLACEHOLDER,
        )


def require_published(packages: Sequence[ProgramPackage], stack: Stack, service: Service) -> None:
    """Asks Batch whether packages are there.

    Raises:
        InputError: One of them is not, and how it is published.
        ServiceError: Refused.
    """
    for package in packages:
        name = package.application
        publish = (
            f"python -m jobs publish {name} PATH --version "
            f"{package.version or 'VERSION --default'} --stack {stack.stack}"
        )
        try:
            found = service.get(f"/applications/{name}", f"looking for application {name}")
        except NotFoundError as error:
            raise InputError(f"application {name} has no published version: {publish}") from error
        versions = [str(one) for one in found.get("versions", ())]
        wanted = package.version or stack.applications[name].default_version
        if wanted is not None and wanted.lower() not in {one.lower() for one in versions}:
            raise InputError(
                f"application {name} has no published version {wanted}, it has: "
                f"{', '.join(versions)}. Publish it: {publish}"
            )
