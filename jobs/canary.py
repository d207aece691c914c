"""A trial of the first tasks, before the others are submitted (`--first N`).

With stages it goes through the whole file as far as it can: the first tasks of each stage that
waits for none, and of every other stage the first ones that wait for nothing but these.

The job stays open in between, its submission unfinished, so that `resume` goes on from
there: after a trial that failed as well as after one that nobody watched to its end. A job
whose preparation failed wherever it could run is ended, as without a trial.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from jobs.checking import Checked
from jobs.consent import Consent
from jobs.durations import spoken
from jobs.errors import InputError, TaskFailureError, UnfinishedError
from jobs.finishing import Finishing, LimitReachedError, end_job, ended_on_interrupt
from jobs.following import follow, go_on, leaving, unprepared, ways_on, ways_text
from jobs.logs import last_words
from jobs.looks import Look, TaskEnd
from jobs.meter import Meter
from jobs.plan import JobPlan
from jobs.prices import money_about, money_at_least, shares
from jobs.results import ResultTree
from jobs.session import Session
from jobs.stages import shown_task
from jobs.task_names import TaskNames
from jobs.terminal import Terminal, counted
from jobs.usage import spread
from jobs.watch import Watcher


def trial_of(checked: Checked, first: int) -> tuple[int, ...]:
    """How many tasks of each stage a trial of `first` tasks has.

    Of every stage it is the first ones, because whatever a stage waits for, its first
    tasks wait for the first of others.
    """
    tried: dict[str, int] = {}
    for stage in checked.stages:
        name = stage.view.name
        tried[name] = 0
        for at in range(min(first, stage.rows.count)):
            if not all(
                last < tried[waits.stage]
                for waits in stage.dependencies
                for _, last in waits.positions(at)
            ):
                break
            tried[name] = at + 1
    return tuple(tried.values())


def trial_text(checked: Checked, trial: Sequence[int]) -> str:
    """Which tasks a trial has, and of which stages it has none."""
    names = [stage.view.name for stage in checked.stages]
    if names == [""]:
        return f"trying the first {counted(trial[0], 'task')}"
    tried = [f"{name} {number}" for name, number in zip(names, trial, strict=True) if number]
    left = [name for name, number in zip(names, trial, strict=True) if not number]
    without = (
        f"; not {', '.join(left)}, whose first task waits for more than these" if left else ""
    )
    return f"trying the first tasks of each stage: {', '.join(tried)}{without}"


def try_first(
    job: JobPlan,
    trial: Sequence[int],
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
        trial: How many tasks of each stage were.
        session: Where.
        tree: Its results.
        terminal: Where somebody may be asked.
        finishing: Limits, and what Ctrl-C does.
        consent: Whether somebody agreed beforehand.
        timeout_s: How long to wait.

    Raises:
        TaskFailureError: One of them failed, and the job waits to be resumed or canceled; or its
            preparation failed on every node, and it is ended.
        UnfinishedError: Somebody does not agree to go on, or there is nobody to ask.
    """
    checked, tried = job.checked, sum(trial)
    watcher = Watcher(
        service=session.service, job_id=job.job_id, meter=Meter(pool=checked.pool), total=tried
    )
    come_back = "".join(f"\n  {line}" for line in ways_text(ways_on(tree, trial=True)))
    with (
        leaving(watcher, tree, trial=True),
        ended_on_interrupt(session.service, job.job_id, finishing, collect=go_on("collect", tree)),
    ):
        try:
            look = follow(watcher, checked, tree, terminal, timeout_s, finishing)
        except LimitReachedError as error:
            end_job(session.service, job.job_id, error.reason)
            raise
    left = job.count - tried
    unsent = f"The other {left:,} {'was' if left == 1 else 'were'} not submitted."
    if look.unprepared:
        failure = unprepared(session.service, job.job_id, tree, look.unprepared)
        end_job(session.service, job.job_id, failure.reason)
        raise TaskFailureError(f"{failure}\n{unsent}")
    if look.failed:
        example = _example(job, look, session, tree)
        raise TaskFailureError(
            f"{look.failed} of the first {tried} tasks failed{example}. {unsent}{come_back}"
        )
    ran = spread([end.run_s for end in watcher.ends.values()])
    terminal.note(f"the first {tried} tasks succeeded, in {spoken(ran.median)} each (median)")
    worth = _worth(checked, trial, watcher.ends.values())
    question = f"Submit the other {counted(left, 'task')}{worth}?"
    try:
        agreed = terminal.agreed(question, yes=consent.yes, no_input=consent.no_input)
    except InputError as error:
        raise UnfinishedError(f"{error}; nothing more was submitted{come_back}") from error
    if not agreed:
        raise UnfinishedError(f"nothing more was submitted{come_back}")


def _worth(checked: Checked, trial: Sequence[int], ends: Collection[TaskEnd]) -> str:
    """What the tasks that are left may cost, as words; empty where that is not known."""
    rates = shares(ends, checked.pool)
    names = TaskNames(counts=checked.stage_counts)
    total = 0.0
    for stage, tried in zip(checked.stages, trial, strict=True):
        if tried:
            costs = [rates.of(end) for end in ends if names.stage(end.id) == stage.view.name]
            if None in costs or not costs:
                return ""
            total += sum(filter(None, costs)) / len(costs) * (stage.rows.count - tried)
    words = (money_about if all(trial) else money_at_least)(total, checked.pool.price_currency)
    return f", {words}" if words else ""


def _example(job: JobPlan, look: Look, session: Session, tree: ResultTree) -> str:
    """The first task that failed, as words; empty where none is known."""
    first = look.first_failure
    if first is None:
        return ""
    name = shown_task(first.id, job.checked.stage_counts)
    said = last_words(session.service, job.job_id, first.id)
    words = f': "{said}"' if said else ""
    return f", such as {name}{words} (python -m jobs logs {name} --job {tree.root.name})"
