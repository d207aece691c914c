"""The verbs for programs: a `Client` of one stack; `jobs.job` has what it submits or finds.

The same steps as on the command line, without its words: nothing is printed, nothing asked.
Whatever goes wrong is a `JobsError` (`jobs.errors`) whose `exit_code` is that of the verb.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.arguments import require, require_limits, variable_text
from jobs.build import Built, build_programs
from jobs.canary import trial_of, try_first
from jobs.checking import Checked, load_for
from jobs.consent import Consent
from jobs.costs import Costs, costs_of
from jobs.describe import planned
from jobs.doctor import Check, examine
from jobs.errors import InputError
from jobs.finishing import NOTHING_ASKED
from jobs.job import Job, open_job
from jobs.job_ids import ALL, LAST, chosen_id
from jobs.job_schedules import JobSchedule, ScheduleRow, open_schedule, schedules_of
from jobs.listing import JobRow
from jobs.outcomes import JobList
from jobs.plan import JobPlan
from jobs.results import DEFAULT_ROOT, tree_of
from jobs.run_options import RunOptions
from jobs.schedule_jobs import find_trees
from jobs.scheduling import submit_schedule
from jobs.service import RetryPolicy
from jobs.session import Session, Target, content_cache
from jobs.stack import require_one
from jobs.stage import Staged
from jobs.submission import send
from jobs.terminal import Terminal
from jobs.workflow import checked_workload, prepared, stage_workload

if TYPE_CHECKING:
    from jobs.publish import Published

_LOG = logging.getLogger(__name__)
Variables = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A stack to submit to. Exactly one of `stack` and `outputs` is given, as for every verb.

    Attributes:
        stack: Name of the stack.
        outputs: A file of its outputs.
        out: Where result trees are.

    The stack is read by the verbs that need it, each time.

    Raises:
        StackError: Both of `stack` and `outputs` are given, or neither, or no name of a stack.
    """

    stack: str | None = None
    outputs: Path | None = None
    out: Path = DEFAULT_ROOT

    def __post_init__(self) -> None:
        """Takes texts for paths, too."""
        require_one(self.stack, self.outputs, ways=("stack=NAME", "outputs=FILE"))
        object.__setattr__(self, "out", Path(self.out))
        if self.outputs is not None:
            object.__setattr__(self, "outputs", Path(self.outputs))

    def validate(self, workload: Path | str, *, variables: Variables | None = None) -> Checked:
        """Checks a workload file, and whether it fits the stack.

        Raises:
            InputError: With every finding.
        """
        return checked_workload(self._options(workload, variables))

    def plan(
        self,
        workload: Path | str,
        *,
        variables: Variables | None = None,
        job_id: str | None = None,
    ) -> JobPlan:
        """The job as it would be sent. Builds and sends nothing; `.tasks()` generates its tasks.

        Raises:
            InputError: With every finding.
        """
        return planned(self._options(workload, variables, job_id))[0]

    def submit(
        self,
        workload: Path | str,
        *,
        variables: Variables | None = None,
        job_id: str | None = None,
        once: bool = False,
        first: int | None = None,
        timeout_s: float | None = None,
    ) -> Job:
        """Builds, stages and submits; logs what may not work as it is meant.

        Args:
            workload: Its file.
            variables: In place of those of the file.
            job_id: By default the workload's name, the time and chance.
            once: Whether a file with a `schedule` is run as one job, now.
            first: Submits so many tasks first (of each stage as far as they can run) and waits
                for them; the others follow once all of these have succeeded.
            timeout_s: How long to wait for these.

        Raises:
            InputError: With every finding; nothing was submitted.
            ServiceError: Batch or storage refuses.
            TaskFailureError: One of the first tasks failed: the others were not submitted, and
                the job waits for `resume` or `cancel`.
            UnfinishedError: `timeout_s` passed before the first tasks had ended; as above.
        """
        require((first is None or first >= 1, f"first {first!r} is not 1 or more"))
        require_limits(timeout_s=timeout_s)
        options = replace(self._options(workload, variables, job_id), once=once)
        loaded = load_for(options.workload, options.overrides, options.target.load)
        if loaded.spec.schedule is not None and not once:
            raise InputError(
                f"{loaded.path} has a schedule: use submit_schedule, or once=True for one job now"
            )
        session, plan = prepared(options, Terminal(quiet=True))
        for warning in plan.warnings:
            _LOG.warning("%s", warning)
        tree = tree_of(plan.job_id, self.out)
        quiet = Terminal(quiet=True, progress="none")
        trial = () if first is None else trial_of(plan.checked, first)
        if trial and sum(trial) < plan.count:
            send(plan, session, tree, options, quiet, trial=trial)
            try_first(
                plan,
                trial,
                session,
                tree,
                quiet,
                finishing=NOTHING_ASKED,
                consent=Consent(yes=True),
                timeout_s=timeout_s,
            )
            options = replace(options, resume=True)
        send(plan, session, tree, options, quiet)
        return Job(tree=tree, session=session)

    def build(
        self, workload: Path | str, *, variables: Variables | None = None, force: bool = False
    ) -> tuple[Built, ...]:
        """Builds the programs of a workload that are not up to date; `force` builds all.

        Raises:
            InputError: With every finding; or a build command failed.
        """
        options = self._options(workload, variables)
        loaded = load_for(options.workload, options.overrides, options.target.load)
        with content_cache() as cache:
            return build_programs(loaded, cache, force=force)

    def stage(
        self,
        workload: Path | str,
        *,
        variables: Variables | None = None,
        programs: bool = True,
        inputs: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Staged:
        """Sends programs, which it builds, and inputs to storage; only what is not there.

        Args:
            workload: Its file.
            variables: In place of those of the file.
            programs: Whether programs are sent.
            inputs: Whether inputs are.
            progress: Called with files and bytes done, as they grow.

        Raises:
            InputError: With every finding.
            ServiceError: Storage refuses.
        """
        return stage_workload(
            self._options(workload, variables), programs=programs, inputs=inputs, progress=progress
        )

    def publish(
        self,
        application: str,
        path: Path | str,
        *,
        version: str,
        default: bool = False,
        progress: Callable[[int, int], None] = lambda _sent, _of: None,
    ) -> Published:
        """Publishes a directory, a file or a zip as a version of an application.

        Args:
            application: Of the stack.
            path: What is published.
            version: Which it becomes; the same content again is no error.
            default: Whether it becomes the version of whoever names none.
            progress: Called with the bytes sent, and of how many.

        Raises:
            InputError: The names or the files cannot be, or the version has other content.
            ServiceError: Refused.
        """
        # Resource Manager's client takes time to import, and nothing else needs it.
        from jobs.publish import publish  # noqa: PLC0415

        session = Session(stack=self._target().load())
        return publish(
            session.management(),
            session.stack,
            application,
            version,
            Path(path),
            default=default,
            told=progress,
        )

    def doctor(self) -> Iterator[Check]:
        """Checks what is between this machine and a job, one thing after the other.

        Raises:
            StackError: The stack cannot be read.
        """
        policy = RetryPolicy(attempts=3, first_contact_s=0, total_s=30)
        return examine(Session(stack=self._target().load(), policy=policy), self.out)

    def submit_schedule(
        self,
        workload: Path | str,
        *,
        variables: Variables | None = None,
        schedule_id: str | None = None,
        update: bool = False,
    ) -> JobSchedule:
        """Builds, stages and submits a schedule, once; `job("ID:job-1")` is its first job.

        Args:
            workload: A file with a `schedule`.
            variables: In place of those of the file.
            schedule_id: The workload's name if None.
            update: Whether the schedule is there, and its next jobs are to be of this.

        Raises:
            InputError: With every finding, or there is a schedule of this id that does
                something else.
            ServiceError: Batch or storage refuses.
        """
        options = replace(self._options(workload, variables), job_id=schedule_id)
        return submit_schedule(options, Terminal(quiet=True), update=update).schedule

    def schedule(self, schedule_id: str) -> JobSchedule:
        """A schedule of the stack. Nothing is asked until it is used."""
        return open_schedule(schedule_id, self._target(), self.out)

    def schedules(self) -> Sequence[ScheduleRow]:
        """The schedules of the stack that were submitted from workload files."""
        return schedules_of(Session(stack=self._target().load()).service)

    def job(self, job: str = LAST) -> Job:
        """A job that was submitted from here: its id, its unique beginning, or `last`.

        A schedule's id is its latest job.

        Raises:
            InputError: None or several fit.
        """
        return open_job(job, self.out)

    def list(
        self, filters: Sequence[str] = (), *, since: str | None = None, outcomes: bool = True
    ) -> list[JobRow]:
        """The jobs of the stack that were submitted from workload files, the oldest first.

        Args:
            filters: `FIELD=TEXT`: only jobs that have the text in that field, all must hold.
            since: Only those from then on: how long ago (`2d`), or a date.
            outcomes: Whether to find out what became of their tasks, which may take a request
                a job.

        Raises:
            InputError: A filter or `since` cannot be read.
            ServiceError: Batch refuses.
        """
        target = self._target()
        found = JobList(session=Session(stack=target.load()), target=target, out=self.out)
        return found.rows(filters, since, outcomes=outcomes)

    def costs(self, jobs: str = ALL, *, by: str = "job") -> Costs:
        """What jobs that were submitted from here took and cost, together.

        Args:
            jobs: Ids, beginnings, numbers counted from the last (`1-3`), with commas, or `all`.
            by: What a row is of: `job`, `stage`, `pool`, `workload` or `tag.NAME`.

        Raises:
            InputError: There are no such jobs, or costs are not told by that.
            ServiceError: A job is not over, and Batch refuses.
        """
        return costs_of(
            find_trees(jobs, self.out),
            by,
            lambda tree: open_job(tree.root.name, self.out).report(or_kept=False).report.as_json(),
        )

    def _target(self) -> Target:
        return Target(stack=self.stack, outputs=self.outputs)

    def _options(
        self, workload: Path | str, variables: Variables | None, job_id: str | None = None
    ) -> RunOptions:
        if job_id is not None:
            chosen_id(job_id)
        return RunOptions(
            workload=Path(workload),
            target=self._target(),
            overrides=tuple(
                f"{name}={variable_text(value)}" for name, value in (variables or {}).items()
            ),
            out=self.out,
            job_id=job_id,
        )
