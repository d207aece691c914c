"""From a workload file to a checked answer: the steps of `run`, in order.

Each step is a module; here they are only put one after the other, and each says on
stderr what it did. The other verbs (`jobs.cli`) do parts of the same.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from jobs.answer import answer, answer_steps
from jobs.build import build_program
from jobs.checking import Checked, check
from jobs.collect import Collected, collect
from jobs.consent import NEVER_ASKED, Consent, agree
from jobs.contents import Contents
from jobs.errors import (
    EXIT_OK,
    InputError,
    InterruptError,
    ServiceError,
    TaskFailureError,
    UnavailableError,
    shown,
)
from jobs.finishing import (
    NOTHING_ASKED,
    Finishing,
    LimitReachedError,
    end_job,
    ended_on_interrupt,
    limited,
    tell,
)
from jobs.loading import LoadedWorkload, load_workload
from jobs.plan import JobPlan, plan
from jobs.progress import Progress
from jobs.report import Report, failure_lines, last_lines, make_report, report_table
from jobs.rerun import all_ends, earlier_jobs, set_aside
from jobs.results import (
    Attempt,
    Manifest,
    ResultTree,
    require_writable,
    tree_of,
    write_json,
)
from jobs.selection import positions_of
from jobs.session import Session, Target, content_cache
from jobs.stage import Staged, contents_of, stage
from jobs.submit import Submitted, submit
from jobs.terminal import Terminal, counted, size_text
from jobs.watch import Look, Watcher, watch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a user asked of a run.

    Attributes:
        workload: The workload file.
        target: The stack.
        overrides: `NAME=VALUE` texts.
        out: Where result trees are.
        job_id: The job's id; made up if None.
        detach: Whether to leave once everything is submitted.
        timeout_s: How long to wait for the tasks.
        resume: Whether the job may exist already.
        finishing: What is to happen while the job is watched, and at its end.
        consent: Whether a person is asked before much may be spent.
        again: The result tree whose tasks are run again, or None.
        only: Their positions, as `jobs.selection` writes them.
    """

    workload: Path
    target: Target
    overrides: tuple[str, ...]
    out: Path
    job_id: str | None = None
    detach: bool = False
    timeout_s: float | None = None
    resume: bool = False
    finishing: Finishing = NOTHING_ASKED
    consent: Consent = NEVER_ASKED
    again: ResultTree | None = None
    only: str | None = None


def run_workload(options: RunOptions, terminal: Terminal) -> int:
    """Does it all; the exit code.

    Raises:
        JobsError: Each with its exit code.
    """
    with _interruptible("nothing was submitted"):
        checked = checked_workload(options)
        require_writable(options.out)
        agree(checked, options.consent, terminal)
        session = Session(stack=checked.stack)
        session.check_pool(checked.pool)
        job = prepare(checked, session, options, terminal)
    tree = options.again or tree_of(job.job_id, options.out)
    if options.resume:
        _require_same(job, tree)
    submitted = send(job, session, tree, options, terminal)
    if options.detach:
        terminal.show(job.job_id)
        terminal.result(
            {
                "version": 1,
                "job_id": job.job_id,
                "tasks": job.count,
                "added": submitted.added,
                "results": str(tree.root),
            }
        )
        if options.finishing != NOTHING_ASKED:
            terminal.note(
                "--max-fails, --cancel-on-interrupt, --on-finish and --notify need somebody who "
                "watches: give them to wait"
            )
        terminal.note(f"watch it: {_verb('wait', tree.root.name, options)}")
        return EXIT_OK
    return finish(checked, session, tree, options, terminal, job_id=job.job_id)


def _require_same(job: JobPlan, tree: ResultTree) -> None:
    """Refuses to finish a submission with other tasks than it was begun with.

    Raises:
        InputError: The plan is not the one that was submitted.
    """
    manifest = tree.read_manifest()
    if not manifest.attempts and manifest.plan != job.digest:
        raise InputError(
            f"job {manifest.job_id} was made from another workload: the file, one that it names "
            "or the stack has changed since, and its tasks would not be the same. Submit it "
            f"anew: python -m jobs.run {shlex.quote(manifest.workload)}"
        )


def checked_workload(options: RunOptions) -> Checked:
    """Reads the workload and the stack, and fits one to the other.

    Raises:
        InputError: With every finding.
    """
    workload = load_workload(options.workload, options.overrides)
    return check(workload, options.target.load())


def prepare(
    checked: Checked, session: Session, options: RunOptions, terminal: Terminal
) -> JobPlan:
    """Builds and stages what the job needs, and plans it."""
    with content_cache() as cache:
        built = build_program(checked.workload, cache)
        if built is not None:
            what = "built" if built.ran else "up to date"
            terminal.note(f"program: {shown(built.output)} {what}")
        contents = contents_of(checked, cache)
    job = plan(
        checked,
        contents,
        job_id=options.job_id or new_job_id(checked.workload),
        only=options.only,
    )
    staged = stage_files(checked, contents, session)
    if staged.files:
        terminal.note(
            f"staged: {counted(staged.files, 'file')}, {staged.sent} sent "
            f"({size_text(staged.bytes_sent)})"
        )
    return job


def stage_files(
    checked: Checked,
    contents: Mapping[Path, Contents],
    session: Session,
    *,
    programs: bool = True,
    inputs: bool = True,
) -> Staged:
    """Sends programs, inputs or both to their containers."""
    stack = checked.stack
    staged = Staged(files=0, sent=0, bytes_sent=0)
    if programs and checked.program:
        staged += stage(checked.program, contents, session.container(stack.programs_container))
    if inputs and checked.input_files:
        staged += stage(checked.input_files, contents, session.container(stack.inputs_container))
    return staged


def send(
    job: JobPlan, session: Session, tree: ResultTree, options: RunOptions, terminal: Terminal
) -> Submitted:
    """Submits, with a manifest written before the first request, so that it can be resumed."""
    before = _note_submission(job, tree, options)
    again = f"finish the submission: {_verb('resume', tree.root.name, options)}"
    try:
        with _interruptible(f"job {job.job_id} is partly submitted; {again}"):
            submitted = submit(job, session.service, resume=options.resume)
    except UnavailableError as error:
        error.args = (f"{error}\njob {job.job_id} may be partly submitted; {again}",)
        raise
    except (ServiceError, InputError):
        if before is not None:
            tree.write_manifest(before)
        raise
    there = f" ({submitted.present:,} were there)" if submitted.present else ""
    terminal.note(f"submitted: job {job.job_id}, {counted(submitted.added, 'task')}{there}")
    return submitted


def _note_submission(job: JobPlan, tree: ResultTree, options: RunOptions) -> Manifest | None:
    """Writes what is about to be submitted; the manifest before, of tasks that run again."""
    target = options.target
    created = datetime.now(UTC).isoformat(timespec="seconds")
    if job.only is None:
        tree.write_manifest(
            Manifest(
                job_id=job.job_id,
                workload=str(job.checked.workload.path.absolute()),
                stack=target.stack,
                outputs=None if target.outputs is None else str(target.outputs.absolute()),
                plan=job.digest,
                tasks=job.count,
                created=created,
                overrides=options.overrides,
            )
        )
        return None
    before = tree.read_manifest()
    if before.current == job.job_id:
        return None
    set_aside(tree, len(before.job_ids), positions_of(job.only))
    attempt = Attempt(job_id=job.job_id, tasks=job.only, created=created)
    tree.write_manifest(replace(before, attempts=(*before.attempts, attempt)))
    return before


def finish(
    checked: Checked,
    session: Session,
    tree: ResultTree,
    options: RunOptions,
    terminal: Terminal,
    *,
    job_id: str,
) -> int:
    """Waits, collects, merges, checks and reports."""
    come_back = (
        f"job {job_id} goes on.\n  watch it again: {_verb('wait', tree.root.name, options)}\n"
        f"  cancel it: {_verb('cancel', tree.root.name, options)}"
    )
    manifest = tree.read_manifest()
    asked = options.finishing
    limit: LimitReachedError | None = None
    with _interruptible(come_back):
        watcher = Watcher(service=session.service, job_id=job_id)
        with ended_on_interrupt(session.service, job_id, asked):
            try:
                look = follow(watcher, session, terminal, options.timeout_s, asked)
            except LimitReachedError as error:
                limit = error
                terminal.note(str(error))
                end_job(session.service, job_id, "MaxFails")
                look = follow(watcher, session, terminal, options.timeout_s, NOTHING_ASKED)
        collected = bring_home(manifest, session, tree)
        note_collected(collected, tree, terminal)
        report = report_on(watcher, look, checked, tree)
        failure: TaskFailureError | None = None
        if report.failed or report.unfinished:
            failure = failed_tasks(report, tree, options, limit)
        else:
            try:
                answer(checked.workload, tree, manifest.job_id, results_to_stderr=terminal.json)
            except TaskFailureError as error:
                failure = error
    for problem in tell(asked, report, tree, succeeded=failure is None):
        terminal.error(problem)
    if answer_steps(checked.workload.spec):
        terminal.show("")
    terminal.show(report_table(report))
    terminal.result(
        {
            "version": 1,
            "job_id": job_id,
            "exit_code": EXIT_OK if failure is None else failure.exit_code,
            "results": str(tree.root),
            "report": report.as_json(),
            "refused": list(collected.refused),
        }
    )
    if failure is not None:
        raise failure
    terminal.show("OK")
    return EXIT_OK


def follow(
    watcher: Watcher,
    session: Session,
    terminal: Terminal,
    timeout_s: float | None,
    asked: Finishing,
) -> Look:
    """Watches with the progress display, within the limits that were asked for."""
    where = session.stack.stack
    with Progress(terminal.err, watcher.job_id, where, quiet=terminal.quiet) as progress:
        return watch(watcher, limited(progress.show, asked), timeout_s=timeout_s)


def bring_home(manifest: Manifest, session: Session, tree: ResultTree) -> Collected:
    """Downloads what the job has left so far: of each task, its latest attempt."""
    stack = session.stack
    total = Collected(files=0, fetched=0, bytes_fetched=0, refused=())
    for job_id, skip in (*earlier_jobs(manifest), (manifest.current, frozenset[int]())):
        total += collect(
            job_id,
            tree,
            outputs=session.container(stack.outputs_container),
            logs=session.container(stack.logs_container),
            skip=skip,
        )
    return total


def note_collected(collected: Collected, tree: ResultTree, terminal: Terminal) -> None:
    """Says what was collected, and what was not."""
    terminal.note(
        f"collected: {counted(collected.files, 'file')}, {collected.fetched} new "
        f"({size_text(collected.bytes_fetched)}) in {shown(tree.root)}"
    )
    for refused in collected.refused:
        terminal.note(f"not written: {refused}")


def report_on(watcher: Watcher, look: Look, checked: Checked, tree: ResultTree) -> Report:
    """Computes and keeps the report, over all attempts."""
    manifest = tree.read_manifest()
    ends = all_ends(manifest, list(watcher.ends.values()), watcher.service)
    report = make_report(
        job_id=manifest.job_id,
        pool_name=checked.workload.spec.pool,
        pool=checked.pool,
        total=manifest.tasks if manifest.attempts else look.total,
        ends=ends.latest,
        last_lines=last_lines(tree, ends.latest),
        earlier=ends.earlier,
    )
    write_json(tree.report_file, report.as_json())
    return report


def failed_tasks(
    report: Report,
    tree: ResultTree,
    options: RunOptions,
    limit: LimitReachedError | None = None,
) -> TaskFailureError:
    """The error of a job with failed tasks, digested; `limit` is what ended the job."""
    bad = report.failed or report.unfinished
    first = [] if limit is None else [str(limit)]
    lines = [
        *first,
        f"{bad} of {counted(report.tasks, 'task')} failed:",
        *failure_lines(report.failures),
    ]
    if report.failures:
        log = tree.logs / report.failures[0].example / "stderr.txt"
        if log.exists():
            lines.append(f"its log: {shown(log)}")
    if answer_steps(load_workload(options.workload, options.overrides).spec):
        lines.append("merge and check were not run")
    lines.append(f"run them again: {_verb('rerun', tree.root.name, options)}")
    return TaskFailureError("\n  ".join(lines))


def new_job_id(workload: LoadedWorkload) -> str:
    """An id that no other job has: name, UTC time, chance."""
    return f"{workload.spec.name}-{datetime.now(UTC):%y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _verb(verb: str, job_id: str, options: RunOptions) -> str:
    """A command line that goes on with a job."""
    out = "" if options.out == Path("results") else f" --out {shlex.quote(str(options.out))}"
    return f"python -m jobs {verb} {job_id}{out}"


@contextmanager
def _interruptible(consequence: str) -> Iterator[None]:
    """Turns Ctrl-C into an error that says what goes on."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptError(f"interrupted: {consequence}") from error
