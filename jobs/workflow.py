"""From a workload file to a checked answer: the steps of `run`, in order.

Each step is a module; here they are only put one after the other, and each says on
stderr what it did. The other verbs (`jobs.cli`) do parts of the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from jobs.advice import Advice
from jobs.answer import NO_ANSWER, answer, answer_steps, stale_error
from jobs.binding import check_binding
from jobs.build import build_programs
from jobs.canary import trial_of, trial_text, try_first
from jobs.checking import Checked, check, load_for
from jobs.collect import Collected, collect, incomplete
from jobs.command_lines import COORDINATION
from jobs.consent import agree
from jobs.contents import Contents
from jobs.errors import EXIT_OK, Finding, InputError, TaskFailureError, shown
from jobs.finishing import (
    LimitReachedError,
    ended_on_interrupt,
    require_price,
    tell,
)
from jobs.following import follow_to_end, go_on, interruptible, leaving
from jobs.job_ids import chosen_id
from jobs.loading import LoadedWorkload, load_workload
from jobs.meter import Meter
from jobs.node_logs import collect_node_logs
from jobs.plan import JobPlan, plan
from jobs.portal import portal_url
from jobs.program_package import require_published
from jobs.report import Report
from jobs.report_text import failure_lines, report_table, stage_table
from jobs.reporting import Ground, names_of, report_on, write_report
from jobs.rerun import earlier_jobs, ran_before
from jobs.results import Manifest, ResultTree, require_writable, tree_of
from jobs.run_options import RunOptions
from jobs.session import Session, content_cache
from jobs.stage import Staged, contents_of, stage
from jobs.stale import stale_of
from jobs.strictness import LENIENT, Strictness
from jobs.submission import require_same, send
from jobs.terminal import Terminal, counted, size_text
from jobs.transfer import counting
from jobs.unmatched import output_warnings
from jobs.watch import Watcher


def run_workload(options: RunOptions, terminal: Terminal) -> int:
    """Does it all; the exit code.

    Raises:
        JobsError: Each with its exit code.
    """
    if options.detach and options.first is None:
        _require_unwatched(options)
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
                "stale": stale_of(tree.read_manifest()).as_json(),
            }
        )
        if options.watched:
            terminal.note(
                f"{', '.join(options.watched)}: for the trial only; for the others, give "
                f"{'it' if len(options.watched) == 1 else 'them'} to `wait`"
            )
        terminal.note(f"watch it: {go_on('wait', tree)}")
        return EXIT_OK
    return finish(checked, session, tree, options, terminal, job_id=job.job_id)


def _require_unwatched(options: RunOptions) -> None:
    """Refuses limits and the like that nobody would hold to, before anything is sent.

    Raises:
        InputError: With each of them.
    """
    message = (
        "is for a job that is watched from here, and --detach leaves it: give it to `wait`, or "
        "leave --detach out"
    )
    if found := [Finding(where=option, message=message) for option in options.watched]:
        raise InputError(found)


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


def checked_workload(options: RunOptions) -> Checked:
    """Reads the workload and the stack, and fits one to the other.

    Raises:
        InputError: With every finding.
    """
    workload = load_for(options.workload, options.overrides, options.target.load)
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


def stage_workload(
    options: RunOptions,
    *,
    programs: bool = True,
    inputs: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Staged:
    """Sends what a workload needs, with nothing of a job; programs are built before.

    Raises:
        InputError: With every finding.
        ServiceError: Storage refuses.
    """
    checked = checked_workload(options)
    with content_cache() as cache:
        if programs:
            build_programs(checked.workload, cache)
        contents = contents_of(checked, cache)
    session = Session(stack=checked.stack)
    return stage_files(
        checked, contents, session, programs=programs, inputs=inputs, progress=progress
    )


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
    manifest = tree.read_manifest()
    asked = options.finishing
    stale = stale_of(manifest)
    watcher = Watcher(service=session.service, job_id=job_id, stale=stale)
    with leaving(watcher, tree):
        ground = Ground.of(job_id, session, checked)
        checked = replace(checked, pool=ground.pool)
        require_price(asked, checked.pool)
        watcher.meter = Meter(pool=checked.pool)
        with ended_on_interrupt(session.service, job_id, asked, collect=go_on("collect", tree)):
            look, limit = follow_to_end(watcher, checked, tree, terminal, options.timeout_s, asked)
        with counting(terminal, "collected") as progress:
            collected = bring_home(manifest, session, tree, progress)
        note_collected(collected, tree, terminal)
        names = names_of(tree, checked)
        made = report_on(watcher, look, ground, names, tree, limit=asked.max_cost)
        report = made.report
        if asked.report is not None:
            write_report(made, asked.report)
        unmatched = note_unmatched(
            collected,
            tree,
            terminal,
            options.strictness,
            succeeded=[end.id for end in made.ends.latest if end.succeeded],
        )
        failure: TaskFailureError | None = None
        if report.failed or report.unfinished:
            failure = failed_tasks(report, tree, options, limit)
        elif stale:
            failure = stale_error(stale, tree, checked.workload.spec)
        elif (failure := incomplete(collected)) is None:
            try:
                answer(checked.workload, tree, manifest.job_id, results_to_stderr=terminal.json)
                options.strictness.require_none(unmatched)
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
            "warnings": [str(warning) for warning in unmatched],
            "stale": stale.as_json(),
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


def note_unmatched(
    collected: Collected,
    tree: ResultTree,
    terminal: Terminal,
    strictness: Strictness = LENIENT,
    *,
    succeeded: Collection[str] | None = None,
) -> list[Advice]:
    """Says which outputs nothing matched; arguments as `jobs.unmatched.output_warnings`."""
    if collected.refused:
        return []  # it came, under a name that nobody can write
    told = strictness.told(output_warnings(tree, succeeded))
    for warning in told:
        terminal.note(f"warning: {warning}")
    return told


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
        lines.append(NO_ANSWER)
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
