"""From a workload file to a checked answer: the steps of `run`, in order.

Each step is a module; here they are only put one after the other, and each says on
stderr what it did. The other verbs (`jobs.cli`) do parts of the same.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from jobs.answer import answer, answer_steps
from jobs.binding import check_binding
from jobs.build import build_programs
from jobs.canary import trial_of, trial_text, try_first
from jobs.checking import Checked, check
from jobs.collect import Collected, collect, incomplete
from jobs.command_lines import COORDINATION
from jobs.consent import NEVER_ASKED, Consent, agree
from jobs.contents import Contents
from jobs.errors import (
    EXIT_OK,
    InputError,
    NotFoundError,
    ServiceError,
    TakenError,
    TaskFailureError,
    UnavailableError,
    shown,
)
from jobs.finishing import (
    NOTHING_ASKED,
    Finishing,
    LimitReachedError,
    ended_on_interrupt,
    require_price,
    tell,
)
from jobs.following import follow_to_end, go_on, interruptible
from jobs.job_ids import chosen_id, schedule_of
from jobs.loading import LoadedWorkload, load_workload
from jobs.meter import Meter
from jobs.node_logs import collect_node_logs
from jobs.plan import JobPlan, plan
from jobs.portal import portal_url
from jobs.program_package import require_published
from jobs.reasons import differing, keep_parts, parts_file
from jobs.report import Report
from jobs.report_text import failure_lines, report_table, stage_table
from jobs.reporting import Ground, names_of, report_on, write_report
from jobs.rerun import earlier_jobs, ran_before, set_aside
from jobs.results import (
    Attempt,
    Manifest,
    ResultTree,
    require_writable,
    tree_of,
)
from jobs.selection import positions_of
from jobs.service import segment
from jobs.session import Session, Target, content_cache
from jobs.stage import Staged, contents_of, stage
from jobs.strictness import LENIENT, Strictness
from jobs.submit import Submitted, submit
from jobs.terminal import Terminal, counted, size_text
from jobs.transfer import counting
from jobs.watch import Watcher


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
        first: So many tasks of a stage are tried before the others are submitted; None: no trial.
        timeout_s: How long to wait for the tasks.
        resume: Whether the job may exist already.
        finishing: What is to happen while the job is watched, and at its end.
        consent: Whether a person is asked before much may be spent.
        strictness: Which warnings are told, and whether they are errors.
        again: The result tree whose tasks are run again, or None.
        only: Their positions, as `jobs.selection` writes them.
    """

    workload: Path
    target: Target
    overrides: tuple[str, ...]
    out: Path
    job_id: str | None = None
    detach: bool = False
    first: int | None = None
    timeout_s: float | None = None
    resume: bool = False
    finishing: Finishing = NOTHING_ASKED
    consent: Consent = NEVER_ASKED
    strictness: Strictness = LENIENT
    again: ResultTree | None = None
    only: str | None = None


def run_workload(options: RunOptions, terminal: Terminal) -> int:
    """Does it all; the exit code.

    Raises:
        JobsError: Each with its exit code.
    """
    with interruptible("nothing was submitted"):
        session, job = prepared(options, terminal)
    checked = job.checked
    tree = options.again or tree_of(job.job_id, options.out)
    if options.resume:
        require_same(job, tree)
    trial = () if options.first is None else trial_of(checked, options.first)
    if trial and sum(trial) < job.count:
        terminal.note(trial_text(checked, trial))
        send(job, session, tree, options, terminal, trial=trial)
        try_first(
            job,
            trial,
            session,
            tree,
            terminal,
            finishing=options.finishing,
            consent=options.consent,
            timeout_s=options.timeout_s,
        )
        options = replace(options, resume=True, first=None)
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
                "portal": portal_url(checked.stack, job.job_id),
            }
        )
        if options.finishing != NOTHING_ASKED:
            terminal.note(
                "--max-fails, --cancel-on-interrupt, --on-finish and --notify need somebody who "
                "watches: give them to wait"
            )
        terminal.note(f"watch it: {go_on('wait', tree)}")
        return EXIT_OK
    return finish(checked, session, tree, options, terminal, job_id=job.job_id)


def prepared(options: RunOptions, terminal: Terminal) -> tuple[Session, JobPlan]:
    """All that comes before the first request that submits anything.

    Raises:
        JobsError: The input is wrong, nobody agrees, or a service refuses.
    """
    checked = checked_workload(options)
    require_writable(options.out)
    agree(checked, options.consent, terminal)
    require_price(options.finishing, checked.pool)
    session = Session(stack=checked.stack)
    session.check_pool(checked.pool)
    check_binding(checked, session.service)
    require_published(checked.packages, checked.stack, session.service)
    return session, prepare(checked, session, options, terminal)


def require_same(job: JobPlan, tree: ResultTree) -> None:
    """Refuses to finish a submission with other tasks than it was begun with.

    Raises:
        InputError: The plan is not the one that was submitted.
    """
    manifest = tree.read_manifest()
    if schedule_of(manifest.current) is not None:
        raise InputError(
            f"job {manifest.current} gets its tasks from its job manager task, which goes on by "
            f"itself; what is missing once it is over: python -m jobs rerun {manifest.current}"
        )
    attempt = manifest.attempts[-1] if manifest.attempts else None
    submitted = manifest.plan if attempt is None else attempt.plan or job.digest
    if submitted != job.digest:
        # Of an attempt the parts were not noted: its file may differ from the first submission's.
        changes = differing(tree, job.parts) if attempt is None else None
        what = ", ".join(changes) if changes else (
            "the file, one that it names or the stack has changed since"
        )  # fmt: skip
        raise InputError(
            f"job {manifest.current} was made from another workload: {what}, and its tasks would "
            "not be the same. Submit it "
            f"anew: python -m jobs.run {shlex.quote(manifest.workload)}"
        )


def checked_workload(options: RunOptions) -> Checked:
    """Reads the workload and the stack, and fits one to the other.

    Raises:
        InputError: With every finding.
    """
    workload = load_workload(options.workload, options.overrides)
    stack = options.target.load()
    return check(workload, stack, list_blobs=Session(stack=stack).list_blobs)


def prepare(
    checked: Checked, session: Session, options: RunOptions, terminal: Terminal
) -> JobPlan:
    """Builds and stages what the job needs, and plans it."""
    with content_cache() as cache:
        for built in build_programs(checked.workload, cache):
            what = "built" if built.ran else "up to date"
            terminal.note(f"program: {shown(built.output)} {what}")
        contents = contents_of(checked, cache)
    job = plan(
        checked,
        contents,
        job_id=options.job_id or new_job_id(checked.workload),
        only=options.only,
        ran=() if options.again is None else ran_before(options.again, options.job_id),
    )
    where = shown(checked.workload.path)
    for warning in options.strictness.heeded(job.warnings, where):
        terminal.note(f"warning: {warning}")
    with counting(terminal, "staged") as progress:
        staged = stage_files(checked, contents, session, progress=progress)
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
    progress: Callable[[int, int], None] | None = None,
) -> Staged:
    """Sends programs, inputs or both to their containers; `progress` gets files and bytes."""
    stack = checked.stack
    staged = Staged(files=0, sent=0, bytes_sent=0)
    if programs and checked.program:
        container = session.container(stack.programs_container)
        staged += stage(checked.program, contents, container, progress=progress)
    if inputs and checked.input_files:
        container = session.container(stack.inputs_container)
        staged += stage(checked.input_files, contents, container, progress=progress)
    return staged


def send(
    job: JobPlan,
    session: Session,
    tree: ResultTree,
    options: RunOptions,
    terminal: Terminal,
    *,
    trial: Sequence[int] | None = None,
) -> Submitted:
    """Submits, with a manifest written before the first request, so that it can be resumed."""
    notes = {path: _content(path) for path in (tree.manifest_file, parts_file(tree))}
    before = _note_submission(job, tree, options)
    again = f"finish the submission: {go_on('resume', tree)}"
    try:
        with interruptible(f"job {job.job_id} is partly submitted; {again}"):
            submitted = submit(job, session.service, resume=options.resume, trial=trial)
    except UnavailableError as error:
        error.args = (f"{error}\njob {job.job_id} may be partly submitted; {again}",)
        raise
    except (ServiceError, InputError) as error:
        if before is not None:
            tree.write_manifest(before)
        elif not options.resume and (isinstance(error, TakenError) or _missing(job, session)):
            _undo(notes)
        raise
    there = f" ({submitted.present:,} were there)" if submitted.present else ""
    terminal.note(f"submitted: job {job.job_id}, {counted(submitted.added, 'task')}{there}")
    if trial is None and (page := portal_url(session.stack, job.job_id)):
        terminal.note(f"portal: {page}")
    return submitted


def _missing(job: JobPlan, session: Session) -> bool:
    """Whether a refused submission made no job, or withdrew it."""
    try:
        found = session.service.get(
            f"/jobs/{segment(job.job_id)}", f"looking for job {job.job_id}"
        )
    except ServiceError as error:
        return isinstance(error, NotFoundError)
    return bool(found["state"] == "deleting")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _undo(notes: Mapping[Path, bytes | None]) -> None:
    """Brings files back to what they were, and removes directories that were made for them."""
    for path, content in notes.items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)
    for directory in {path.parent for path in notes}:
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()


def _note_submission(job: JobPlan, tree: ResultTree, options: RunOptions) -> Manifest | None:
    """Writes what is about to be submitted; the manifest before, of tasks that run again."""
    target = options.target
    created = datetime.now(UTC).isoformat(timespec="seconds")
    if job.only is None:
        keep_parts(tree, job)
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
                stages=dict(job.checked.stage_counts),
            )
        )
        return None
    before = tree.read_manifest()
    if before.current == job.job_id:
        return None
    set_aside(tree, len(before.job_ids), positions_of(job.only))
    attempt = Attempt(job_id=job.job_id, tasks=job.only, created=created, plan=job.digest)
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
        f"job {job_id} goes on.\n  watch it again: {go_on('wait', tree)}\n"
        f"  cancel it: {go_on('cancel', tree)}"
    )
    manifest = tree.read_manifest()
    asked = options.finishing
    with interruptible(come_back):
        ground = Ground.of(job_id, session, checked)
        checked = replace(checked, pool=ground.pool)
        require_price(asked, checked.pool)
        watcher = Watcher(service=session.service, job_id=job_id, meter=Meter(pool=checked.pool))
        with ended_on_interrupt(session.service, job_id, asked):
            look, limit = follow_to_end(watcher, checked, tree, terminal, options.timeout_s, asked)
        with counting(terminal, "collected") as progress:
            collected = bring_home(manifest, session, tree, progress)
        note_collected(collected, tree, terminal)
        names = names_of(tree, checked)
        made = report_on(watcher, look, ground, names, tree, limit=asked.max_cost)
        report = made.report
        if asked.report is not None:
            write_report(made, asked.report)
        failure: TaskFailureError | None = None
        if report.failed or report.unfinished:
            failure = failed_tasks(report, tree, options, limit)
        elif (failure := incomplete(collected)) is None:
            try:
                answer(checked.workload, tree, manifest.job_id, results_to_stderr=terminal.json)
            except TaskFailureError as error:
                failure = error
    for problem in tell(asked, report, tree, succeeded=failure is None):
        terminal.error(problem)
    if answer_steps(checked.workload.spec):
        terminal.show("")
    terminal.show(*(part for part in (report_table(report), stage_table(report)) if part))
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


def bring_home(
    manifest: Manifest,
    session: Session,
    tree: ResultTree,
    progress: Callable[[int, int], None] | None = None,
) -> Collected:
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
            progress=progress,
        )
        total += collect_node_logs(
            job_id, tree, session.service, manifest.stages, skip=skip, progress=progress
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
    if collected.gone:
        terminal.note(
            f"what the coordination command printed on {counted(collected.gone, 'node')} went "
            "with the node before it was collected"
        )


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
        f"{bad} of {counted(report.tasks, 'task')} {_how(report)}",
        *failure_lines(report.failures),
    ]
    if report.failures:
        logs = tree.logs / report.failures[0].example
        log = next((p for p in (logs / "stderr.txt", logs / COORDINATION) if p.exists()), None)
        if log is not None:
            lines.append(f"its log: {shown(log)}")
    if _has_answer(options):
        lines.append("merge and check were not run")
    lines.append(f"run them again: {go_on('rerun', tree)}")
    return TaskFailureError("\n  ".join(lines))


def _has_answer(options: RunOptions) -> bool:
    try:
        return bool(answer_steps(load_workload(options.workload, options.overrides).spec))
    except InputError:
        return False  # the file is another one by now


def _how(report: Report) -> str:
    if not report.failures:
        return "never ran"
    return f"failed, {report.unfinished:,} never ran:" if report.unfinished else "failed:"


def new_job_id(workload: LoadedWorkload) -> str:
    """An id that no other job has: name, UTC time, chance; of a schedule, its name alone.

    A schedule is submitted once, however often that is tried, so that its id must be the same.

    Raises:
        InputError: The name of a workload with a schedule cannot be an id.
    """
    if workload.spec.schedule is not None:
        return chosen_id(workload.spec.name)
    return f"{workload.spec.name}-{datetime.now(UTC):%y%m%d-%H%M%S}-{secrets.token_hex(2)}"
