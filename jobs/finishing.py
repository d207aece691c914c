"""What a person asked to happen while a job is watched, and when it is over.

A limit ends the job, not only the watching. A command that is to be told of the end
cannot change it: whatever becomes of that command, the run's outcome stays.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from jobs.errors import InputError, InterruptError, ServiceError, TaskFailureError
from jobs.looks import Look
from jobs.notify import notify
from jobs.own_commands import run_command
from jobs.prices import money
from jobs.report import Report
from jobs.results import ResultTree
from jobs.service import BatchService, segment
from jobs.stack import Pool
from jobs.submit import OVER_CODES

SHELL = "/bin/sh"
ON_FINISH_TIMEOUT_S = 120.0
_STDERR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finishing:
    """What a person asked for.

    Attributes:
        max_fails: The job is ended once so many tasks have failed; None: never.
        max_cost: The job is ended once it has cost so much, in the pool's currency.
        cancel_on_interrupt: Whether Ctrl-C ends the job, too.
        on_finish: A command for `/bin/sh -c`, run when the report is made.
        notify: Address that is told then; may be a secret.
        report: File that the report is written to, besides the result tree.
    """

    max_fails: int | None = None
    max_cost: float | None = None
    cancel_on_interrupt: bool = False
    on_finish: str | None = None
    notify: str | None = field(default=None, repr=False)
    report: Path | None = None


NOTHING_ASKED = Finishing()


class LimitReachedError(TaskFailureError):
    """A limit was reached: the job is to be ended, with `reason` as its terminateReason."""

    def __init__(self, message: str, *, reason: str) -> None:
        """Takes a sentence, and the word that the service keeps."""
        self.reason = reason
        super().__init__(message)


class UnpreparedError(LimitReachedError):
    """The job's preparation failed on every node that its pool has."""


def checked_command(text: str | None, option: str = "--on-finish") -> str | None:
    """The command that is run at the end, if a shell can read it; it is not run here.

    Args:
        text: The command; None: there is none.
        option: What it is called where it was given.

    Raises:
        InputError: It is empty, or no shell's language.
    """
    if text is None:
        return None
    if not text.strip():
        raise InputError(f"{option} has no command")
    try:
        read = subprocess.run(
            [SHELL, "-n", "-c", text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{option} {text!r} cannot be read by {SHELL}: {error}") from error
    if read.returncode:
        said = " ".join(read.stderr.split())
        raise InputError(f"{option} {text!r} cannot be read: {said}")
    return text


def require_price(asked: Finishing, pool: Pool) -> None:
    """Refuses a limit that nobody could hold.

    Raises:
        InputError: A cost is limited, and what a node of the pool costs is not known.
    """
    kinds = (
        (pool.max_dedicated_nodes, pool.dedicated_price_per_hour),
        (pool.max_spot_nodes, pool.spot_rate),
    )
    if asked.max_cost is not None and any(nodes and price is None for nodes, price in kinds):
        raise InputError(
            f"a limit of the cost (--max-cost, max_cost) cannot be held: no price of "
            f"{pool.vm_size} is known in this region. Limit the job otherwise (--max-fails, "
            "--timeout, resources.wall_clock)"
        )


def limited(
    show: Callable[[Look], None], asked: Finishing, currency: str = "USD"
) -> Callable[[Look], None]:
    """Shows a look, then holds it against the limits.

    The result raises `LimitReachedError`; a job that is over is past all limits.
    """

    def look_at(look: Look) -> None:
        show(look)
        if look.over:
            return
        left = f"the job was ended with {look.waiting + look.running} tasks to go"
        if asked.max_fails is not None and look.failed >= asked.max_fails:
            raise LimitReachedError(
                f"{look.failed} tasks failed (--max-fails {asked.max_fails}): {left}",
                reason="MaxFails",
            )
        if asked.max_cost is not None and look.cost is not None and look.cost >= asked.max_cost:
            limit = _exact(asked.max_cost, currency)
            raise LimitReachedError(
                f"it has cost {money(look.cost, currency)} so far, estimated from the time of "
                f"nodes that ran its tasks (--max-cost {limit}): {left}",
                reason="MaxCost",
            )

    return look_at


def _exact(amount: float, currency: str) -> str:
    """A limit as money, with all the digits that were given: `$5.00`, `$0.00001`."""
    digits = f"{Decimal(repr(amount)):f}"
    whole, _, rest = digits.partition(".")
    return f"{money(0.0, currency).removesuffix('0.00')}{int(whole):,}.{rest.ljust(2, '0')}"


def end_job(service: BatchService, job_id: str, reason: str) -> bool:
    """Ends a job; one that is over, or being ended, already stays as it is.

    Returns:
        Whether it is this call that ended it. Where an answer was lost, the reason that the job
        has by then decides; it has none yet while it is being ended (BatchJobExecutionInfo).

    Raises:
        ServiceError: The job is gone, or the service refuses.
    """
    path, doing = f"/jobs/{segment(job_id)}", f"ending job {job_id}"
    try:
        service.call("POST", f"{path}/terminate", doing, body={"terminateReason": reason})
    except ServiceError as error:
        if error.code not in OVER_CODES:
            raise
        if not error.unclear:
            return False
        job = service.get(path, doing, **{"$select": "id,executionInfo"})
        said = (job.get("executionInfo") or {}).get("terminateReason", reason)
        return bool(said == reason)
    return True


def state_of(service: BatchService, job_id: str) -> str:
    """The job's state as Batch names it, such as `active`, `terminating` or `completed`.

    Raises:
        ServiceError: The job is gone, or the service refuses.
    """
    path = f"/jobs/{segment(job_id)}"
    job = service.get(path, f"reading job {job_id}", **{"$select": "id,state"})
    return str(job["state"])


@contextmanager
def ended_on_interrupt(
    service: BatchService, job_id: str, asked: Finishing, *, collect: str
) -> Iterator[None]:
    """Ends the job at Ctrl-C, if that was asked for; else lets Ctrl-C pass.

    Args:
        service: Where it is.
        job_id: The job.
        asked: Whether that was asked for.
        collect: The command line that brings home what it leaves.

    Raises:
        InterruptError: In place of the interrupt.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if not asked.cancel_on_interrupt:
            raise
        end_job(service, job_id, "CanceledByUser")
        raise InterruptError(
            f"interrupted: job {job_id} is being ended (--cancel-on-interrupt); what it left: "
            f"{collect}"
        ) from error


def tell(asked: Finishing, report: Report, tree: ResultTree, *, succeeded: bool) -> Iterator[str]:
    """Runs the command of `--on-finish` and tells the address of `--notify`; what went wrong."""
    if asked.on_finish and (problem := _run(asked.on_finish, report, tree, succeeded=succeeded)):
        yield problem
    if asked.notify and (problem := notify(asked.notify, report, succeeded=succeeded)):
        yield problem


def _run(command: str, report: Report, tree: ResultTree, *, succeeded: bool) -> str | None:
    try:
        ended = run_command(
            [SHELL, "-c", command],
            environment={**os.environ, **told(report, tree, succeeded=succeeded)},
            stdout=stderr_descriptor(),
            timeout_s=ON_FINISH_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"--on-finish: the command was ended after {ON_FINISH_TIMEOUT_S:g} s"
    except OSError as error:
        return f"--on-finish: the command did not run: {error}"
    return f"--on-finish: the command ended with exit code {ended.code}" if ended.code else None


def stderr_descriptor() -> int:
    """Where a command prints: this process's stderr, also where `sys.stderr` is no file."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # a notebook, a service without one
        return _STDERR


def told(report: Report, tree: ResultTree, *, succeeded: bool) -> Mapping[str, str]:
    """The environment variables in which the command finds what became of the job."""
    return {
        "JOBS_ID": report.job_id,
        "JOBS_STATE": "succeeded" if succeeded else "failed",
        "JOBS_FAILED": str(report.failed),
        "JOBS_UNFINISHED": str(report.unfinished),
        "JOBS_COST": "" if report.cost is None else f"{report.cost:.6f}",
        "JOBS_REPORT": str(tree.report_file.absolute()),
    }
