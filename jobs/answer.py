"""Runs a workload's `merge` and `check` on this machine, in the result directory."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from jobs.errors import InputError, StaleError, TaskFailureError
from jobs.finishing import stderr_descriptor
from jobs.following import go_on
from jobs.loading import LoadedWorkload
from jobs.own_commands import run_command
from jobs.results import ResultTree
from jobs.spec import Workload
from jobs.stale import Stale
from jobs.templates import parse_template

_LOG = logging.getLogger(__name__)
_LAST_LINES = 20
NO_ANSWER = "merge and check were not run"


def answer(
    workload: LoadedWorkload,
    tree: ResultTree,
    job_id: str,
    *,
    results_to_stderr: bool = False,
    kept: bool = False,
) -> str:
    """Merges and checks.

    Args:
        workload: Whose commands.
        tree: Where they run; placeholders `{results}` and `{workload}` are absolute.
        job_id: For `{job}`.
        results_to_stderr: Whether what they print goes to stderr, because stdout has JSON.
        kept: Whether nothing of it is shown: it is what is given back, what they print to
            stderr is logged (`INFO`), and the end of both is told with a failure.

    Returns:
        What they printed, one after the other, where it is kept; else nothing.

    Raises:
        TaskFailureError: A command ended with a non-zero exit code.
        InputError: A command cannot be started.
    """
    spec = workload.spec
    values = {
        **spec.variables,
        "workload": str(workload.directory),
        "results": str(tree.root.absolute()),
        "python": sys.executable,
        "job": job_id,
    }
    stdout = stderr_descriptor() if results_to_stderr else None
    printed = ""
    for key in answer_steps(spec):
        command = [parse_template(part).render(values) for part in getattr(spec, key)]
        sys.stdout.flush()
        try:
            done = run_command(
                command,
                directory=tree.root,
                environment={**os.environ, "COLUMNS": os.environ.get("COLUMNS", "80")},
                stdout=subprocess.PIPE if kept else stdout,
                stderr=subprocess.PIPE if kept else None,
            )
        except OSError as error:
            raise InputError(f"{key}: {command[0]} cannot be started: {error.strerror}") from error
        printed += done.printed
        for line in done.errors.splitlines():
            _LOG.info("%s: %s", key, line)
        if done.code != 0:
            said = [*done.printed.splitlines(), *done.errors.splitlines()][-_LAST_LINES:]
            text = (
                f"{key} ended with exit code {done.code}: the tasks succeeded, their results are "
                f"in {tree.root}"
            )
            steps = " and ".join(answer_steps(spec))
            again = f"to run {steps} again: {go_on('wait', tree)}"
            raise TaskFailureError("\n  ".join((text, again, *said)))
    return printed


def stale_error(stale: Stale, tree: ResultTree, spec: Workload | None = None) -> StaleError:
    """The error of a job whose tasks succeeded and whose answer is stale, with what mends it.

    Args:
        stale: The tasks.
        tree: Its results.
        spec: Its workload, where that is known: of one that has them, `merge` and `check` were
            not run.
    """
    unmade = [NO_ANSWER] if spec is not None and answer_steps(spec) else []
    lines = (stale.text, *unmade, f"bring it up to date: {go_on('rerun', tree)}")
    return StaleError("\n  ".join(lines))


def answer_steps(spec: Workload) -> list[str]:
    """Which of `merge` and `check` a workload has."""
    return [key for key in ("merge", "check") if getattr(spec, key) is not None]
