"""Watching with a display, and what a person is told who leaves before the end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.checking import Checked
from jobs.errors import InterruptError, shown
from jobs.finishing import Finishing, limited
from jobs.history import History
from jobs.logs import last_words
from jobs.looks import Look
from jobs.progress import Progress
from jobs.results import DEFAULT_ROOT, ResultTree
from jobs.terminal import Terminal
from jobs.watch import Watcher, watch


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
        currency=checked.pool.price_currency,
        limit=asked.max_cost,
        style="none" if terminal.quiet else terminal.progress,
        words=lambda task_id: last_words(watcher.service, watcher.job_id, task_id),
    ) as progress:

        def show(look: Look) -> None:
            history.add(look)
            progress.show(look)

        try:
            return watch(
                watcher, limited(show, asked, checked.pool.price_currency), timeout_s=timeout_s
            )
        finally:
            history.write(tree)


def go_on(verb: str, tree: ResultTree) -> str:
    """A command line that goes on with a job."""
    root = tree.root.parent
    out = "" if root == DEFAULT_ROOT else f" --out {shlex.quote(str(root))}"
    return f"python -m jobs {verb} {tree.root.name}{out}"


@contextmanager
def interruptible(consequence: str) -> Iterator[None]:
    """Turns Ctrl-C into an error that says what goes on."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptError(f"interrupted: {consequence}") from error
