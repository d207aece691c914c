"""Submits a job with a note of it in its result tree: what was sent can be found and resumed.

The note (manifest and parts of the plan) is written before the first request, and taken back
where the service refused and nothing is left there. What goes over the wire is `jobs.submit`'s.
"""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from jobs.errors import InputError, NotFoundError, ServiceError, TakenError, UnavailableError
from jobs.following import go_on, interruptible
from jobs.job_ids import schedule_of
from jobs.plan import JobPlan, tags_of
from jobs.portal import portal_url
from jobs.reasons import differing, keep_parts, parts_file
from jobs.rerun import set_aside
from jobs.results import Attempt, Manifest, ResultTree
from jobs.row_digests import keep_rows
from jobs.run_options import RunOptions
from jobs.selection import positions_of
from jobs.service import segment
from jobs.session import Session
from jobs.submit import Submitted, submit
from jobs.terminal import Terminal, counted


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
    if job.only is None:
        return _sent(job, session, tree, options, terminal, trial=trial)
    with _alone(tree):
        return _sent(job, session, tree, options, terminal, trial=trial)


@contextmanager
def _alone(tree: ResultTree) -> Iterator[None]:
    """Lets nobody else note an attempt in a result tree.

    Raises:
        InputError: Somebody does.
    """
    handle = os.open(tree.root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _another(tree) from None
        yield
    finally:
        os.close(handle)


def _another(tree: ResultTree) -> InputError:
    return InputError(
        f"another rerun of job {tree.root.name} has just begun: wait for it "
        f"({go_on('wait', tree)}), and run again what failed then"
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
    if trial is None:
        keep_given(tree, job, terminal)
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


def begin_tree(tree: ResultTree, job: JobPlan, options: RunOptions) -> None:
    """Notes what is about to be submitted: what it is made from, then the manifest.

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


def _note_submission(job: JobPlan, tree: ResultTree, options: RunOptions) -> Manifest | None:
    """Writes what is about to be submitted; the manifest before, of tasks that run again."""
    if job.only is None:
        begin_tree(tree, job, options)
        return None
    before = tree.read_manifest()
    if before.current == job.job_id:
        if not options.resume:
            raise _another(tree)
        return None
    set_aside(tree, len(before.job_ids), positions_of(job.only))
    attempt = Attempt(
        job_id=job.job_id,
        tasks=job.only,
        created=_now(),
        plan=job.digest,
        after=job.checked.after,
        never=options.never,
    )
    tree.write_manifest(replace(before, attempts=(*before.attempts, attempt)))
    return before
