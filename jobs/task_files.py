"""All tasks of a job in a few files, for a job manager task to add (`jobs.job_manager`).

The tasks are those that a submission would send, from the same generator, a line each. They
name the job by a placeholder, because what is scheduled now runs in jobs that come later.
A file ends with its stage, or when it is large; the order of names is the order in which
the files must be sent. Memory does not grow with the number of tasks.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from jobs.inputs import NodeFile
from jobs.plan import JobPlan
from jobs.task_bodies import MAX_BYTES, PlannedTask, too_large

FOLDER = "tasks"
"""Where the job manager task finds them."""
TASKS_PER_FILE = 50_000
BYTES_PER_FILE = 64 << 20
"""Before they are packed."""
_LEVEL = 6


def placeholder_of(job: JobPlan) -> str:
    """What stands for the job's folder.

    Nothing else in the tasks can be it: it is a hash of all that they are made from.
    """
    return f"JOB-{job.digest[:40]}"


def write_task_files(job: JobPlan, directory: Path) -> list[NodeFile]:
    """Writes the tasks of every job that is to be made of a plan.

    The same tasks give the same bytes, so that they are staged once.

    Args:
        job: The plan.
        directory: Empty; where the files go.

    Raises:
        WorkloadError: As `JobPlan.stages`.
        InputError: A task is larger than the service takes.
        OSError: The directory is full.
    """
    placed = replace(job, job_id=placeholder_of(job))
    numbers = count()
    written: list[NodeFile] = []
    for stage in placed.stages():
        for chunk in _chunks(stage):
            name = f"{next(numbers):05d}.jsonl.gz"
            path = directory / name
            with (
                path.open("wb") as stream,
                # without its name and its time, which would be other bytes each time
                gzip.GzipFile("", "wb", _LEVEL, stream, mtime=0) as packed,
            ):
                for task in chunk:
                    packed.write(task.body + b"\n")
            file = NodeFile(local=path, node_path=f"{FOLDER}/{name}", executable=False)
            written.append(file)
    return written


def _chunks(tasks: Iterator[PlannedTask]) -> Iterator[Iterator[PlannedTask]]:
    """Cuts tasks into what goes into a file; each is to be walked before the next is asked for."""

    def chunk(first: PlannedTask) -> Iterator[PlannedTask]:
        size = 0
        for number, task in enumerate(chain((first,), tasks), start=1):
            if len(task.body) > MAX_BYTES:
                raise too_large(task)
            yield task
            size += len(task.body)
            if number == TASKS_PER_FILE or size >= BYTES_PER_FILE:
                return

    while (first := next(tasks, None)) is not None:
        yield chunk(first)
