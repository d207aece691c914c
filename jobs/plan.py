"""From a workload and a stack to the job as it will be sent. Pure: no network, no clock.

Two steps, because a build stands between them: `jobs.checking` finds everything that is
wrong before anything is made; `plan` knows what is in the files and generates the tasks
(`jobs.task_bodies`), stage after stage, each already serialised as the service takes it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from jobs.advice import SHELL, Advice
from jobs.checking import Checked, CheckedStage
from jobs.contents import Contents
from jobs.durations import iso_duration
from jobs.errors import InputError
from jobs.exits import acts_on_job
from jobs.job_ids import folder_of
from jobs.pool_fit import pool_warnings
from jobs.selection import positions_of
from jobs.spec import INHERITED, OWN
from jobs.stages import (
    StageView,
    shown_position,
    stage_names,
    stage_number,
    task_numbers,
    written_stages,
)
from jobs.task_bodies import MAX_BYTES, Places, PlannedTask, Ran, TaskMaker, node_task, too_large
from jobs.templates import parse_template

META_WORKLOAD = "jobs.workload"
META_PLAN = "jobs.plan"
META_TASKS = "jobs.tasks"
META_STAGES = "jobs.stages"
META_SUBMISSION = "jobs.submission"
META_TAG = "jobs.tag."
"""Before the name of a tag."""
SUBMITTING = "unfinished"
SUBMITTED = "complete"

ROW_PARTS = ("tasks", "rows of its tasks")
"""Parts of a plan, of each stage, that decide on the values of its tasks."""

FILE_PART = "file "
"""Before a file's path on the node, in the name of its part."""

_UNBUILT = "not built"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """A job as it is sent.

    Attributes:
        checked: What it is made from.
        job_id: Its id.
        body: The job itself; it closes when `complete_body` is applied.
        complete_body: Applied when every task is in.
        only: Positions of the tasks that are sent, as `jobs.selection` writes them; all if None.
        parts: Digests of everything that decides on the tasks, by what it is.
        digest: Of all parts; two plans with the same digest have the same tasks.
        unbuilt: Whether the program is not built yet, so that ids are provisional.
    """

    checked: Checked
    job_id: str
    body: dict[str, Any]
    complete_body: dict[str, Any]
    parts: Mapping[str, str]
    digest: str
    unbuilt: bool
    only: str | None = None
    _contents: Mapping[Path, Contents]
    _ran: Ran

    @property
    def count(self) -> int:
        """How many tasks."""
        return int(self.body_metadata[META_TASKS])

    @property
    def body_metadata(self) -> dict[str, str]:
        """The job's metadata by name."""
        return {item["name"]: item["value"] for item in self.body["metadata"]}

    @property
    def warnings(self) -> tuple[Advice, ...]:
        """What will work, and perhaps not as it is meant, of the tasks that are sent."""
        if self.only is None:
            return self.checked.warnings
        counts = [(stage.view, self.count_of(stage)) for stage in self.checked.stages]
        fit = pool_warnings([one for one in counts if one[1]], self.checked.pool)
        return (*(one for one in self.checked.warnings if one.code == SHELL), *fit)

    def count_of(self, stage: CheckedStage) -> int:
        """How many tasks of a stage are sent."""
        if self.only is None:
            return stage.rows.count
        number = stage_number(stage.view.task_number(0))
        return sum(stage_number(one) == number for one in positions_of(self.only))

    def stages(self) -> Iterator[Iterator[PlannedTask]]:
        """The tasks, stage by stage, each after those that it waits for; anew at each call.

        Raises:
            WorkloadError: While a stage is walked; a row's values do not fit a
                placeholder's format, or a generator gives others than before.
        """
        places = Places(checked=self.checked, contents=self._contents)
        only = None if self.only is None else positions_of(self.only)
        for stage in self.checked.stages:
            maker = TaskMaker(
                places,
                stage,
                job_id=folder_of(self.job_id),
                only=only,
                ran=[(folder_of(job_id), numbers) for job_id, numbers in self._ran],
            )
            yield maker.tasks()

    def tasks(self) -> Iterator[PlannedTask]:
        """All tasks, in the order of their stages."""
        return chain.from_iterable(self.stages())


def plan(
    checked: Checked,
    contents: Mapping[Path, Contents],
    *,
    job_id: str,
    only: str | None = None,
    ran: Ran = (),
) -> JobPlan:
    """The job, or a job of `only` some of its tasks, by position.

    Args:
        checked: The workload and its stack.
        contents: Every local file; a program not built yet may be left out.
        job_id: The job's id.
        only: Numbers of the tasks that run again.
        ran: Then, the jobs before and the numbers of the tasks that each ran, so that
            tasks find the outputs of those that do not run again.

    Raises:
        InputError: `only` names positions that the job does not have, an address names no
            file, or a task is more than the service takes.
    """
    spec = checked.workload.spec
    unbuilt = any(file.local not in contents for file in checked.program)
    parts = _parts(checked, contents)
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    count = checked.count
    counts = checked.stage_counts
    if only is not None:
        digest = hashlib.sha256(f"{digest} {only}".encode()).hexdigest()
        chosen = positions_of(only)
        lost = chosen - set(task_numbers(counts, count))
        if lost:
            name = shown_position(min(lost), stage_names(counts))
            raise InputError(
                f"task {name} cannot be run again: the workload has {count} tasks now"
            )
        count = len(chosen)
        names = stage_names(counts)
        again = Counter(names.get(stage_number(number), "") for number in chosen)
        counts = {name: again[name] for name in counts}
    metadata = {META_WORKLOAD: spec.name, META_PLAN: digest, META_TASKS: str(count)}
    if counts:
        metadata[META_STAGES] = written_stages(counts)
    for name, text in spec.tags.items():
        metadata[f"{META_TAG}{name}"] = parse_template(text).render(spec.variables)
    job = JobPlan(
        checked=checked,
        job_id=job_id,
        body={
            "id": job_id,
            "priority": spec.priority,
            "poolInfo": {"poolId": checked.pool.id},
            "onAllTasksComplete": "noaction",
            **_job_members(checked, contents),
            "metadata": _metadata(metadata | {META_SUBMISSION: SUBMITTING}),
        },
        complete_body={
            "onAllTasksComplete": "terminatejob",
            "metadata": _metadata(metadata | {META_SUBMISSION: SUBMITTED}),
        },
        parts=parts,
        digest=digest,
        unbuilt=unbuilt,
        only=only,
        _contents=contents,
        _ran=ran,
    )
    for stage in job.stages():
        first = next(stage, None)
        if first is not None and len(first.body) > MAX_BYTES:
            raise too_large(first)
    return job


def tags_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags among a job's metadata, by name."""
    return {
        name.removeprefix(META_TAG): text
        for name, text in metadata.items()
        if name.startswith(META_TAG)
    }


def changed_parts(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs between two plans, in words: `file solve changed`, `command is new`."""
    return [f"{name} {what}" for name, what in differing_parts(before, now)]


def differing_parts(
    before: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Parts that differ between two plans, each with `changed`, `is new` or `is gone`."""
    for name in dict.fromkeys((*before, *now)):
        if before.get(name) == now.get(name):
            continue
        yield name, "changed" if name in before and name in now else (
            "is new" if name in now else "is gone"
        )  # fmt: skip


def _job_members(checked: Checked, contents: Mapping[Path, Contents]) -> dict[str, Any]:
    """Members of the job that only some workloads need."""
    spec = checked.workload.spec
    members: dict[str, Any] = {}
    if any(stage.dependencies for stage in checked.stages):
        members["usesTaskDependencies"] = True
    if acts_on_job(stage.view.spec.on_failure for stage in checked.stages):
        members["onTaskFailure"] = "performexitoptionsjobaction"
    places = Places(checked=checked, contents=contents)
    try:
        if spec.preparation is not None:
            constraints: dict[str, Any] = {"maxTaskRetryCount": spec.preparation.retries}
            if spec.preparation.wall_clock is not None:
                constraints["maxWallClockTime"] = iso_duration(spec.preparation.wall_clock)
            members["jobPreparationTask"] = {
                **node_task(places, spec.preparation, checked.preparation),
                "constraints": constraints,
                "waitForSuccess": spec.preparation.wait,
            }
        if spec.release is not None:
            release = node_task(places, spec.release, checked.release)
            if spec.release.wall_clock is not None:
                release["maxWallClockTime"] = iso_duration(spec.release.wall_clock)
            members["jobReleaseTask"] = release
    except ValueError as error:
        raise InputError(str(error)) from error
    return members


def _metadata(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def row_parts(checked: Checked) -> dict[str, str]:
    """Of the parts of a plan those that decide on how many tasks there are, and their values."""
    return {
        name: digest
        for name, digest in _parts(checked, {}).items()
        if name == "variables"
        or (name.rpartition(".")[2] in ROW_PARTS and not name.startswith(FILE_PART))
    }


def output_parts(stages: Sequence[StageView]) -> dict[str, str]:
    """Of the parts of a plan those that say what tasks leave, one for each of these stages."""
    return {
        f"{stage.name}.outputs" if stage.name else "outputs": _hashed(
            stage.spec.model_dump(mode="json", by_alias=True, include={"outputs"})["outputs"]
        )
        for stage in stages
    }


def _parts(checked: Checked, contents: Mapping[Path, Contents]) -> dict[str, str]:
    """A digest of each thing that decides on the tasks, by what a person calls it."""
    spec = checked.workload.spec
    dumped = spec.model_dump(
        mode="json",
        by_alias=True,
        exclude={"merge", "check", "description", "name", "schedule", "stages", "tags"},
    )
    if spec.stages:
        dumped = {k: v for k, v in dumped.items() if k not in (*OWN, *INHERITED)}
    parts = {key: _hashed(value) for key, value in dumped.items()}
    parts["pool"] = _hashed([checked.pool.id, checked.pool.os])
    parts["storage"] = _hashed(checked.stack.blob_endpoint)
    for stage in checked.stages:
        where = f"{stage.view.name}." if stage.view.name else ""
        if where:
            own = stage.view.spec.model_dump(mode="json", by_alias=True)
            parts |= {f"{where}{key}": _hashed(value) for key, value in own.items()}
        if stage.rows.facts:
            parts[f"{where}{ROW_PARTS[1]}"] = _hashed(stage.rows.facts)
    for file in (*checked.program, *checked.input_files):
        known = contents.get(file.local)
        parts[f"{FILE_PART}{file.node_path}"] = _UNBUILT if known is None else known.sha256
    return parts


def _hashed(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
