"""Which local files a workload needs, and where on a node each belongs.

Finds and names; reads no contents and sends nothing (`jobs.stage` does). A file that a
workload names must exist when the job is planned: a glob that matches nothing is an
error, not an empty job.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from jobs.document import Location
from jobs.errors import Finding
from jobs.loading import LoadedWorkload
from jobs.spec_tasks import Input
from jobs.spec_values import http_url, passed_on
from jobs.stages import StageView
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


def program_files(
    workload: LoadedWorkload, stage: StageView
) -> tuple[list[NodeFile], list[Finding]]:
    """The program's files, its build's output last, and what is wrong with them.

    The build's output need not exist yet.
    """
    program = stage.spec.program
    files: list[NodeFile] = []
    findings: list[Finding] = []
    if program is None:
        return files, findings
    for number, pattern in enumerate(program.files):
        here = stage.place("program", "files", number)
        found, wrong = _located(workload, pattern, None, here)
        files.extend(found)
        findings.extend(wrong)
    if program.build is not None:
        output = workload.directory / program.build.output
        files.append(NodeFile(local=output, node_path=output.name, executable=True))
    return files, findings


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteBlob:
    """A blob of the data account that is there already.

    Attributes:
        container: Its container.
        name: Its name.
        etag: Changes with its contents.
    """

    container: str
    name: str
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFiles:
    """The inputs of a stage.

    Attributes:
        common: Local files that every task gets.
        by_task: Local files that a task's values name.
        remote: Addresses and blobs, which nodes fetch from where they are.
        stages: Inputs that are another stage's outputs.
    """

    common: tuple[NodeFile, ...] = ()
    by_task: tuple[tuple[Input, Template], ...] = ()
    remote: tuple[tuple[Input, Template], ...] = ()
    stages: tuple[Input, ...] = ()

    def for_task(self, workload: LoadedWorkload, values: Mapping[str, Scalar]) -> list[NodeFile]:
        """The local files of one task besides the common ones.

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


def input_files(
    workload: LoadedWorkload, inputs: Sequence[Input], place: Location
) -> tuple[InputFiles, list[Finding]]:
    """Inputs, and what is wrong with those that do not depend on a task.

    Args:
        workload: The file.
        inputs: The entries of one `inputs`.
        place: Where that stands in the file.
    """
    common: list[NodeFile] = []
    by_task: list[tuple[Input, Template]] = []
    remote: list[tuple[Input, Template]] = []
    findings: list[Finding] = []
    fixed = workload.spec.variables
    for number, entry in enumerate(inputs):
        here = (*place, number)
        text = entry.path or entry.url or entry.blobs
        if text is None:
            continue
        template = parse_template(text)
        own = bool(template.names - fixed.keys())
        if entry.path is None:
            remote.append((entry, template))
            if not own and entry.url is not None:
                try:
                    url_file(template.render(fixed), entry.to)
                except ValueError as error:
                    findings.append(workload.finding(str(error), *here))
        elif own:
            by_task.append((entry, template))
        else:
            found, wrong = _located(workload, template.render(fixed), entry.to, here)
            common.extend(found)
            findings.extend(wrong)
    made = InputFiles(
        common=tuple(common),
        by_task=tuple(by_task),
        remote=tuple(remote),
        stages=tuple(entry for entry in inputs if entry.stage is not None),
    )
    return made, findings


def url_file(url: str, to: str | None) -> str:
    """Where on the node the file of an address belongs.

    Raises:
        ValueError: The address names no file.
    """
    name = unquote(urlsplit(http_url(url)).path.rpartition("/")[2])
    if name in {"", ".", ".."} or not set("/\\\0").isdisjoint(name):
        raise ValueError(f"{url!r} does not end with the name of a file")
    return str(PurePosixPath(to or ".") / name)


def node_file(path: Path, directory: Path, to: str | None) -> NodeFile:
    """A file's place on the node.

    Raises:
        ValueError: The file is outside the workload's directory and no `to` says where
            it belongs; or its name is no Unicode.
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
    try:
        passed_on(name)
    except ValueError as error:
        raise ValueError(f"the name {name!r} {error}") from error
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
        if glob.has_magic(pattern):
            what = "matches no file"
        elif (workload.directory / pattern).is_dir():
            what = "has no file"
        elif (workload.directory / pattern).exists():
            what = "is no regular file"
        else:
            what = "does not exist"
        findings.append(workload.finding(f"{pattern!r} {what} in {workload.directory}", *where))
    return files, findings
