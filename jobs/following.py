"""Watching with a display, and what a person is told who leaves before the end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from jobs.checking import Checked
from jobs.errors import (
    InterruptError,
    LeftError,
    ServiceError,
    UnfinishedError,
    shown,
)
from jobs.finishing import (
    NOTHING_ASKED,
    Finishing,
    LimitReachedError,
    UnpreparedError,
    end_job,
    limited,
)
from jobs.history import History
from jobs.logs import last_words
from jobs.looks import Look
from jobs.portal import portal_url
from jobs.preparation import keep_logs
from jobs.progress import Progress
from jobs.results import DEFAULT_ROOT, ResultTree
from jobs.selection import positions_of
from jobs.service import BatchService, segment
from jobs.standing import look_json, standing
from jobs.terminal import Terminal, counted
from jobs.watch import Watcher, watch

_Left = TypeVar("_Left", bound=LeftError)
_WAYS = {"wait": "watch it again", "resume": "go on", "cancel": "cancel it"}


def follow(
    watcher: Watcher,
    checked: Checked,
    tree: ResultTree,
    terminal: Terminal,
    timeout_s: float | None,
    asked: Finishing,
) -> Look:
    """Watches with the progress display, within the limits that were asked for."""
    history = History.read(tree)
    with Progress(
        terminal.err,
        watcher.job_id,
        checked.stack.stack,
        results=shown(tree.root),
        portal=portal_url(checked.stack, watcher.job_id),
        cached=_cached(tree),
        said=terminal.said,
        currency=checked.pool.price_currency,
        limit=asked.max_cost,
        style="none" if terminal.quiet else terminal.progress,
        words=lambda task_id: last_words(watcher.service, watcher.job_id, task_id),
    ) as progress:

        def show(look: Look) -> None:
            if look.outage is None:
                history.add(look)
            progress.show(look)

        try:
            return watch(
                watcher, limited(show, asked, checked.pool.price_currency), timeout_s=timeout_s
            )
        finally:
            history.write(tree)
            terminal.said = progress.said


def _cached(tree: ResultTree) -> int:
    """Tasks of a tree that keep what they did while others run again."""
    manifest = tree.read_manifest()
    if not manifest.attempts:
        return 0
    return manifest.tasks - len(positions_of(manifest.attempts[-1].tasks))


def follow_to_end(
    watcher: Watcher,
    checked: Checked,
    tree: ResultTree,
    terminal: Terminal,
    timeout_s: float | None,
    asked: Finishing,
) -> tuple[Look, LimitReachedError | None]:
    """Watches until nothing will change; ends the job where that would take for ever.

    That is at a limit, when all that waits does so for tasks that failed, and when its
    preparation failed wherever it could run.

    Returns:
        The last look, and what ended the job if it is to be told as the run's failure.
    """
    limit: LimitReachedError | None = None
    service, job_id = watcher.service, watcher.job_id
    try:
        look = follow(watcher, checked, tree, terminal, timeout_s, asked)
    except LimitReachedError as error:
        limit = error
        terminal.note(str(error))
        end_job(service, job_id, error.reason)
        unlimited = replace(asked, max_fails=None, max_cost=None)
        look = follow(watcher, checked, tree, terminal, timeout_s, unlimited)
    reason = ""
    if look.blocked:
        reason = "Blocked"
        terminal.note(
            f"{counted(look.blocked, 'task')} cannot run: what "
            f"{'it waits' if look.blocked == 1 else 'they wait'} for failed; the job is ended"
        )
    elif look.unprepared:
        limit = unprepared(service, job_id, tree, look.unprepared)
        reason = limit.reason
    if reason:
        end_job(service, job_id, reason)
        look = follow(watcher, checked, tree, terminal, timeout_s, NOTHING_ASKED)
    return look, limit


def unprepared(
    service: BatchService, job_id: str, tree: ResultTree, nodes: int
) -> UnpreparedError:
    """What ends a job whose preparation failed wherever it could run; its log is kept.

    Call it before the job is ended: then nodes may go, and what was printed with them.
    """
    job = service.get(f"/jobs/{segment(job_id)}", f"reading job {job_id}")
    said = keep_logs(service, job, tree.logs)
    text = (
        f"the preparation failed on all {nodes} nodes"
        if nodes > 1
        else "the preparation failed on the only node"
    )
    lines = [
        f"{text} that the pool has, so that no task can run: the job was ended",
        *(f"  preparation: {line}" for line in said),
        f"its log: {shown(tree.logs / 'preparation')}",
    ]
    return UnpreparedError("\n  ".join(lines), reason="PreparationFailed")


def go_on(verb: str, tree: ResultTree) -> str:
    """A command line that goes on with a job."""
    return f"python -m jobs {verb} {tree.root.name}{out_option(tree)}"


def out_option(tree: ResultTree) -> str:
    """What a command line needs so that the verb finds a tree where it is."""
    root = tree.root.parent
    return "" if root == DEFAULT_ROOT else f" --out {shlex.quote(str(root))}"


def ways_on(tree: ResultTree, look: Look | None = None, *, trial: bool = False) -> dict[str, str]:
    """The command lines, by verb, with which one goes on who stops watching.

    Args:
        tree: The job's results.
        look: The last one at it; None before the first.
        trial: Whether only the first tasks were submitted.
    """
    held = trial or (look is not None and (look.resumable or look.paused))
    verbs = ["resume" if held else "wait"]
    if look is None or not look.over:
        verbs.append("cancel")
    return {verb: go_on(verb, tree) for verb in verbs}


def ways_text(ways: Mapping[str, str]) -> list[str]:
    """The same as lines."""
    return [f"{_WAYS[verb]}: {command}" for verb, command in ways.items()]


@contextmanager
def leaving(watcher: Watcher, tree: ResultTree, *, trial: bool = False) -> Iterator[None]:
    """Says where the job stands, and how to come back, to whoever stops watching before its end.

    Raises:
        UnfinishedError: In place of one that says only that it is not over.
        InterruptError: In place of Ctrl-C, or of what `ended_on_interrupt` made of it.
        ServiceError: The same one, which says so besides, unless there is no such job.
    """
    try:
        yield
    except UnfinishedError as error:
        ways = ways_on(tree, watcher.last, trial=trial)
        raise _left(UnfinishedError, str(error), watcher, ways) from error
    except InterruptError as error:
        # it is being ended: the text says how to come by what it left
        raise _left(InterruptError, str(error), watcher, {}) from error
    except KeyboardInterrupt as error:
        ways = ways_on(tree, watcher.last, trial=trial)
        raise _left(InterruptError, f"interrupted: {_goes_on(watcher)}", watcher, ways) from error
    except ServiceError as error:
        if error.code == "JobNotFound":
            raise
        ways = ways_on(tree, watcher.last, trial=trial)
        known = [] if watcher.last is None else [_goes_on(watcher)]
        error.args = ("\n  ".join((str(error), *known, *_stands(watcher, ways))),)
        error.details = _details(watcher, ways)
        raise


def _goes_on(watcher: Watcher) -> str:
    over = watcher.last is not None and watcher.last.over
    return f"job {watcher.job_id} {'is over' if over else 'goes on'}"


def _left(kind: type[_Left], text: str, watcher: Watcher, ways: Mapping[str, str]) -> _Left:
    text = "\n  ".join((text, *_stands(watcher, ways)))
    return kind(text, details=_details(watcher, ways))


def _stands(watcher: Watcher, ways: Mapping[str, str]) -> Iterator[str]:
    """Where the job stood at the last look, and the ways on, as lines."""
    if (look := watcher.last) is not None:
        pool = None if watcher.meter is None else watcher.meter.pool
        yield from standing(look, "USD" if pool is None else pool.price_currency)
    yield from ways_text(ways)


def _details(watcher: Watcher, ways: Mapping[str, str]) -> dict[str, Any]:
    """The same for a program."""
    look = watcher.last
    job = None if look is None else {"job_id": watcher.job_id, **look_json(look)}
    return {"job": job, "commands": dict(ways)}


@contextmanager
def interruptible(consequence: str) -> Iterator[None]:
    """Turns Ctrl-C into an error that says what goes on."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptError(f"interrupted: {consequence}") from error
