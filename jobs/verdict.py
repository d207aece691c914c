"""From a job that runs to what became of it: watched, collected, merged, checked, reported, told.

What comes before is `jobs.workflow`'s. A failure is a value here until all of it is done: the
report is made and who asked is told, whatever became of the tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from jobs.advice import Advice
from jobs.answer import NO_ANSWER, answer, answer_steps, stale_error
from jobs.checking import Checked
from jobs.collect import Collected, collect, incomplete
from jobs.command_lines import COORDINATION
from jobs.errors import EXIT_OK, InputError, TaskFailureError, shown
from jobs.finishing import LimitReachedError, ended_on_interrupt, require_price, tell
from jobs.following import follow_to_end, go_on, leaving
from jobs.loading import load_workload
from jobs.meter import Meter
from jobs.node_logs import collect_node_logs
from jobs.report import Report
from jobs.report_text import failure_lines, report_table, stage_table
from jobs.reporting import Ground, Reported, names_of, report_on, write_report
from jobs.rerun import earlier_jobs
from jobs.results import Manifest, ResultTree
from jobs.run_options import RunOptions
from jobs.session import Session
from jobs.stale import stale_of
from jobs.strictness import LENIENT, Strictness
from jobs.terminal import Terminal, counted, size_text
from jobs.transfer import counting
from jobs.unmatched import output_warnings
from jobs.watch import Watcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a job.

    Attributes:
        reported: Its report, kept in the result tree.
        collected: What it left.
        unmatched: Of each output that nothing matched, in how many tasks.
        failure: Why it is no success; None if all tasks, the merge and the check succeeded.
        problems: Who was to be told and was not, and why.
    """

    reported: Reported
    collected: Collected
    unmatched: tuple[Advice, ...]
    failure: TaskFailureError | None
    problems: tuple[str, ...]


def finish(
    checked: Checked,
    session: Session,
    tree: ResultTree,
    options: RunOptions,
    terminal: Terminal,
    *,
    job_id: str,
) -> int:
    """Waits, collects, merges, checks, reports and tells all of it; the exit code.

    Raises:
        TaskFailureError: A task, the merge or the check failed, or an answer is stale.
        LeftError: Nobody waited for the end.
    """
    watcher = Watcher(service=session.service, job_id=job_id, stale=stale_of(tree.read_manifest()))
    with leaving(watcher, tree):
        found = verdict(checked, session, tree, options, terminal, watcher)
    for problem in found.problems:
        terminal.error(problem)
    report = found.reported.report
    if answer_steps(checked.workload.spec):
        terminal.show("")
    terminal.show(*(part for part in (report_table(report), stage_table(report)) if part))
    failure = found.failure
    terminal.result(
        {
            "version": 1,
            "job_id": job_id,
            "exit_code": EXIT_OK if failure is None else failure.exit_code,
            "results": str(tree.root),
            "report": report.as_json(),
            "refused": list(found.collected.refused),
            "warnings": [str(warning) for warning in found.unmatched],
            "stale": found.reported.stale.as_json(),
        }
    )
    if failure is not None:
        raise failure
    terminal.show("OK")
    return EXIT_OK


def verdict(
    checked: Checked,
    session: Session,
    tree: ResultTree,
    options: RunOptions,
    terminal: Terminal,
    watcher: Watcher,
    *,
    kept: bool = False,
) -> Verdict:
    """The same, and nothing of it is shown but how it goes on.

    Args:
        checked: Its workload.
        session: The services of its stack.
        tree: Its results.
        options: What was asked for.
        terminal: Shows how it goes on.
        watcher: Of the job.
        kept: Whether what merge and check print is kept in the report, and not shown.

    Raises:
        UnfinishedError: The time limit passed before, or its submission was not finished.
        InterruptError: It was ended at Ctrl-C, where that was asked for.
        InputError: A limit of the cost cannot be held, or results cannot be written.
        ServiceError: Batch or storage refuses.
    """
    asked, job_id = options.finishing, watcher.job_id
    ground = Ground.of(job_id, session, checked)
    checked = replace(checked, pool=ground.pool)
    require_price(asked, checked.pool)
    watcher.meter = Meter(pool=checked.pool)
    with ended_on_interrupt(session.service, job_id, asked, collect=go_on("collect", tree)):
        look, limit = follow_to_end(watcher, checked, tree, terminal, options.timeout_s, asked)
    manifest = tree.read_manifest()
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
    elif made.stale:
        failure = stale_error(made.stale, tree, checked.workload.spec)
    elif (failure := incomplete(collected)) is None:
        try:
            printed = answer(
                checked.workload,
                tree,
                manifest.job_id,
                results_to_stderr=terminal.json,
                kept=kept,
            )
            made = replace(made, answer=printed)
            options.strictness.require_none(unmatched)
        except TaskFailureError as error:
            failure = error
    return Verdict(
        reported=made,
        collected=collected,
        unmatched=tuple(unmatched),
        failure=failure,
        problems=tuple(tell(asked, report, tree, succeeded=failure is None)),
    )


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
    *,
    there: bool = True,
) -> TaskFailureError:
    """The error of a job with failed tasks, digested.

    Args:
        report: Of the job.
        tree: Its results.
        options: How it was submitted.
        limit: What ended it.
        there: Whether Batch has it still, so that tasks can run again.
    """
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
    if there:
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
