"""Makes a job's report and puts it into files: JSON, a row a task, and a page.

Every report of a result tree is kept there in all three forms, so that the page's link to
the table of all tasks works wherever the directory is copied to.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jobs.checking import Checked
from jobs.command_lines import written_command
from jobs.coordination import instances
from jobs.durations import parse_seconds
from jobs.errors import InputError, NotFoundError, ServiceError
from jobs.following import go_on
from jobs.history import History
from jobs.loading import LoadedWorkload
from jobs.looks import Look, TaskEnd, moment_of
from jobs.managed import MANAGER_ID
from jobs.prices import shares
from jobs.reasons import same_rows
from jobs.report import UNNAMED, Report, last_lines, make_report
from jobs.reportpage import Facts, render, write_page
from jobs.rerun import Ends, all_ends
from jobs.results import Manifest, ResultTree, write_json
from jobs.service import API_VERSION, BatchService, segment
from jobs.session import Session
from jobs.stack import Pool, Stack
from jobs.stages import stage_names
from jobs.stale import NOTHING_STALE, Stale, stale_of
from jobs.task_names import TaskNames
from jobs.task_table import TaskRows, write_csv
from jobs.watch import Watcher

_COMMANDS = 3
_MOST_LOCATED = 1000
_REPEAT = "repeat"
_NO_LIMIT = 10_000_000 * 86_400
"""The service says the longest time that it can count where there is no limit."""
KINDS = (".html", ".csv", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where a job ran, and what.

    Attributes:
        stack: Its stack.
        pool_name: Logical name of its pool.
        pool: The pool.
        command: What its tasks run, as the file has it; empty where that is not known.
    """

    stack: Stack
    pool_name: str
    pool: Pool
    command: str = ""

    @classmethod
    def of(cls, job_id: str, session: Session, checked: Checked | None) -> Ground:
        """Of a job that was submitted.

        The pool is the one that the job is in: its workload may name another one by now.

        Args:
            job_id: The job.
            session: The services of its stack.
            checked: Its workload as it is now; None where it no longer fits.

        Raises:
            ServiceError: There is no such job, or the service refuses.
            InputError: The stack has no pool of that id any more.
        """
        stack = session.stack
        job = session.service.get(f"/jobs/{segment(job_id)}", f"reading job {job_id}")
        pool_id = job.get("poolInfo", {}).get("poolId", "")
        for name, pool in stack.pools.items():
            if pool.id == pool_id:
                command = "" if checked is None else _command(checked.workload)
                return cls(stack=stack, pool_name=name, pool=pool, command=command)
        raise InputError(f"stack {stack.stack} has no pool {pool_id!r} any more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A report with what it was made from.

    Attributes:
        report: The figures.
        ends: How tasks ended.
        reasons: Why failed ones did, by task.
        ground: Where it ran, and what.
        tree: Its results.
        names: What people call the tasks.
        stale: Tasks whose answer is of outputs that were replaced since.
        answer: What merge and check printed, where a program waited for them (`Job.finish`).
    """

    report: Report
    ends: Ends
    reasons: Mapping[str, str]
    ground: Ground
    tree: ResultTree
    names: TaskNames = UNNAMED
    stale: Stale = NOTHING_STALE
    answer: str = ""

    def page(self, *, csv: str = "", limit: float | None = None) -> str:
        """The report as HTML; `csv` is the address of the table of all tasks, if there is one."""
        history = History.read(self.tree)
        facts = Facts(
            facts=tuple(_facts(self.tree.read_manifest(), self.ground)),
            csv=csv,
            history=tuple(history.samples),
            gap_s=history.gap_s,
            limit=limit,
            stale=self.stale,
            mend=go_on("rerun", self.tree),
        )
        return render(self.report, self.ends, self.ground.pool, self.reasons, facts, self.names)

    def rows(self) -> TaskRows:
        """A row a task; iterating gives tuples of texts, named by `jobs.task_table.COLUMNS`."""
        ran = [end for end in (*self.ends.latest, *self.ends.earlier) if end.started is not None]
        return TaskRows(
            ends=self.ends,
            reasons=self.reasons,
            rates=shares(ran, self.ground.pool, self.report.used),
            names=self.names,
            stale=self.stale,
        )


def report_on(
    watcher: Watcher,
    look: Look,
    ground: Ground,
    names: TaskNames,
    tree: ResultTree,
    *,
    limit: float | None = None,
) -> Reported:
    """Computes the report over all attempts, and keeps it in the result tree.

    Raises:
        ServiceError: An earlier attempt's job is gone, or the service refuses.
        InputError: The result tree cannot be written.
    """
    manifest = tree.read_manifest()
    ends = all_ends(manifest, list(_located(watcher)), watcher.service)
    reasons = last_lines(tree, ends.latest)
    stale = stale_of(manifest)
    report = make_report(
        job_id=manifest.job_id,
        pool_name=ground.pool_name,
        pool=ground.pool,
        total=manifest.tasks if manifest.attempts else look.total,
        ends=ends.latest,
        last_lines=reasons,
        earlier=ends.earlier,
        names=names,
        watched=History.read(tree).cost,
        allowed=_allowed(watcher.service, manifest),
        stale=stale,
        lived_s=0.0 if watcher.ends else _lived_s(watcher, look),
    )
    commands = _commands(report, watcher.service, manifest)
    report = replace(
        report,
        failures=tuple(
            replace(group, command=commands.get(group.example, "")) for group in report.failures
        ),
        tags=manifest.tags,
        over=look.over and look.job_over,
    )
    made = Reported(
        report=report,
        ends=ends,
        reasons=reasons,
        ground=ground,
        tree=tree,
        names=names,
        stale=stale,
    )
    write_json(tree.report_file, report.as_json())
    write_csv(tree.tasks_file, made.rows())
    write_page(tree.page_file, made.page(csv=tree.tasks_file.name, limit=limit))
    return made


def _lived_s(watcher: Watcher, look: Look) -> float:
    """Seconds from a job's creation to its end; until the look at it, where it has none yet."""
    job_id = watcher.job_id
    query = {"$select": "id,creationTime,executionInfo"}
    job = watcher.service.get(f"/jobs/{segment(job_id)}", f"reading job {job_id}", **query)
    ended = (job.get("executionInfo") or {}).get("endTime")
    until = moment_of(ended).timestamp() if ended else look.at
    return max(0.0, until - moment_of(job["creationTime"]).timestamp())


def _located(watcher: Watcher) -> Iterator[TaskEnd]:
    """How the tasks of the current job ended, with all nodes of those that took several.

    The service is asked for each of these, of which a job seldom has many; not beyond
    `_MOST_LOCATED`, nor for one that is gone: then it is known how many nodes it took, not which.
    """
    left = _MOST_LOCATED
    for end in watcher.ends.values():
        beside: tuple[str, ...] = ()
        if end.instances > 1 and end.node_id and left:
            left -= 1
            with contextlib.suppress(ServiceError):
                nodes = instances(watcher.service, watcher.job_id, {"id": end.id})
                beside = tuple(node.node_id for node in nodes)
        yield replace(end, beside=beside) if beside else end


def _allowed(service: BatchService, manifest: Manifest) -> dict[str, float]:
    """Seconds that a task may run, by stage. A stage's tasks have the same: one is asked for."""
    starts = {str(number): name for number, name in stage_names(manifest.stages).items()}
    allowed: dict[str, float] = {}
    path = f"/jobs/{segment(manifest.job_id)}/tasks"
    for start, name in (starts or {"": ""}).items():
        query = {"$select": "id,constraints", "maxresults": "2"}
        if start:
            query["$filter"] = f"startswith(id,'{start}')"
        page = service.get(path, f"reading tasks of {manifest.job_id}", **query)
        for task in page.get("value", ()):
            limit = (task.get("constraints") or {}).get("maxWallClockTime")
            if (
                task["id"] != MANAGER_ID
                and limit
                and (seconds := parse_seconds(limit)) < _NO_LIMIT
            ):
                allowed[name] = seconds
    return allowed


def _commands(report: Report, service: BatchService, manifest: Manifest) -> dict[str, str]:
    """The commands of the examples of the most frequent kinds of failure, by task."""
    found: dict[str, str] = {}
    for group in report.failures[:_COMMANDS]:
        for job_id in reversed(manifest.job_ids):
            path = f"/jobs/{segment(job_id)}/tasks/{segment(group.example)}"
            try:
                task = service.get(
                    path, f"reading task {group.example}", **{"$select": "id,commandLine"}
                )
            except NotFoundError:
                continue  # it ran in an earlier attempt's job, or that is gone
            found[group.example] = written_command(task["commandLine"])
            break
    return found


def names_of(tree: ResultTree, checked: Checked | None) -> TaskNames:
    """What people call the tasks of a result tree.

    With their parameters, unless there is no workload or what makes its tasks has changed since.
    """
    counts = tree.read_manifest().stages
    if checked is None or not same_rows(tree, checked):
        return TaskNames(counts=counts)
    rows = {
        stage.view.name: stage.rows
        for stage in checked.stages
        if stage.rows.names != (_REPEAT,)  # alone it is the position again
    }
    return TaskNames(counts=counts, rows=rows)


def checked_report_file(path: Path | None, option: str = "--report") -> Path | None:
    """The file of a report, whose ending says what it is to hold.

    Args:
        path: The file; None: there is none.
        option: What it is called where it was given.

    Raises:
        InputError: It is none of the kinds of report.
    """
    if path is not None and path.suffix.lower() not in KINDS:
        raise InputError(
            f"{option} {path}: its ending says what it holds: .html (a page), .csv (a row a "
            "task) or .json"
        )
    return path


def write_report(made: Reported, path: Path) -> None:
    """Writes a report to a file of any of `KINDS`.

    Raises:
        InputError: The file cannot be written.
    """
    match path.suffix.lower():
        case ".csv":
            write_csv(path, made.rows())
        case ".json":
            write_json(path, made.report.as_json())
        case _:
            write_page(path, made.page(csv=link_to(made.tree.tasks_file, path)))


def link_to(table: Path, page: Path) -> str:
    """A table's address relative to the page's, or empty where it is not there."""
    if not table.is_file():
        return ""
    try:
        return quote(Path(os.path.relpath(table.absolute(), page.absolute().parent)).as_posix())
    except ValueError:
        return ""


def _facts(manifest: Manifest, ground: Ground) -> Iterator[tuple[str, str]]:
    """What was run, as far as the result tree and the workload say."""
    stack = ground.stack
    if ground.command:
        yield "command", ground.command
    yield "workload", manifest.workload
    if manifest.tags:
        yield "tags", " ".join(f"{name}={text}" for name, text in manifest.tags.items())
    if manifest.overrides:
        yield "set", " ".join(manifest.overrides)
    yield "jobs", " ".join(manifest.job_ids)
    yield "stack", f"{stack.stack} ({stack.location})"
    yield "pool", f"{ground.pool_name}: {ground.pool.vm_size}, id {ground.pool.id}"
    yield "submitted", manifest.created
    yield "input hash", manifest.plan
    packages = []
    for name in ("azure-batch", "obstore"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    yield (
        "versions",
        ", ".join((f"Python {platform.python_version()}", *packages, f"Batch API {API_VERSION}")),
    )


def _command(workload: LoadedWorkload) -> str:
    """What tasks run, as the file has it: of each stage, where it has stages."""
    values = workload.document.values
    stages = values.get("stages")
    if isinstance(stages, dict) and stages:
        return "\n".join(f"{name}: {_written(stage)}" for name, stage in stages.items())
    return _written(values)


def _written(values: Any) -> str:
    if not isinstance(values, dict):
        return ""
    command = values.get("command") or values.get("script") or ""
    if isinstance(command, list):
        return " ".join(str(part) for part in command)
    return str(command).strip()
