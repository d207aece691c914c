"""The tasks of a job: found by what people call them, explained, and what they printed.

Every task is in the job of its latest attempt. After a rerun that may be an earlier one than
the job that is watched, so that each of a tree's jobs is looked through, the first one first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from jobs.errors import InputError
from jobs.explain import Explanation, explain_job, explain_task
from jobs.given_tasks import read_given
from jobs.logs import LogLine, LogReader, read_logs
from jobs.named_tasks import resolved
from jobs.rerun import earlier_jobs
from jobs.results import Manifest, ResultTree
from jobs.selection import Selection, parse_selection, position
from jobs.session import Session
from jobs.stale import stale_of
from jobs.standstill import unsent_text
from jobs.task_names import TaskNames
from jobs.watch import Watcher

_FEW_NEAR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTasks:
    """The tasks of a result tree.

    Attributes:
        tree: The result tree.
        session: The services of its stack.
        names: What people call them; asked for where it matters, because it takes the workload.
    """

    tree: ResultTree
    session: Session
    names: Callable[[], TaskNames]

    @property
    def manifest(self) -> Manifest:
        """What was submitted, as the result tree has it now."""
        return self.tree.read_manifest()

    def selection(self, tasks: str) -> Selection:
        """The tasks that a person means, by their numbers.

        Raises:
            InputError: It cannot be read, or names what the job does not have.
        """
        manifest, asked = self.manifest, parse_selection(tasks)

        def there(part: Selection) -> Selection:
            return resolved(part, manifest.stages, manifest.tasks)

        found = there(replace(asked, given=()))
        if not asked.given:
            return found
        also = read_given(asked.given, self.names(), there)
        return replace(
            found,
            ranges=(*(found.ranges or ()), *(also.ranges or ())),
            prefixes=(*found.prefixes, *also.prefixes),
        )

    def there(self, tasks: str) -> Selection:
        """The same, if there is any such task, or it names none.

        Raises:
            InputError: It names some and there is none, with what may be meant.
        """
        selection = self.selection(tasks)
        if selection.ranges is None or self.has(selection):
            return selection
        manifest = self.manifest
        look = self._watcher(manifest.current).look()
        known, total = look.total - look.unsubmitted, look.total
        left = unsent_text(manifest.current, known, total, arriving=look.arriving)
        more = f"; {left}" if look.resumable or look.arriving else ""
        near = f"{self._near(selection)}{more}"
        raise InputError(f"there is no task {tasks} in job {manifest.job_id}{near}")

    def has(self, selection: Selection) -> bool:
        """Whether there is any task that a selection means."""
        return any(True for reader in self._readers() for _ in reader.tasks(selection))

    def explained_job(self) -> Explanation:
        """Why the job that is watched is where it is."""
        manifest = self.manifest
        watcher = self._watcher(manifest.current)
        return explain_job(watcher, self._reader(manifest, manifest.current), self.names())

    def explained(self, selection: Selection) -> Iterator[Explanation]:
        """Why each task is where it is."""
        names = self.names()
        for reader in self._readers():
            watcher = self._watcher(reader.job_id)
            for task in reader.tasks(selection):
                look = watcher.last or watcher.look()
                yield explain_task(task.id, watcher, look, reader, names)

    def printed(
        self,
        selection: Selection,
        sources: Collection[str],
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> Iterator[LogLine]:
        """Lines that tasks printed; arguments as `jobs.logs.read_logs`.

        With `follow`, tasks of earlier jobs print no more: of these only what is asked for by
        name is told, before the others.
        """
        current = self.manifest.current
        for reader in self._readers():
            followed = follow and reader.job_id == current
            if follow and not followed and selection.ranges is None:
                continue
            yield from read_logs(
                reader, selection, sources, follow=followed, tail=tail, since=since
            )

    def _near(self, selection: Selection) -> str:
        """The tasks at the positions of ids that are not there, as words; empty if none are."""
        spans = tuple(range(n, n + 1) for n in map(position, selection.prefixes) if n >= 0)
        near = Selection(ranges=spans)
        there = (task for reader in self._readers() if spans for task in reader.tasks(near))
        found = [f"{position(task.id)} is {task.id}" for task in islice(there, _FEW_NEAR)]
        return f": {', '.join(found)}" if found else ""

    def _readers(self) -> Iterator[LogReader]:
        """Of each job, without the tasks that a later one ran again."""
        manifest = self.manifest
        for job_id, again in earlier_jobs(manifest):
            yield self._reader(manifest, job_id, again)
        yield self._reader(manifest, manifest.current)

    def _reader(
        self, manifest: Manifest, job_id: str, skip: frozenset[int] = frozenset()
    ) -> LogReader:
        return LogReader(
            service=self.session.service,
            job_id=job_id,
            tree=self.tree,
            container=self.session.container(self.session.stack.logs_container),
            stages=manifest.stages,
            skip=skip,
        )

    def _watcher(self, job_id: str) -> Watcher:
        stale = stale_of(self.manifest)
        return Watcher(service=self.session.service, job_id=job_id, stale=stale)
