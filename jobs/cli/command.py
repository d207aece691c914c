"""What every verb has around it: the one exit for errors, and jobs found again."""

from __future__ import annotations

import errno
import logging
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import typer

from jobs.arguments import checked_amount
from jobs.elsewhere import tree_at
from jobs.errors import (
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_TASK_FAILED,
    InputError,
    JobsError,
    LeftError,
    ServiceError,
)
from jobs.finishing import NOTHING_ASKED, Finishing, checked_command
from jobs.gone import require_there
from jobs.job_ids import LAST
from jobs.notify import checked_url
from jobs.progress import STYLES, Style
from jobs.reporting import checked_report_file
from jobs.results import Manifest, ResultTree, tree_of
from jobs.run_options import RunOptions
from jobs.schedule_jobs import find_tree
from jobs.session import Target
from jobs.terminal import Terminal

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


@contextmanager
def command(
    json_output: bool, quiet: bool, verbose: bool, color: bool, progress: str = "auto"
) -> Iterator[Terminal]:
    """Runs a command's body: errors are printed here, and only here."""
    if progress not in STYLES:
        raise typer.BadParameter(f"--progress {progress!r} is not one of {', '.join(STYLES)}")
    terminal = Terminal(
        json_output=json_output, quiet=quiet, color=color, progress=cast("Style", progress)
    )
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(message)s"
    )
    logging.getLogger("azure").setLevel(logging.ERROR)
    try:
        yield terminal
        sys.stdout.flush()
    except JobsError as error:
        findings = error.findings if isinstance(error, InputError) else ()
        count = f"{len(findings)} findings\n" if len(findings) > 1 else ""
        terminal.error(f"error: {count}{error}")
        if json_output and error.exit_code != EXIT_TASK_FAILED:
            terminal.result({"version": 1, "error": error_json(error)})
        raise typer.Exit(error.exit_code) from None
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        terminal.forget_output()
        place = error.filename or "the output"
        terminal.error(f"error: {place}: {error.strerror}. Make room there, or name another place")
        raise typer.Exit(EXIT_INPUT) from None
    except KeyboardInterrupt:
        terminal.error("interrupted")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def tasks_of(words: Sequence[str] | None, out: Path) -> str | None:
    """The TASKS of a verb, as one selection; None if there are none.

    Raises:
        InputError: One of them is a job.
    """
    for word in words or ():
        if word == LAST or (len(word) > 1 and _is_job(word, out)):
            others = " ".join(shlex.quote(other) for other in words or () if other != word)
            raise InputError(
                f"{word!r} is a job, and here TASKS are meant. Write: "
                f"{others}{' ' if others else ''}--job {word}"
            )
    return ",".join(words) if words else None


def _is_job(word: str, out: Path) -> bool:
    try:
        return tree_of(word, out).manifest_file.exists()
    except InputError:
        return False


def finishing_of(
    max_fails: int | None,
    cancel_on_interrupt: bool,
    on_finish: str | None,
    notify: str | None,
    max_cost: float | None = None,
    report: Path | None = None,
) -> Finishing:
    """What these options ask for.

    Raises:
        InputError: `--max-cost` is no amount, `--on-finish` no command, `--notify` no address
            to send to, or `--report` no kind of report.
    """
    return Finishing(
        max_fails=max_fails,
        max_cost=checked_amount("--max-cost", max_cost),
        cancel_on_interrupt=cancel_on_interrupt,
        on_finish=checked_command(on_finish),
        notify=checked_url(notify),
        report=checked_report_file(report),
    )


def error_json(error: JobsError) -> dict[str, Any]:
    """An error, as the member `error` of what a verb prints."""
    value: dict[str, Any] = {
        "kind": type(error).__name__,
        "exit_code": error.exit_code,
        "message": str(error),
    }
    if isinstance(error, LeftError | ServiceError):
        value |= error.details
    if isinstance(error, InputError):
        value["findings"] = [
            {"where": f.where, "line": f.line, "path": f.path, "message": f.message}
            for f in error.findings
        ]
    return value


def known(
    job: str,
    out: Path,
    *,
    target: Target | None = None,
    timeout_s: float | None = None,
    detach: bool = False,
    resume: bool = False,
    finishing: Finishing = NOTHING_ASKED,
) -> tuple[Manifest, ResultTree, RunOptions]:
    """A submitted job by what a user calls it, on the stack that is named, else on its own.

    Raises:
        InputError: It was not submitted from here, was cleaned, or is not on the stack that is
            named.
    """
    tree = find_tree(job, out, target)
    require_there(tree)
    tree = tree_at(tree, target)
    manifest = tree.read_manifest()
    options = RunOptions(
        workload=Path(manifest.workload),
        target=Target.of(manifest),
        overrides=manifest.overrides,
        out=out,
        job_id=manifest.current,
        detach=detach,
        timeout_s=timeout_s,
        resume=resume,
        finishing=finishing,
        again=tree if manifest.attempts else None,
        only=manifest.attempts[-1].tasks if manifest.attempts else None,
    )
    return manifest, tree, options
