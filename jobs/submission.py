"""Submits a job with a note of it in its result tree: what was sent can be found and resumed.

The note (manifest and parts of the plan) is written before the first request, and taken back
where the service refused and is known to have no such job. Of a job that it has taken, nothing
is ever forgotten or replaced. What goes over the wire is `jobs.submit`'s.
"""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from jobs.errors import (
    InputError,
    NotFoundError,
    ServiceError,
    TakenError,
    UnavailableError,
    shown,
)
from jobs.following import go_on, interruptible
from jobs.job_ids import schedule_of
from jobs.plan import JobPlan, tags_of
from jobs.portal import portal_url
from jobs.reasons import differing, keep_parts, parts_file
from jobs.rerun import bring_back, set_aside
from jobs.results import Attempt, Manifest, ResultTree
from jobs.row_digests import keep_rows
from jobs.run_options import RunOptions
from jobs.selection import positions_of
from jobs.service import BatchService, segment
from jobs.session import Session
from jobs.submit import Submitted, submit
from jobs.terminal import Terminal, counted
from jobs.transfer import adding


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


def require_new(tree: ResultTree) -> None:
    """Refuses to submit a job whose results are to be where another's are.

    Raises:
        TakenError: There are some.
    """
    if tree.manifest_file.exists():
        raise TakenError(
            f"job {tree.root.name} was submitted from here already: {_of_taken(tree)}. For "
            "another job choose another id (--job-id ID), or another place of results (--out DIR)"
        )


def _of_taken(tree: ResultTree) -> str:
    """What to do about a tree that has a job."""
    try:
        cleaned = tree.read_manifest().cleaned
    except InputError:
        return f"{shown(tree.root)} has its results"
    if cleaned:
        return (
            f"it was cleaned, and its results are in {shown(tree.root)}, among which those of "
            f"another job must not be: {go_on('clean', tree)} --local removes them"
        )
    return f"{go_on('resume', tree)} submits what is missing of it"


def send(
    job: JobPlan,
    session: Session,
    tree: ResultTree,
    options: RunOptions,
    terminal: Terminal,
    *,
    trial: Sequence[int] | None = None,
) -> Submitted:
    """Submits, with a note of it written before the first request, so that it can be resumed.

    Raises:
        TakenError: Another job has this id, or its results are in the tree.
        InputError: Somebody else submits to the tree, or it cannot be written.
        ServiceError: Refused. Unless the job is left at Batch, the tree is what it was before.
    """
    with _alone(tree):
        return _sent(job, session, tree, options, terminal, trial=trial)


def forget_unmade(tree: ResultTree, service: BatchService) -> None:
    """Takes the last attempt out of a tree where Batch never had its job.

    Its submission ended before there was any answer. It can be resumed with the same workload
    only, and until then no task could run again.

    Raises:
        InputError: Somebody submits it just now.
    """
    if tree.read_manifest().current_made:
        return
    with _alone(tree):
        manifest = tree.read_manifest()
        if manifest.attempts and not manifest.current_made and _missing(manifest.current, service):
            before = replace(manifest, attempts=manifest.attempts[:-1])
            bring_back(tree, len(before.job_ids))
            tree.write_manifest(before)


@contextmanager
def _alone(tree: ResultTree) -> Iterator[None]:
    """Lets nobody else submit to a result tree; leaves no directory that was made for nothing.

    Raises:
        InputError: Somebody does, or the directory cannot be made.
    """
    tree.make()
    handle = os.open(tree.root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _another(tree) from None
        except OSError:
            pass  # a file system that cannot lock a directory, such as most network ones
        yield
    finally:
        with suppress(OSError):  # of a tree that is not empty
            tree.root.rmdir()
        os.close(handle)


def _another(tree: ResultTree) -> InputError:
    return InputError(
        f"job {tree.root.name} is being submitted by another command, or has just been: wait for "
        f"it ({go_on('wait', tree)}), and see then what is left to do"
    )


def _sent(
    job: JobPlan,
    session: Session,
    tree: ResultTree,
    options: RunOptions,
    terminal: Terminal,
    *,
    trial: Sequence[int] | None = None,
) -> Submitted:
    note = _Note(tree=tree, before=_before(job, tree, options))
    again = f"finish the submission: {go_on('resume', tree)}"
    left = f"job {job.job_id} may be partly submitted"
    try:
        if not options.resume:
            note.begin(job, options)
        with (
            interruptible(f"{left}; {again}"),
            adding(terminal, job.count if trial is None else sum(trial)) as progress,
        ):
            submitted = submit(
                job,
                session.service,
                resume=options.resume,
                existed=options.resume and note.existed,
                trial=trial,
                progress=progress,
                made=note.made,
            )
    except UnavailableError as error:
        error.args = (f"{error}\n{left}; {again}",)
        raise
    except (ServiceError, InputError) as error:
        if isinstance(error, TakenError) or _missing(job.job_id, session.service):
            note.take_back()
        elif not (options.resume and note.existed):
            error.args = (f"{error}\n{left}; {again}, or end it: {go_on('cancel', tree)}",)
        raise
    if trial is None:
        keep_given(tree, job, terminal)
    there = f" ({submitted.present:,} were there)" if submitted.present else ""
    if options.resume and not submitted.added and not submitted.stopped:
        terminal.note(f"nothing is missing of job {job.job_id}{there}")
    else:
        terminal.note(f"submitted: job {job.job_id}, {counted(submitted.added, 'task')}{there}")
    if trial is None and (page := portal_url(session.stack, job.job_id)):
        terminal.note(f"portal: {page}")
    return submitted


def _missing(job_id: str, service: BatchService) -> bool:
    """Whether Batch is known not to have a job: it was never made, or withdrawn."""
    try:
        found = service.get(f"/jobs/{segment(job_id)}", f"looking for job {job_id}")
    except ServiceError as error:
        return isinstance(error, NotFoundError)
    return bool(found["state"] == "deleting")


def _before(job: JobPlan, tree: ResultTree, options: RunOptions) -> Manifest | None:
    """What a tree says before a submission; None of a job that is to begin it.

    Raises:
        InputError: It has what this submission would replace.
    """
    if job.only is None and not options.resume:
        require_new(tree)
        return None
    before = tree.read_manifest()
    if before.current == job.job_id and not options.resume:
        raise _another(tree)
    return before


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    """What a result tree says of a job while it is submitted.

    Attributes:
        tree: The tree.
        before: Its manifest before; None where there was none.
    """

    tree: ResultTree
    before: Manifest | None

    @property
    def existed(self) -> bool:
        """Whether Batch had taken the job before; of one that is resumed."""
        return self.before is not None and self.before.current_made

    def begin(self, job: JobPlan, options: RunOptions) -> None:
        """Notes a job that Batch has not taken yet."""
        if self.before is None or job.only is None:
            begin_tree(self.tree, job, options, made=False)
            return
        attempt = Attempt(
            job_id=job.job_id,
            tasks=job.only,
            created=_now(),
            plan=job.digest,
            after=job.checked.after,
            never=options.never,
            made=False,
        )
        attempts = (*self.before.attempts, attempt)
        self.tree.write_manifest(replace(self.before, attempts=attempts))

    def made(self) -> None:
        """Notes that Batch has taken it, and makes room for what it will leave.

        In this order: whoever resumes it after a crash in between finds nothing yet of what
        would have to stay.
        """
        manifest = self.tree.read_manifest()
        if manifest.attempts and not manifest.current_made:
            *before, _ = manifest.job_ids
            set_aside(self.tree, len(before), positions_of(manifest.attempts[-1].tasks))
        self.tree.write_manifest(manifest.as_made())

    def take_back(self) -> None:
        """Brings the tree back to what it was before a submission that left no job."""
        if self.before is None:
            for path in (self.tree.manifest_file, parts_file(self.tree)):
                path.unlink(missing_ok=True)
            return
        now = self.tree.read_manifest()
        if now == self.before:
            return
        if now.attempts:
            *before, _ = now.job_ids
            bring_back(self.tree, len(before))
        self.tree.write_manifest(self.before)


def begin_tree(tree: ResultTree, job: JobPlan, options: RunOptions, *, made: bool = True) -> None:
    """Notes what is about to be submitted: what it is made from, then the manifest.

    Args:
        tree: Where.
        job: What.
        options: How.
        made: False of a job that Batch has yet to take; a schedule's jobs are noted once they
            are there.

    Raises:
        InputError: It cannot be written.
    """
    keep_parts(tree, job)
    tree.write_manifest(
        Manifest(
            job_id=job.job_id,
            workload=str(job.checked.workload.path.absolute()),
            stack=options.target.stack,
            outputs=options.target.outputs_noted,
            plan=job.digest,
            tasks=job.count,
            created=_now(),
            overrides=options.overrides,
            stages=dict(job.checked.stage_counts),
            tags=tags_of(job.body_metadata),
            account=job.checked.stack.batch_account_id,
            made=made,
        )
    )


def keep_given(tree: ResultTree, job: JobPlan, terminal: Terminal) -> None:
    """Notes what each task is given; of a tree that is begun.

    Where that fails the tasks run all the same: what a rerun would like to know is no reason
    to fail.
    """
    try:
        keep_rows(tree, job.checked, None if job.only is None else positions_of(job.only))
    except InputError as error:
        terminal.note(f"warning: {error}: a rerun will compare the tasks of a stage as a whole")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
