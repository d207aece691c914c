"""A trial of the first tasks, before the others are submitted (`--first N`).

The job stays open in between, its submission unfinished, so that `resume` goes on from
there: after a trial that failed as well as after one that nobody watched to its end.
"""

from __future__ import annotations

from jobs.consent import Consent
from jobs.durations import spoken
from jobs.errors import InputError, TaskFailureError, UnfinishedError
from jobs.finishing import Finishing, LimitReachedError, end_job, ended_on_interrupt
from jobs.following import follow, go_on, interruptible
from jobs.logs import last_words
from jobs.meter import Meter
from jobs.plan import JobPlan
from jobs.prices import money
from jobs.report import spread
from jobs.results import ResultTree
from jobs.session import Session
from jobs.terminal import Terminal, counted
from jobs.watch import Watcher


def try_first(
    job: JobPlan,
    tried: int,
    session: Session,
    tree: ResultTree,
    terminal: Terminal,
    *,
    finishing: Finishing,
    consent: Consent,
    timeout_s: float | None,
) -> None:
    """Waits for the first tasks, and comes back if the others are to follow.

    Args:
        job: What is submitted.
        tried: How many of its tasks were.
        session: Where.
        tree: Its results.
        terminal: Where somebody may be asked.
        finishing: Limits, and what Ctrl-C does.
        consent: Whether somebody agreed beforehand.
        timeout_s: How long to wait.

    Raises:
        TaskFailureError: One of them failed; the job waits to be resumed or canceled.
        UnfinishedError: Somebody does not agree to go on, or there is nobody to ask.
    """
    checked = job.checked
    come_back = f"\n  go on: {go_on('resume', tree)}\n  end it: {go_on('cancel', tree)}"
    with interruptible(f"job {job.job_id} goes on with its first tasks.{come_back}"):
        watcher = Watcher(
            service=session.service,
            job_id=job.job_id,
            meter=Meter(pool=checked.pool),
            total=tried,
        )
        with ended_on_interrupt(session.service, job.job_id, finishing):
            try:
                look = follow(watcher, checked, tree, terminal, timeout_s, finishing)
            except LimitReachedError as error:
                end_job(session.service, job.job_id, error.reason)
                raise
    left = job.count - tried
    if look.failed:
        first = look.first_failure
        said = "" if first is None else last_words(session.service, job.job_id, first.id)
        example = (
            "" if first is None else f", such as {first.id}" + (f': "{said}"' if said else "")
        )
        raise TaskFailureError(
            f"{look.failed} of the first {tried} tasks failed{example}. The other {left:,} were "
            f"not submitted.{come_back}"
        )
    ran = spread([end.run_s for end in watcher.ends.values()])
    cost = None if look.cost is None else look.cost / tried * left
    worth = "" if cost is None else f", about {money(cost, checked.pool.price_currency)}"
    terminal.note(f"the first {tried} tasks succeeded, in {spoken(ran.median)} each (median)")
    question = f"Submit the other {counted(left, 'task')}{worth}?"
    try:
        agreed = terminal.agreed(question, yes=consent.yes, no_input=consent.no_input)
    except InputError as error:
        raise UnfinishedError(f"{error}; nothing more was submitted{come_back}") from error
    if not agreed:
        raise UnfinishedError(f"nothing more was submitted{come_back}")
