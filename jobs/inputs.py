"""Which local files a workload needs, and where on a node each belongs.

Finds and names; reads no contents and sends nothing (`jobs.stage` does). A file that a
workload names must exist when the job is planned: a glob that matches nothing is an
error, not an empty job.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jobs.errors import Finding
from jobs.loading import LoadedWorkload
from jobs.spec import Input
from jobs.templates import Scalar, Template, parse_template


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFile:
    """A local file and its place in a task's working directory.

    Attributes:
        local: The file here, absolute.
        node_path: Path below the working directory, with `/`.
        executable: Whether tasks run it.
    """

    local: Path
    node_path: str
    executable: bool


def glob_files(pattern: str, directory: Path) -> Iterator[Path]:
    """Regular files below a directory that match, sorted; `**` is any number of levels.

    A pattern that is the name of an existing file means that file, whatever characters
    it has. A directory means every file below it.
    """
    exact = directory / pattern
    if exact.is_file():
        yield exact
        return
    if exact.is_dir():
        pattern = f"{glob.escape(pattern.rstrip('/'))}/**"
    for name in sorted(glob.glob(pattern, root_dir=directory, recursive=True)):  # noqa: PTH207 - takes `..` and hidden names as shells do
        path = directory / name
        if path.is_file():
            yield path


def program_files(workload: LoadedWorkload) -> tuple[list[NodeFile], list[Finding]]:
    """The program's files, its build's output last, and what is wrong with them.

    The build's output need not exist yet.
    """
    program = workload.spec.program
    files: list[NodeFile] = []
    findings: list[Finding] = []
    if program is None:
        return files, findings
    for number, pattern in enumerate(program.files):
        here = ("program", "files", number)
        found, wrong = _located(workload, pattern, None, here)
        files.extend(found)
        findings.extend(wrong)
    if program.build is not None:
        output = workload.directory / program.build.output
        files.append(NodeFile(local=output, node_path=output.name, executable=True))
    return files, findings


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFiles:
    """The inputs of a workload.

    Attributes:
        common: Files that every task gets.
        by_task: Templates of inputs that name files by a task's values.
    """

    common: tuple[NodeFile, ...]
    by_task: tuple[tuple[Input, Template], ...]

    def for_task(self, workload: LoadedWorkload, values: Mapping[str, Scalar]) -> list[NodeFile]:
        """The files of one task besides the common ones.

        Raises:
            ValueError: A file is missing, or its name leaves the working directory.
        """
        files: list[NodeFile] = []
        for entry, template in self.by_task:
            pattern = template.render(values, quote=glob.escape)
            literal = template.render(values)
            exact = workload.directory / literal
            found = [exact] if exact.is_file() else list(glob_files(pattern, workload.directory))
            if not found:
                raise ValueError(f"input {literal!r} does not exist")
            files.extend(node_file(path, workload.directory, entry.to) for path in found)
        return files


def input_files(workload: LoadedWorkload) -> tuple[InputFiles, list[Finding]]:
    """The inputs, and what is wrong with those that do not depend on a task."""
    common: list[NodeFile] = []
    by_task: list[tuple[Input, Template]] = []
    findings: list[Finding] = []
    fixed = workload.spec.variables
    for number, entry in enumerate(workload.spec.inputs):
        template = parse_template(entry.path)
        if template.names - fixed.keys():
            by_task.append((entry, template))
            continue
        pattern = template.render(fixed)
        found, wrong = _located(workload, pattern, entry.to, ("inputs", number))
        common.extend(found)
        findings.extend(wrong)
    return InputFiles(common=tuple(common), by_task=tuple(by_task)), findings


def node_file(path: Path, directory: Path, to: str | None) -> NodeFile:
    """A file's place on the node.

    Raises:
        ValueError: The file is outside the workload's directory and no `to` says where
            it belongs.
    """
    if to is not None:
        name = str(PurePosixPath(to) / path.name)
    else:
        name = Path(os.path.relpath(path, directory)).as_posix()
        if name.startswith("../") or Path(name).is_absolute():
            raise ValueError(
                f"{name!r} is outside the workload's directory: say where it belongs "
                "on the node: {path: …, to: DIRECTORY}"
            )
    return NodeFile(local=path.absolute(), node_path=name, executable=os.access(path, os.X_OK))


def clashes(files: list[NodeFile]) -> Iterator[str]:
    """Places on the node that two different local files would take."""
    places: dict[str, Path] = {}
    for file in files:
        other = places.setdefault(file.node_path, file.local)
        if other != file.local:
            yield f"{other} and {file.local} would both be {file.node_path!r} on the node"


def _located(
    workload: LoadedWorkload, pattern: str, to: str | None, where: tuple[str | int, ...]
) -> tuple[list[NodeFile], list[Finding]]:
    files: list[NodeFile] = []
    findings: list[Finding] = []
    for path in glob_files(pattern, workload.directory):
        try:
            files.append(node_file(path, workload.directory, to))
        except ValueError as error:
            findings.append(workload.finding(str(error), *where))
    if not files and not findings:
        what = "matches no file" if glob.has_magic(pattern) else "does not exist"
        findings.append(workload.finding(f"{pattern!r} {what} in {workload.directory}", *where))
    return files, findings
