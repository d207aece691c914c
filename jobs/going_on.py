"""How a job that was submitted is gone on with: the rest of its tasks, or some of them again.

It is what it was: its workload file, variables, stack and place of results are noted in its
tree. What tasks do is what the file says now.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from jobs.again import Again, taken_along
from jobs.checking import Checked
from jobs.reasons import require_same_rows
from jobs.rerun import all_ends, chosen, next_job_id
from jobs.results import Manifest, ResultTree
from jobs.run_options import RunOptions
from jobs.selection import Selection, position, written_positions
from jobs.service import BatchService
from jobs.session import Session, Target
from jobs.stages import task_numbers
from jobs.stale import stale_of
from jobs.submission import forget_unmade, require_same, send
from jobs.terminal import Terminal
from jobs.waiting import waiting
from jobs.watch import Watcher
from jobs.workflow import prepare


def options_of(manifest: Manifest, tree: ResultTree) -> RunOptions:
    """How a job was submitted, so that it can be gone on with."""
    return RunOptions(
        workload=Path(manifest.workload),
        target=Target.of(manifest),
        overrides=manifest.overrides,
        out=tree.root.parent,
        job_id=manifest.current,
        again=tree if manifest.attempts else None,
        only=manifest.attempts[-1].tasks if manifest.attempts else None,
    )


def options_again(options: RunOptions, tree: ResultTree, again: Again) -> RunOptions:
    """How tasks of a result tree are submitted that run again.

    Raises:
        InputError: The id of their job would be too long.
    """
    return replace(
        options,
        job_id=next_job_id(tree.read_manifest()),
        again=tree,
        only=written_positions(again.numbers),
        never=written_positions(again.never),
        resume=False,
    )


def to_run_again(
    tree: ResultTree,
    service: BatchService,
    checked: Callable[[], Checked],
    selection: Selection,
    *,
    exit_codes: Collection[int],
    canceled: bool,
    allow_changed: bool,
    dependents: bool,
) -> Again:
    """The tasks of a result tree that a rerun would run; arguments as of `Job.rerun`.

    Args:
        tree: The result tree.
        service: Where its jobs are.
        checked: Its workload as the file is now; asked for where that decides anything.
        selection: Which tasks.
        exit_codes: See there.
        canceled: See there.
        allow_changed: See there.
        dependents: See there.

    Raises:
        InputError: The job is not over, it does not have these tasks, or its workload has
            others in their place by now.
    """
    forget_unmade(tree, service)
    manifest = tree.read_manifest()
    watcher = Watcher(service=service, job_id=manifest.current)
    look = watcher.look()
    ends = all_ends(manifest, list(watcher.ends.values()), service)
    own = chosen(manifest, look, ends, selection, exit_codes, canceled=canceled)
    stale = stale_of(manifest)
    ran = {position(end.id) for end in ends.latest}
    waits = bool(manifest.stages) and bool(own or stale)
    again = taken_along(
        own,
        waiting(checked().after, checked().stage_counts) if waits else (),
        stale,
        ran,
        dependents=dependents,
        mend=selection.failed and not exit_codes and not canceled,
    )
    if manifest.stages:
        every = task_numbers(manifest.stages, manifest.tasks)
        again = replace(again, never=frozenset(every) - ran - again.numbers)
    if again.numbers and not allow_changed:
        mended = require_same_rows(tree, checked(), again.numbers)
        again = replace(again, mended=mended)
    return again


def send_more(checked: Checked, session: Session, tree: ResultTree, options: RunOptions) -> None:
    """Builds, stages and submits, without a word.

    Raises:
        InputError: The rest of a submission would be of another workload.
        ServiceError: Batch or storage refuses.
    """
    plan = prepare(checked, session, options, Terminal(quiet=True))
    if options.resume:
        require_same(plan, tree)
    send(plan, session, tree, options, Terminal(quiet=True))
