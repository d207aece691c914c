"""From a workload file to a checked answer: the steps of `run`, in order.

Each step is a module; here they are only put one after the other, and each says on
stderr what it did. The other verbs (`jobs.cli`) do parts of the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from jobs.binding import check_binding
from jobs.build import build_programs
from jobs.canary import trial_of, trial_text, try_first
from jobs.checking import Checked, check, load_for
from jobs.consent import agree
from jobs.contents import Contents
from jobs.errors import EXIT_OK, Finding, InputError, shown
from jobs.finishing import (
    require_price,
)
from jobs.following import go_on, interruptible
from jobs.job_ids import chosen_id
from jobs.loading import LoadedWorkload
from jobs.plan import JobPlan, plan
from jobs.portal import portal_url
from jobs.program_package import require_published
from jobs.rerun import ran_before
from jobs.results import ResultTree, require_writable, tree_of
from jobs.run_options import RunOptions
from jobs.session import Session, content_cache
from jobs.stage import Staged, contents_of, stage
from jobs.stale import stale_of
from jobs.submission import require_new, require_same, send
from jobs.terminal import Terminal, counted, size_text
from jobs.transfer import counting
from jobs.verdict import finish


def run_workload(
    options: RunOptions, terminal: Terminal, *, checked: Checked | None = None
) -> int:
    """Does it all; the exit code.

    Args:
        options: What was asked for.
        terminal: Where it is told.
        checked: The workload, where it was read already and something was decided by what it
            said: its file may say something else by now.

    Raises:
        JobsError: Each with its exit code.
    """
    if options.detach and options.first is None:
        require_unwatched(options)
    with interruptible("nothing was submitted"):
        session, job = prepared(options, terminal, checked)
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
        if options.watched:
            terminal.note(
                f"{', '.join(options.watched)}: for the trial only; for the others, give "
                f"{'it' if len(options.watched) == 1 else 'them'} to `wait`"
            )
        leave(job.job_id, tree, session, terminal, tasks=job.count, added=submitted.added)
        return EXIT_OK
    return finish(checked, session, tree, options, terminal, job_id=job.job_id)


def see_to_end(job_id: str, tree: ResultTree, options: RunOptions, terminal: Terminal) -> int:
    """Waits for a job that was submitted, and does all that follows; the exit code.

    Raises:
        InputError: Its workload is gone or does not fit; with what can be done without it.
        JobsError: As `finish`.
    """
    try:
        checked = checked_workload(options)
    except InputError as error:
        hint = (
            "the job goes on with what was submitted; to see it without the file: "
            f"{go_on('status', tree)}; its results: {go_on('collect', tree)}"
        )
        raise InputError(
            [*error.findings, Finding(where=f"job {job_id}", message=hint)]
        ) from error
    session = Session(stack=checked.stack)
    return finish(checked, session, tree, options, terminal, job_id=job_id)


def leave(
    job_id: str, tree: ResultTree, session: Session, terminal: Terminal, *, tasks: int, added: int
) -> None:
    """Tells of a job that nobody waits for from here.

    Args:
        job_id: Which.
        tree: Its results.
        session: The services of its stack.
        terminal: Where it is told.
        tasks: How many it has.
        added: How many of these were added just now.
    """
    terminal.show(job_id)
    terminal.result(
        {
            "version": 1,
            "job_id": job_id,
            "tasks": tasks,
            "added": added,
            "results": str(tree.root),
            "portal": portal_url(session.stack, job_id),
            "stale": stale_of(tree.read_manifest()).as_json(),
        }
    )
    terminal.note(f"watch it: {go_on('wait', tree)}")


def require_unwatched(options: RunOptions) -> None:
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


def prepared(
    options: RunOptions, terminal: Terminal, checked: Checked | None = None
) -> tuple[Session, JobPlan]:
    """All that comes before the first request that submits anything; as `run_workload`.

    Raises:
        JobsError: The input is wrong, nobody agrees, or a service refuses.
    """
    if checked is None:
        checked = checked_workload(options)
    first = options.again is None and not options.resume
    if first and options.job_id is not None and checked.workload.spec.schedule is None:
        require_new(tree_of(options.job_id, options.out))
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
    if options.once and workload.spec.schedule is None:
        message = f"{shown(workload.path)} has no `schedule`, so that it is run once anyway"
        raise InputError([Finding(where="--once", message=message)])
    if options.once or options.resume or options.again is not None:
        workload = workload.without_schedule()
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


def new_job_id(workload: LoadedWorkload) -> str:
    """An id that no other job has: name, UTC time, chance; of a schedule, its name alone.

    A schedule is submitted once, however often that is tried, so that its id must be the same.

    Raises:
        InputError: The name of a workload with a schedule cannot be an id.
    """
    if workload.spec.schedule is not None:
        return chosen_id(workload.spec.name)
    return f"{workload.spec.name}-{datetime.now(UTC):%y%m%d-%H%M%S}-{secrets.token_hex(2)}"
