"""A job that was submitted from here, for programs and for the verbs that follow it.

Beside `jobs.client`, and in its manner: nothing is printed, nothing asked, and whatever goes
wrong is a `JobsError`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from jobs.advice import Advice
from jobs.again import Again
from jobs.answer import answer, stale_error
from jobs.arguments import all_of, require, require_limits
from jobs.blobs import Container
from jobs.checking import Checked
from jobs.clean import Leftovers, leftovers, remove
from jobs.collect import Collected
from jobs.elsewhere import tree_at
from jobs.errors import InputError, JobsError, NotFoundError
from jobs.explain import Explanation
from jobs.finishing import (
    Finishing,
    LimitReachedError,
    checked_command,
    end_job,
    limited,
    require_price,
)
from jobs.following import out_option
from jobs.going_on import options_again, options_of, send_more, to_run_again
from jobs.gone import KeptReport, is_gone, require_there
from jobs.job_tasks import JobTasks
from jobs.listing import parse_since
from jobs.logs import ALL_SOURCES, LogLine, searched
from jobs.looks import Look
from jobs.meter import Meter
from jobs.notify import checked_url
from jobs.reporting import Ground, Reported, checked_report_file, names_of, report_on
from jobs.results import DEFAULT_ROOT, Manifest, ResultTree
from jobs.resuming import resumable
from jobs.schedule_jobs import find_tree
from jobs.selection import ALL, FAILED, Selection
from jobs.session import Session, Target
from jobs.stack import Pool
from jobs.stale import stale_of
from jobs.task_names import TaskNames
from jobs.terminal import Terminal
from jobs.unmatched import output_warnings
from jobs.verdict import bring_home, verdict
from jobs.watch import Watcher, looks, watch
from jobs.workflow import checked_workload

_LOG = logging.getLogger(__name__)
MOST_EXPLAINED = 20


@dataclass(slots=True, kw_only=True, repr=False)
class Job:
    """A submitted job, with its later attempts.

    Attributes:
        tree: Its results.
        session: The services of its stack.
    """

    tree: ResultTree
    session: Session
    _checked: Checked | None = field(default=None, repr=False)
    _pool: Pool | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        """The job in a line: which, on which stack, and where its results are."""
        return (
            f"<Job {self.tree.root.name} of stack {self.session.stack.stack}, results in "
            f"{self.tree.root}>"
        )

    @property
    def id(self) -> str:
        """The id that it was submitted under."""
        return self.manifest.job_id

    @property
    def manifest(self) -> Manifest:
        """What was submitted, as the result tree has it now."""
        return self.tree.read_manifest()

    @property
    def checked(self) -> Checked:
        """The workload as its file is now.

        Raises:
            InputError: The file is gone, or no longer fits the stack.
        """
        if self._checked is None:
            self._checked = checked_workload(options_of(self.manifest, self.tree))
        return self._checked

    @property
    def pool(self) -> Pool | None:
        """The pool that it is in; None if the stack has it no more."""
        if self._pool is None:
            with suppress(InputError):
                require_there(self.tree)
                self._pool = Ground.of(self.manifest.current, self.session, None).pool
        return self._pool

    def status(self) -> Look:
        """Where it stands, and what it has cost so far by what is known of its tasks now."""
        return self._watcher(meter=None if self.pool is None else Meter(pool=self.pool)).look()

    def watch(self, *, timeout_s: float | None = None) -> Iterator[Look]:
        """Looks until it is over; only the last look says that it is.

        Raises:
            InputError: `timeout_s` is negative.
            UnfinishedError: It passed before, or the rest of its tasks was not submitted and
                none of the others is left to run; the job goes on.
        """
        require_limits(timeout_s=timeout_s)
        return looks(self._watcher(meter=Meter(pool=self._ground().pool)), timeout_s=timeout_s)

    def wait(
        self,
        *,
        timeout_s: float | None = None,
        max_fails: int | None = None,
        max_cost: float | None = None,
    ) -> Look:
        """Waits for its end; at a limit, ends it.

        Raises:
            InputError: A limit that is none, or one of the cost where no price is known.
            UnfinishedError: `timeout_s` passed before, or as `watch`; the job goes on.
            LimitReachedError: So many tasks failed, or it has cost so much: it was ended.
        """
        require_limits(timeout_s=timeout_s, max_fails=max_fails, max_cost=max_cost)
        pool = self._ground().pool
        asked = Finishing(max_fails=max_fails, max_cost=max_cost)
        require_price(asked, pool)
        watcher = self._watcher(meter=Meter(pool=pool))
        try:
            return watch(
                watcher,
                limited(lambda _look: None, asked, pool.price_currency),
                timeout_s=timeout_s,
            )
        except LimitReachedError as error:
            self.cancel(reason=error.reason)
            raise

    def finish(
        self,
        *,
        timeout_s: float | None = None,
        max_fails: int | None = None,
        max_cost: float | None = None,
        on_finish: str | None = None,
        notify: str | None = None,
        report: Path | str | None = None,
    ) -> Reported:
        """Waits, collects, merges, checks and reports, as the verb `wait`; then tells who asked.

        What merge and check printed is `.answer` of what is given back. Who is told is told of
        success and of failure, once the report is made. That somebody
        could not be told changes nothing of the outcome: it is logged as a warning.

        Args:
            timeout_s: How long to wait; nobody is told of a job that goes on.
            max_fails: The job is ended once so many tasks have failed.
            max_cost: The job is ended once it has cost so much, in its pool's currency.
            on_finish: A command for `/bin/sh -c`, which finds `JOBS_ID`, `JOBS_STATE`,
                `JOBS_FAILED`, `JOBS_UNFINISHED`, `JOBS_COST` and `JOBS_REPORT` in its environment;
                ended after 120 s.
            notify: Address that is sent one POST of JSON, or a card (`teams+URL`), signed where
                `JOBS_NOTIFY_SECRET` is in this process's environment.
            report: A file that the report is written to, besides the result tree; its ending
                says as what.

        Raises:
            InputError: With all that cannot be meant; nothing was done. Or the workload is gone.
            UnfinishedError: As `watch`.
            StaleError: All tasks succeeded, and an answer is of outputs that were replaced since.
            TaskFailureError: A task, the merge or the check failed, or a limit ended the job.
        """
        file = None if report is None else Path(report)
        all_of(
            lambda: require_limits(timeout_s=timeout_s, max_fails=max_fails, max_cost=max_cost),
            lambda: checked_command(on_finish, "on_finish"),
            lambda: checked_url(notify, "notify"),
            lambda: checked_report_file(file, "report"),
        )
        finishing = Finishing(
            max_fails=max_fails,
            max_cost=max_cost,
            on_finish=on_finish,
            notify=notify,
            report=file,
        )
        options = options_of(self.manifest, self.tree)
        found = verdict(
            self.checked,
            self.session,
            self.tree,
            replace(options, timeout_s=timeout_s, finishing=finishing),
            Terminal(quiet=True, json_output=True),
            self._watcher(),
            kept=True,
        )
        for problem in found.problems:
            _LOG.warning("%s", problem)
        if found.failure is not None:
            raise found.failure
        return found.reported

    def collect(self, progress: Callable[[int, int], None] | None = None) -> Collected:
        """Downloads what it has left so far; only what is new.

        Args:
            progress: Called with files and bytes done, as they grow.

        Raises:
            CleanedError: It was cleaned: nothing is left but what was collected before.
        """
        require_there(self.tree)
        return bring_home(self.manifest, self.session, self.tree, progress)

    def unmatched(self) -> list[Advice]:
        """Of each output that nothing matched, by what was collected: in how many tasks."""
        return output_warnings(self.tree)

    def report(self, *, or_kept: bool = True) -> Reported | KeptReport:
        """Time, tasks and cost so far, kept in the result tree as JSON, CSV and a page, too.

        Args:
            or_kept: Whether it is the last one that was kept, of a job that was cleaned or
                deleted in Batch.

        Raises:
            InputError: It is gone, and none was kept.
            ServiceError: Batch refuses.
        """
        if or_kept and self.manifest.cleaned:
            return KeptReport.read(self.tree)
        try:
            watcher = self._watcher(statistics=True)
            look = watcher.look()
            return report_on(watcher, look, self._ground(), self._names(), self.tree)
        except NotFoundError as error:
            if not (or_kept and is_gone(error) and self.tree.report_file.exists()):
                raise
            return KeptReport.read(self.tree)

    def answer(self, *, allow_stale: bool = False) -> str:
        """Runs the workload's `merge` and `check` in the result tree; what they printed.

        What they print to stderr is logged at level `INFO` of `jobs.answer`.

        Args:
            allow_stale: Whether it may be of outputs that were replaced since (`stale`).

        Raises:
            StaleError: It would be, and that was not allowed.
            TaskFailureError: One of them failed; the text ends with what it printed last.
        """
        spec = self.checked.workload.spec
        if not allow_stale and (stale := stale_of(self.manifest)):
            raise stale_error(stale, self.tree, spec)
        return answer(self.checked.workload, self.tree, self.id, kept=True)

    def cancel(self, *, reason: str = "CanceledByUser") -> bool:
        """Ends it; False for a job that is over or being ended already, which stays as it is.

        Raises:
            CleanedError: It was cleaned.
        """
        require_there(self.tree)
        return end_job(self.session.service, self.manifest.current, reason)

    def leftovers(self, *, local: bool = False) -> Leftovers:
        """What it has left in Batch and in storage; with `local`, on this machine, too.

        Raises:
            InputError: It is not over.
            ServiceError: Batch or storage refuses.
        """
        return leftovers(
            self.manifest, self.tree, self.session.service, self._containers(), local=local
        )

    def clean(self, left: Leftovers) -> None:
        """Removes what `leftovers` found, and nothing else.

        Raises:
            InputError: It is what another job has left, or the result tree cannot be removed.
            ServiceError: Batch or storage refuses.
        """
        if left.job_id != self.id:
            raise InputError(f"these are leftovers of job {left.job_id}, and not of {self.id}")
        remove(left, self.session.service, self._containers())
        if left.tree is None:
            self.tree.note_cleaned(datetime.now(UTC).isoformat(timespec="seconds"))

    def again(
        self,
        *,
        tasks: str = FAILED,
        exit_codes: Collection[int] = (),
        canceled: bool = False,
        allow_changed: bool = False,
        dependents: bool = True,
    ) -> Again:
        """The tasks that `rerun` would run, and why each of them.

        Raises:
            InputError: The job is not over, it does not have these tasks, or its workload has
                others in their place by now.
        """
        self._checked = None  # the file may have been mended since it was asked for
        return to_run_again(
            self.tree,
            self.session.service,
            lambda: self.checked,
            self.selection(tasks),
            exit_codes=exit_codes,
            canceled=canceled,
            allow_changed=allow_changed,
            dependents=dependents,
        )

    def rerun(
        self,
        *,
        tasks: str = FAILED,
        exit_codes: Collection[int] = (),
        canceled: bool = False,
        allow_changed: bool = False,
        dependents: bool = True,
    ) -> Job | None:
        """Runs tasks again, as another attempt in the same result tree; None if there are none.

        Args:
            tasks: Which, as for the verb: positions, ids, `failed` or `all`.
            exit_codes: Of failed ones, only those of these exit codes.
            canceled: Of failed ones, those that never ran to their own end, too.
            allow_changed: Whether what gives tasks their values may have changed: then what
                the workload has at a position now runs in place of what ran there.
            dependents: Whether tasks that have run and wait for any of these run again, too;
                else they are in `stale` until they do.

        Raises:
            InputError: The job is not over, or its workload no longer has these tasks.
        """
        again = self.again(
            tasks=tasks,
            exit_codes=exit_codes,
            canceled=canceled,
            allow_changed=allow_changed,
            dependents=dependents,
        )
        if not again.numbers:
            return None
        options = options_again(options_of(self.manifest, self.tree), self.tree, again)
        send_more(self.checked, self.session, self.tree, options)
        return self

    def stale(self) -> dict[str, str]:
        """Tasks whose answer is of outputs that were replaced since, each with what replaced them.

        That is a task that it waits for, which ran again or is stale itself. Nobody is asked.
        """
        return stale_of(self.manifest).names

    def resume(self) -> Job:
        """Finishes a submission that was cut short, and enables a job that is disabled.

        Raises:
            InputError: The workload is another one now, or the job was ended or cleaned.
        """
        require_there(self.tree)
        found = resumable(self.tree, self.session.service)
        if found.paused:
            found.enable(self.session.service)
        if found.only_paused:
            return self
        self._checked = None
        options = replace(options_of(self.manifest, self.tree), resume=True)
        send_more(self.checked, self.session, self.tree, options)
        return self

    def explain(self, tasks: str | None = None) -> list[Explanation]:
        """Why the job, or each of some tasks (20 at most), is where it is.

        Raises:
            InputError: The job does not have these tasks.
        """
        if tasks is None:
            told = [self._tasks.explained_job()]
        else:
            found = self._tasks.explained(self._tasks.there(tasks))
            told = list(islice(found, MOST_EXPLAINED))
        out = out_option(self.tree)
        return [replace(one, commands=tuple(f"{c}{out}" for c in one.commands)) for one in told]

    def logs(
        self,
        tasks: str = ALL,
        *,
        sources: Iterable[str] = ALL_SOURCES,
        follow: bool = False,
        tail: int | None = None,
        search: str | None = None,
        since: str | None = None,
    ) -> Iterator[LogLine]:
        """Lines that tasks printed.

        Args:
            tasks: Positions, ids, `failed` or `all`, as for the verb.
            sources: Any of `stdout`, `stderr` and `coordination`: of a task on several nodes,
                what its coordination command printed on each.
            follow: Whether to go on until the tasks of the current job have ended; those of its
                earlier ones are told before, where `tasks` names them.
            tail: Only so many last lines of each.
            search: Only lines in which this regular expression is found.
            since: Only tasks that started or ended from then on: how long ago, or a date.

        Raises:
            InputError: `tasks` selects none, or one of the others cannot be meant.
        """
        wanted = (sources,) if isinstance(sources, str) else tuple(sources)
        require(
            (
                bool(wanted) and set(wanted) <= set(ALL_SOURCES),
                f"sources {wanted!r} are not any of {', '.join(ALL_SOURCES)}",
            ),
            (tail is None or tail >= 0, f"tail {tail!r} is no number of lines"),
        )
        earliest = None if since is None else parse_since(since, datetime.now(UTC))
        lines = self._tasks.printed(
            self._tasks.there(tasks), wanted, follow=follow, tail=tail, since=earliest
        )
        return lines if search is None else searched(lines, search)

    def has_task(self, tasks: str) -> bool:
        """Whether there is any task that a selection means."""
        return self._tasks.has(self.selection(tasks))

    def selection(self, tasks: str) -> Selection:
        """The tasks that a person means, by their numbers.

        Raises:
            InputError: It cannot be read, or names what the job does not have.
        """
        return self._tasks.selection(tasks)

    @property
    def _tasks(self) -> JobTasks:
        require_there(self.tree)
        return JobTasks(tree=self.tree, session=self.session, names=self._names)

    def _names(self) -> TaskNames:
        """What people call its tasks; without parameters where the workload no longer fits."""
        return names_of(self.tree, self._fitting())

    def _fitting(self) -> Checked | None:
        """The workload as its file is now, if that is there and fits the stack."""
        try:
            return self.checked
        except JobsError:
            return None

    def _ground(self) -> Ground:
        """Where it runs, and what."""
        require_there(self.tree)
        return Ground.of(self.manifest.current, self.session, self._fitting())

    def _containers(self) -> dict[str, Container]:
        """Where it leaves something."""
        stack = self.session.stack
        names = (stack.outputs_container, stack.logs_container)
        return {name: self.session.container(name) for name in names}

    def _watcher(
        self,
        *,
        meter: Meter | None = None,
        statistics: bool = False,
    ) -> Watcher:
        require_there(self.tree)
        manifest = self.manifest
        return Watcher(
            service=self.session.service,
            job_id=manifest.current,
            meter=meter,
            statistics=statistics,
            stale=stale_of(manifest),
        )


def open_job(job: str, out: Path = DEFAULT_ROOT, target: Target | None = None) -> Job:
    """A job that was submitted from here, by what a user calls it; with its own stack.

    Args:
        job: Its id, the beginning of it, `last`.
        out: Where result trees are.
        target: In place of its own stack, another name of that.

    Raises:
        InputError: None or several fit, its stack is gone, or `target` is another one.
    """
    tree = tree_at(find_tree(job, out, target), target)
    own = Target.of(tree.read_manifest())
    return Job(tree=tree, session=Session(stack=own.load()))
