"""What a user asked of a run, whichever verb or program asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.consent import NEVER_ASKED, Consent
from jobs.finishing import NOTHING_ASKED, Finishing
from jobs.results import ResultTree
from jobs.session import Target
from jobs.strictness import LENIENT, Strictness


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a user asked of a run.

    Attributes:
        workload: The workload file.
        target: The stack.
        overrides: `NAME=VALUE` texts.
        out: Where result trees are.
        job_id: The job's id; made up if None.
        detach: Whether to leave once everything is submitted.
        once: Whether a file with a schedule is run as a job of its own, now.
        first: So many tasks of a stage are tried before the others are submitted; None: no trial.
        timeout_s: How long to wait for the tasks.
        resume: Whether the job may exist already.
        finishing: What is to happen while the job is watched, and at its end.
        consent: Whether a person is asked before much may be spent.
        strictness: Which warnings are told, and whether they are errors.
        again: The result tree whose tasks are run again, or None.
        only: Their positions, as `jobs.selection` writes them.
        never: Positions of tasks that have never ended, and do not run now either.
    """

    workload: Path
    target: Target
    overrides: tuple[str, ...]
    out: Path
    job_id: str | None = None
    detach: bool = False
    once: bool = False
    first: int | None = None
    timeout_s: float | None = None
    resume: bool = False
    finishing: Finishing = NOTHING_ASKED
    consent: Consent = NEVER_ASKED
    strictness: Strictness = LENIENT
    again: ResultTree | None = None
    only: str | None = None
    never: str = ""

    @property
    def watched(self) -> tuple[str, ...]:
        """The options that were given and are for a job that somebody watches."""
        asked = self.finishing
        given = {
            "--timeout": self.timeout_s is not None,
            "--max-fails": asked.max_fails is not None,
            "--max-cost": asked.max_cost is not None,
            "--cancel-on-interrupt": asked.cancel_on_interrupt,
            "--on-finish": asked.on_finish is not None,
            "--notify": asked.notify is not None,
            "--report": asked.report is not None,
        }
        return tuple(option for option, is_given in given.items() if is_given)
