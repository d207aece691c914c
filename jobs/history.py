"""What a watcher saw over time, kept in the result tree: nodes, their target, cost.

The service tells these only as they are now, so that a report knows them just for the
times in which somebody watched. A few hundred samples are kept whatever the length of
the job: when there are too many, every second one goes, and samples become rarer.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Self

from jobs.errors import JobsError
from jobs.looks import Look
from jobs.results import ResultTree, read_json, write_json
from jobs.watch import LONGEST_S

MOST = 600
EVERY_S = 0.5
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A moment of a job.

    Attributes:
        time: Seconds since the epoch, by the service's clock.
        nodes: Nodes of the pool that could run tasks.
        target: Nodes that it wanted.
        waiting: Tasks that waited.
        running: Tasks that ran.
        ended: Tasks that had ended.
        cost: Of the job so far, as estimated then.
    """

    time: float
    nodes: int
    target: int
    waiting: int
    running: int
    ended: int
    cost: float | None


@dataclass(slots=True, kw_only=True)
class History:
    """Samples of one job, the earliest first.

    Attributes:
        samples: Those that are kept.
        every_s: The least time between two of them.
    """

    samples: list[Sample] = field(default_factory=list)
    every_s: float = EVERY_S
    now: Callable[[], float] = time.time

    @classmethod
    def read(cls, tree: ResultTree) -> Self:
        """What was kept before; a damaged or missing record is an empty one."""
        with contextlib.suppress(JobsError, TypeError, ValueError, KeyError):
            values = read_json(tree.history_file)
            if values["version"] == _VERSION:
                samples = [Sample(**item) for item in values["samples"]]
                return cls(samples=samples, every_s=float(values["every_s"]))
        return cls()

    @property
    def gap_s(self) -> float:
        """Of two samples that are further apart than this, nobody watched in between.

        A watcher looks every `LONGEST_S` at least; each time that half of the samples went,
        those that are left are twice as far apart.
        """
        return 2 * LONGEST_S * self.every_s / EVERY_S

    @property
    def cost(self) -> float:
        """The most that the job was seen to have cost."""
        return max(
            (sample.cost for sample in self.samples if sample.cost is not None), default=0.0
        )

    def add(self, look: Look) -> None:
        """Takes a look, if the last one is long enough ago or this is the end."""
        moment = look.at or self.now()
        if self.samples and not look.over and moment - self.samples[-1].time < self.every_s:
            return
        nodes = {} if look.pool is None else look.pool.nodes
        self.samples.append(
            Sample(
                time=moment,
                nodes=sum(nodes.get(state, 0) for state in ("idle", "running")),
                target=0 if look.pool is None else look.pool.target,
                waiting=look.waiting,
                running=look.running,
                ended=look.ended,
                cost=look.cost,
            )
        )
        if len(self.samples) > MOST:
            del self.samples[1:-1:2]
            self.every_s *= 2

    def write(self, tree: ResultTree) -> None:
        """Keeps the samples; a record that cannot be written is done without."""
        with contextlib.suppress(JobsError):
            write_json(
                tree.history_file,
                {
                    "version": _VERSION,
                    "every_s": self.every_s,
                    "samples": [asdict(sample) for sample in self.samples],
                },
            )
