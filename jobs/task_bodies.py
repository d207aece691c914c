"""One task as it is sent: its JSON, its id, and the hash of what it does.

The hash is over what the task does (command, environment, files by content, outputs,
resources, what it waits for), not over the job it is in: the same workload gives the
same hashes in every job.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from jobs.checking import Checked, CheckedStage, own_files
from jobs.command_lines import (
    FETCHED,
    command_line,
    coordination_log,
    in_place,
    in_shared_directory,
    mpi_arguments,
    script_arguments,
)
from jobs.contents import Contents, changed
from jobs.dependencies import Span, depends_on, within
from jobs.durations import iso_duration
from jobs.errors import InputError, WorkloadError
from jobs.exits import acts_on_job, exit_conditions
from jobs.inputs import InputFiles, NodeFile, url_file
from jobs.output_files import OutputFiles
from jobs.program_package import ProgramPackage
from jobs.report import REASON_FILE, REASON_VARIABLE
from jobs.spec_tasks import Container, Input, NodeCommand
from jobs.spec_values import relative
from jobs.stages import STAGE_SPAN
from jobs.templates import Scalar, parse_template

MAX_BYTES = 1_000_000
"""Of a collection of tasks, and so of one; below the service's limit of 1 MiB a request."""
BLOB_PREFIX = "sha256/"
_UNBUILT = "0" * 64
_REASON = {"name": REASON_VARIABLE, "value": f"../{REASON_FILE}"}

Ran = Sequence[tuple[str, frozenset[int] | None]]
"""Jobs and the numbers of the tasks that ran in each (None: all), the latest last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """A task as it is sent.

    Attributes:
        index: Position in its stage, from 0.
        id: Its id: position and content, or its number.
        name: Display name of a task of a stage, with the hash of what it does; else empty.
        body: JSON object for the service.
    """

    index: int
    id: str
    body: bytes
    name: str = ""


def too_large(task: PlannedTask, most: int = MAX_BYTES) -> InputError:
    """What is wrong with a task that takes more than that to describe."""
    return InputError(
        f"task {task.name or task.index} takes {len(task.body):,} bytes to describe, the service "
        f"takes {most:,}: give it fewer files (a folder of blobs is one: `inputs: [{{blobs: "
        "CONTAINER/PREFIX}]`) or a shorter command"
    )


def blob_name(sha256: str) -> str:
    """The blob that holds contents: by hash alone, so that equal files are sent once."""
    return f"{BLOB_PREFIX}{sha256}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where files are, as nodes find them.

    What a build is still to make has a placeholder for its contents; any other file without
    contents has come since they were read, and is refused with an `InputError`.
    """

    checked: Checked
    contents: Mapping[Path, Contents]

    def program(self, file: NodeFile) -> dict[str, Any]:
        """A staged file of the program."""
        return self._staged(file, self.checked.stack.programs_container)

    def data(self, file: NodeFile) -> dict[str, Any]:
        """A staged input."""
        return self._staged(file, self.checked.stack.inputs_container)

    def _staged(self, file: NodeFile, container: str) -> dict[str, Any]:
        contents = self.contents.get(file.local)
        if contents is None and not self._is_to_be_built(file):
            raise changed(file.local)
        name = blob_name(_UNBUILT if contents is None else contents.sha256)
        return {
            "httpUrl": f"{self.checked.stack.blob_endpoint}/{container}/{name}",
            "filePath": file.node_path,
            "fileMode": "0755" if file.executable else "0644",
            "identityReference": self.checked.pool.identity_reference,
        }

    def _is_to_be_built(self, file: NodeFile) -> bool:
        programs = (stage.view.spec.program for stage in self.checked.stages)
        directory = self.checked.workload.directory
        return any(
            program is not None
            and program.build is not None
            and file.local == directory / program.build.output
            for program in programs
        )

    def blob(self, container: str, name: str, path: str) -> dict[str, Any]:
        """A blob of the data account."""
        return {
            "httpUrl": f"{self.checked.stack.blob_endpoint}/{container}/{name}",
            "filePath": path,
            "identityReference": self.checked.pool.identity_reference,
        }

    def below(self, container: str, prefix: str, to: str | None) -> dict[str, Any]:
        """All blobs of the data account whose names begin so."""
        return {
            "storageContainerUrl": f"{self.checked.stack.blob_endpoint}/{container}",
            **({"blobPrefix": prefix} if prefix else {}),
            **({"filePath": to} if to else {}),
            "identityReference": self.checked.pool.identity_reference,
        }

    def remote(self, entry: Input, text: str) -> dict[str, Any]:
        """An input that is an address or a folder of blobs, its placeholders filled in.

        Raises:
            ValueError: It names no file.
        """
        if entry.blobs is not None:
            container, _, prefix = text.partition("/")
            relative(text)
            return self.below(container, prefix, entry.to)
        resource = {"httpUrl": text, "filePath": url_file(text, entry.to)}
        if text.startswith(f"{self.checked.stack.blob_endpoint}/"):
            resource |= {"identityReference": self.checked.pool.identity_reference}  # type: ignore[dict-item] # a mapping of its own
        return resource


def node_task(places: Places, spec: NodeCommand, inputs: InputFiles) -> dict[str, Any]:
    """What job preparation and release have in common.

    Raises:
        ValueError: An address names no file.
    """
    variables = places.checked.workload.spec.variables
    if spec.script is not None:
        script = parse_template(spec.script, shell_text=True)
        arguments = script_arguments(script.render(variables, quote=shlex.quote))
    else:
        arguments = [parse_template(part).render(variables) for part in spec.command or ()]
    body: dict[str, Any] = {
        "commandLine": command_line(arguments, windows=places.checked.pool.os == "windows")
    }
    files = [places.data(file) for file in inputs.common]
    files += [places.remote(entry, text.render(variables)) for entry, text in inputs.remote]
    if files:
        body["resourceFiles"] = files
    if spec.environment:
        body["environmentSettings"] = [
            {"name": name, "value": parse_template(value).render(variables)}
            for name, value in spec.environment.items()
        ]
    return body


class TaskMaker:
    """Serialises the tasks of one stage; what all of them share is serialised once."""

    def __init__(
        self,
        places: Places,
        stage: CheckedStage,
        *,
        job_id: str,
        only: frozenset[int] | None = None,
        ran: Ran = (),
    ) -> None:
        """Takes the stage, and for tasks that run again which they are and what ran before."""
        self._places = places
        self._stage = stage
        self._view = stage.view
        self._job_id = job_id
        self._only = only
        self._ran = (*ran, (job_id, only))
        self._waits: dict[int, tuple[Span, ...]] = {}
        checked, spec = places.checked, stage.view.spec
        self._windows = checked.pool.os == "windows"
        self._command = tuple(parse_template(part) for part in spec.command or ())
        self._script = (
            parse_template(spec.script, shell_text=True) if spec.script is not None else None
        )
        self._package = ProgramPackage.of(spec.program)
        several = spec.multi_instance
        self._several = several
        self._coordination = tuple(
            parse_template(part) for part in (several.coordination or () if several else ())
        )
        self._environment = [(name, parse_template(v)) for name, v in spec.environment.items()]
        self._outputs = OutputFiles(checked, spec)
        self._common_values: dict[str, Scalar] = {
            **checked.workload.spec.variables,
            **{e.stage: e.to or e.stage for e in stage.inputs.stages if e.stage},
        }
        self._files = [
            *(places.program(file) for file in stage.program),
            *(places.data(file) for file in stage.inputs.common),
        ]
        self._fixed = self._shared_members()
        self._fixed_hash = hashlib.sha256(
            orjson.dumps([self._files, self._fixed, checked.pool.os])
        )

    def _shared_members(self) -> dict[str, Any]:
        checked, spec = self._places.checked, self._view.spec
        constraints: dict[str, Any] = {
            "retentionTime": iso_duration(spec.resources.retention),
            "maxTaskRetryCount": spec.resources.retries,
        }
        if spec.resources.wall_clock is not None:
            constraints["maxWallClockTime"] = iso_duration(spec.resources.wall_clock)
        members: dict[str, Any] = {"constraints": constraints}
        if self._package is not None:
            members["applicationPackageReferences"] = [self._package.reference]
        if self._several is None:
            members["requiredSlots"] = spec.resources.slots
        if spec.container is not None:
            members["containerSettings"] = _container(
                spec.container, checked.pool.identity_reference
            )
        rules = [stage.view.spec.on_failure for stage in checked.stages]
        conditions = exit_conditions(
            spec.on_failure,
            on_job=acts_on_job(rules),
            dependencies=any(stage.dependencies for stage in checked.stages),
        )
        if conditions is not None:
            members["exitConditions"] = conditions
        return members

    def tasks(self) -> Iterator[PlannedTask]:
        """Generates the stage's tasks, anew at each call.

        Raises:
            WorkloadError: A row's values do not fit a placeholder's format, or a generator
                gives others than before.
        """
        index = 0
        try:
            for row in self._stage.rows.each():
                if self._only is None or self._view.task_number(index) in self._only:
                    yield self._task(index, row)
                index += 1
        except ValueError as error:
            where = self._view.place("tasks")
            workload = self._places.checked.workload
            raise WorkloadError([workload.finding(f"task {index}: {error}", *where)]) from error

    def _task(self, index: int, row: tuple[Scalar, ...]) -> PlannedTask:
        values: dict[str, Scalar] = {
            **self._common_values,
            **dict(zip(self._stage.rows.names, row, strict=True)),
            "index": index,
        }
        arguments = self._arguments(values)
        environment = [(name, template.render(values)) for name, template in self._environment]
        own = self._own_files(values)
        coordination = [template.render(values) for template in self._coordination]
        waits = self._dependencies(index)
        content: list[Any] = [arguments, environment, self._outputs.described(values), own]
        etag = self._blob_etag(values)
        if coordination or waits or etag or self._several or self._stage.inputs.stages:
            content += [coordination, waits, etag, self._several and self._several.model_dump(),
                        [e.model_dump() for e in self._stage.inputs.stages]]  # fmt: skip
        digest = self._fixed_hash.copy()
        digest.update(orjson.dumps(content))
        short = digest.hexdigest()[:12]
        body: dict[str, Any]
        if self._view.number:
            task_id = str(self._view.task_number(index))
            name = f"{self._view.name}/{index} {short}"
            body = {"id": task_id, "displayName": name}
        else:
            task_id = f"{index:07d}-{short}"
            name = ""
            body = {"id": task_id}
        fetched, placed = self._other_stages(index)
        files = [*self._files, *own, *fetched]
        if self._several is None:
            body["commandLine"] = command_line(arguments, windows=self._windows, first=placed)
            if files:
                body["resourceFiles"] = files
        else:
            body |= self._on_nodes(arguments, coordination, files, placed)
        body["outputFiles"] = self._outputs.members(f"{self._job_id}/{task_id}", values)
        body["environmentSettings"] = [*({"name": n, "value": v} for n, v in environment), _REASON]
        if needed := depends_on(waits if self._only is None else within(waits, self._only)):
            body["dependsOn"] = needed
        body.update(self._fixed)
        return PlannedTask(index=index, id=task_id, name=name, body=orjson.dumps(body))

    def _arguments(self, values: Mapping[str, Scalar]) -> list[str]:
        package = self._package
        if package is not None:
            values = {**values, **package.values}
        if self._script is not None:
            quote = package.quote if package is not None else shlex.quote
            return script_arguments(self._script.render(values, quote=quote))
        arguments = [template.render(values) for template in self._command]
        return arguments if package is None else package.in_shell(arguments)

    def _on_nodes(
        self,
        arguments: list[str],
        coordination: list[str],
        files: list[dict[str, Any]],
        placed: list[str],
    ) -> dict[str, Any]:
        """The members of a multi-instance task: its files are on all its nodes."""
        several = self._several
        assert several is not None  # noqa: S101 - the caller asked
        started = arguments
        if several.mpi is not None:
            names = [name for name, _ in self._environment]
            started = mpi_arguments(several, arguments, names)
        first = [] if self._windows else [in_shared_directory()]
        settings: dict[str, Any] = {
            "numberOfInstances": several.nodes,
            "coordinationCommandLine": command_line(
                coordination or (["cmd", "/c", "exit"] if self._windows else ["true"]),
                windows=self._windows,
                first=[] if self._windows else [coordination_log(), *first, *placed],
            ),
        }
        if files:
            settings["commonResourceFiles"] = files
        return {
            "commandLine": command_line(started, windows=self._windows, first=first),
            "multiInstanceSettings": settings,
        }

    def _own_files(self, values: Mapping[str, Scalar]) -> list[dict[str, Any]]:
        places = self._places
        own = [
            places.data(file) for file in own_files(places.checked.workload, self._stage, values)
        ]
        if self._stage.rows.blobs:
            path = str(values["file"])
            blob = self._stage.rows.blobs[path]
            own.append(places.blob(blob.container, blob.name, path))
        own += [
            places.remote(entry, template.render(values))
            for entry, template in self._stage.inputs.remote
        ]
        return own

    def _blob_etag(self, values: Mapping[str, Scalar]) -> str:
        blobs = self._stage.rows.blobs
        return blobs[str(values["file"])].etag if blobs else ""

    def _dependencies(self, index: int) -> list[Span]:
        """Numbers of the tasks that a task waits for."""
        return [span for waits in self._stage.dependencies for span in waits.numbers(index)]

    def _other_stages(self, index: int) -> tuple[list[dict[str, Any]], list[str]]:
        """Resource files with what other stages' tasks left, and shell text for them."""
        resources: list[dict[str, Any]] = []
        texts: list[str] = []
        container = self._places.checked.stack.outputs_container
        for entry in self._stage.inputs.stages:
            waits = next(d for d in self._stage.dependencies if d.stage == entry.stage)
            wanted = waits.numbers(index)
            jobs: list[str] = []
            for job, numbers in self._ran:
                these = wanted if numbers is None else within(wanted, numbers)
                if these:
                    jobs.append(job)
                resources += [
                    self._places.below(container, f"{job}/{prefix}", f"{FETCHED}/{waits.stage}")
                    for span in these
                    for prefix in id_prefixes(*span, whole=waits.count)
                ]
            digits = str(waits.number)
            to = entry.to or waits.stage
            texts.append(in_place(waits.stage, digits, to, jobs))
        return resources, texts


def id_prefixes(first: int, last: int, *, whole: int | None = None) -> Iterator[str]:
    """Beginnings of names `ID/…` that just the ids of a range have.

    All ids have equally many digits, so that numbers that differ in their last digits
    only are one beginning: 100000000 to 100000099 are `1000000`.

    Args:
        first: Of the range.
        last: Of the range.
        whole: Tasks of the stage, if known: all of them are the stage's beginning.
    """
    if whole is not None and last - first + 1 == whole:
        yield str(first // STAGE_SPAN)
        return
    number = first
    while number <= last:
        size = 1
        while number % (size * 10) == 0 and number + size * 10 - 1 <= last:
            size *= 10
        yield f"{number}/" if size == 1 else str(number // size)
        number += size


def _container(spec: Container, identity: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {"imageName": spec.image}
    if spec.run_options:
        settings["containerRunOptions"] = spec.run_options
    if spec.registry is not None:
        settings["registry"] = {"registryServer": spec.registry, "identityReference": identity}
    if spec.working_directory == "image":
        settings["workingDirectory"] = "containerImageDefault"
    return settings
