"""From a workload and a stack to the job as it will be sent. Pure: no network, no clock.

Two steps, because a build stands between them: `jobs.checking` finds everything that is
wrong before anything is made; `plan` knows what is in the files and generates the tasks,
each already serialised as the service takes it.

A task's id is its position and a hash of what it does (command, environment, files by
content, outputs, resources), not of the job it is in: the same workload gives the same
ids, so that a second submission to the same job adds only what is missing, and two jobs
can be compared task by task.
"""

from __future__ import annotations

import glob
import hashlib
import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from jobs.checking import Checked, own_files
from jobs.contents import Contents
from jobs.durations import iso_duration
from jobs.errors import InputError, WorkloadError
from jobs.inputs import NodeFile
from jobs.selection import positions_of
from jobs.templates import Scalar, parse_template

META_WORKLOAD = "jobs.workload"
META_PLAN = "jobs.plan"
META_TASKS = "jobs.tasks"
META_SUBMISSION = "jobs.submission"
SUBMITTING = "unfinished"
SUBMITTED = "complete"
BLOB_PREFIX = "sha256/"

_CONDITIONS = {"always": "taskcompletion", "succeeded": "tasksuccess", "failed": "taskfailure"}
_UNBUILT = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """A task as it is sent.

    Attributes:
        index: Position in the job, from 0.
        id: Its id: position and content.
        body: JSON object for the service.
    """

    index: int
    id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """A job as it is sent.

    Attributes:
        checked: What it is made from.
        job_id: Its id.
        body: The job itself; it closes when `complete_body` is applied.
        complete_body: Applied when every task is in.
        only: Positions of the tasks that are sent, as `jobs.selection` writes them; all if None.
        digest: Of everything that decides on the tasks; two plans with the same
            digest have the same tasks.
        unbuilt: Whether the program is not built yet, so that ids are provisional.
    """

    checked: Checked
    job_id: str
    body: dict[str, Any]
    complete_body: dict[str, Any]
    digest: str
    unbuilt: bool
    only: str | None = None
    _contents: Mapping[Path, Contents]

    @property
    def count(self) -> int:
        """How many tasks."""
        return int(self.body_metadata[META_TASKS])

    @property
    def body_metadata(self) -> dict[str, str]:
        """The job's metadata by name."""
        return {item["name"]: item["value"] for item in self.body["metadata"]}

    def tasks(self) -> Iterator[PlannedTask]:
        """Generates the tasks, anew at each call.

        Raises:
            WorkloadError: A row's values do not fit a placeholder's format.
        """
        maker = _TaskMaker(self)
        chosen = None if self.only is None else positions_of(self.only)
        for index, row in enumerate(self.checked.rows.each()):
            if chosen is None or index in chosen:
                yield maker.task(index, row)


def plan(
    checked: Checked,
    contents: Mapping[Path, Contents],
    *,
    job_id: str,
    only: str | None = None,
) -> JobPlan:
    """The job, or a job of `only` some of its tasks, by position.

    `contents` has every local file; a program not built yet may be left out.

    Raises:
        InputError: `only` names positions that the job does not have.
    """
    spec = checked.workload.spec
    unbuilt = any(file.local not in contents for file in checked.program)
    digest = _digest(checked, contents)
    count = checked.rows.count
    if only is not None:
        digest = hashlib.sha256(f"{digest} {only}".encode()).hexdigest()
        chosen = positions_of(only)
        if max(chosen) >= count:
            raise InputError(
                f"task {max(chosen)} cannot be run again: the workload has {count} tasks now"
            )
        count = len(chosen)
    metadata = {META_WORKLOAD: spec.name, META_PLAN: digest, META_TASKS: str(count)}
    return JobPlan(
        checked=checked,
        job_id=job_id,
        body={
            "id": job_id,
            "priority": spec.priority,
            "poolInfo": {"poolId": checked.pool.id},
            "onAllTasksComplete": "noaction",
            "metadata": _metadata(metadata | {META_SUBMISSION: SUBMITTING}),
        },
        complete_body={
            "onAllTasksComplete": "terminatejob",
            "metadata": _metadata(metadata | {META_SUBMISSION: SUBMITTED}),
        },
        digest=digest,
        unbuilt=unbuilt,
        only=only,
        _contents=contents,
    )


def blob_name(sha256: str) -> str:
    """The blob that holds contents: by hash alone, so that equal files are sent once."""
    return f"{BLOB_PREFIX}{sha256}"


class _TaskMaker:
    """Serialises tasks; what all of them share is serialised once."""

    def __init__(self, job: JobPlan) -> None:
        self._job = job
        self._checked = job.checked
        checked, spec = job.checked, job.checked.workload.spec
        self._windows = checked.pool.os == "windows"
        self._command = tuple(parse_template(part) for part in spec.command or ())
        self._script = (
            parse_template(spec.script, shell_text=True) if spec.script is not None else None
        )
        self._environment = [(name, parse_template(v)) for name, v in spec.environment.items()]
        self._outputs = [(parse_template(o.pattern), o.when) for o in spec.outputs]
        self._files = [
            *(self._resource(f, checked.stack.programs_container) for f in checked.program),
            *(self._resource(f, checked.stack.inputs_container) for f in checked.inputs.common),
        ]
        constraints: dict[str, Any] = {
            "retentionTime": iso_duration(spec.resources.retention),
            "maxTaskRetryCount": spec.resources.retries,
        }
        if spec.resources.wall_clock is not None:
            constraints["maxWallClockTime"] = iso_duration(spec.resources.wall_clock)
        self._fixed = {"constraints": constraints, "requiredSlots": spec.resources.slots}
        self._fixed_hash = hashlib.sha256(
            orjson.dumps([self._files, self._fixed, self._job.checked.pool.os])
        )
        self._identity = {"resourceId": checked.pool.identity_id}

    def task(self, index: int, row: tuple[Scalar, ...]) -> PlannedTask:
        values: dict[str, Scalar] = {
            **self._checked.workload.spec.variables,
            **dict(zip(self._checked.rows.names, row, strict=True)),
            "index": index,
        }
        try:
            content = self._content(values)
        except ValueError as error:
            raise WorkloadError(
                [self._checked.workload.finding(f"task {index}: {error}", "tasks")]
            ) from error
        digest = self._fixed_hash.copy()
        digest.update(orjson.dumps(content))
        task_id = f"{index:07d}-{digest.hexdigest()[:12]}"
        command, environment, patterns, own_files = content
        body: dict[str, Any] = {"id": task_id, "commandLine": command}
        if files := [*self._files, *own_files]:
            body["resourceFiles"] = files
        body["outputFiles"] = self._output_files(task_id, patterns)
        if environment:
            body["environmentSettings"] = [{"name": n, "value": v} for n, v in environment]
        body.update(self._fixed)
        return PlannedTask(index=index, id=task_id, body=orjson.dumps(body))

    def _content(
        self, values: Mapping[str, Scalar]
    ) -> tuple[str, list[tuple[str, str]], list[tuple[str, str]], list[dict[str, Any]]]:
        """What the task does: command line, environment, outputs, its own files."""
        checked = self._checked
        own = [
            self._resource(file, checked.stack.inputs_container)
            for file in own_files(checked.workload, checked.rows, checked.inputs, values)
        ]
        return (
            self._command_line(values),
            [(name, template.render(values)) for name, template in self._environment],
            [(template.render(values), when) for template, when in self._outputs],
            own,
        )

    def _command_line(self, values: Mapping[str, Scalar]) -> str:
        if self._script is not None:
            script = self._script.render(values, quote=shlex.quote)
            return shlex.join(["/bin/sh", "-ec", script])
        arguments = [template.render(values) for template in self._command]
        return subprocess.list2cmdline(arguments) if self._windows else shlex.join(arguments)

    def _resource(self, file: NodeFile, container: str) -> dict[str, Any]:
        contents = self._job._contents.get(file.local)  # noqa: SLF001 - the maker is the plan's own half
        name = blob_name(_UNBUILT if contents is None else contents.sha256)
        return {
            "httpUrl": f"{self._checked.stack.blob_endpoint}/{container}/{name}",
            "filePath": file.node_path,
            "fileMode": "0755" if file.executable else "0644",
            "identityReference": {"resourceId": self._checked.pool.identity_id},
        }

    def _output_files(self, task_id: str, patterns: list[tuple[str, str]]) -> list[dict[str, Any]]:
        stack = self._checked.stack
        folder = f"{self._job.job_id}/{task_id}"
        logs = [
            self._output(f"../{name}", stack.logs_container, f"{folder}/{name}", "always")
            for name in ("stdout.txt", "stderr.txt")
        ]
        return logs + [
            self._output(
                pattern,
                stack.outputs_container,
                _destination(folder, pattern),
                when,
            )
            for pattern, when in patterns
        ]

    def _output(self, pattern: str, container: str, path: str, when: str) -> dict[str, Any]:
        return {
            "filePattern": pattern,
            "destination": {
                "container": {
                    "containerUrl": f"{self._checked.stack.blob_endpoint}/{container}",
                    "path": path,
                    "identityReference": self._identity,
                }
            },
            "uploadOptions": {"uploadCondition": _CONDITIONS[when]},
        }


def _destination(folder: str, pattern: str) -> str:
    """Where what a pattern matches goes, so that it keeps its path in the task's directory.

    Without a wildcard the service takes it for the blob's name; with one, for the
    directory to which it appends the path from the first part with a wildcard on.
    """
    fixed: list[str] = []
    for part in PurePosixPath(pattern).parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return "/".join([folder, *fixed])


def _metadata(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _digest(checked: Checked, contents: Mapping[Path, Contents]) -> str:
    """Over everything that decides on the tasks, as canonical JSON."""
    directory = checked.workload.directory
    spec = checked.workload.spec.model_dump(mode="json", exclude={"merge", "check", "description"})
    tables = [directory / f.csv for f in checked.workload.spec.tasks if f.csv is not None]
    facts = {
        "workload": spec,
        "pool": [checked.pool.id, checked.pool.os],
        "blobs": checked.stack.blob_endpoint,
        "files": sorted(
            [file.node_path, contents[file.local].sha256 if file.local in contents else _UNBUILT]
            for file in (*checked.program, *checked.input_files)
        ),
        "tables": [hashlib.sha256(table.read_bytes()).hexdigest() for table in tables],
        "matched": [str(path.relative_to(directory)) for path in checked.rows.file_paths],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
