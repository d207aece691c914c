"""What was submitted as a schedule, noted so that each of its jobs can be given a result tree.

Nobody is there when Batch makes the jobs. So each plan that a schedule had is noted, in
`results/.schedules/SCHEDULE/PLAN/`, as the result tree of a job is begun
(`jobs.submission.begin_tree`): manifest, parts of the plan, and a digest of what each task is
given. A job's tree starts as a copy of the note of the plan that it was made from; an update
leaves the notes before it what they are. `schedule.json` names the plan that was submitted last.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.errors import InputError, shown
from jobs.job_ids import JOB_ID
from jobs.reasons import parts_file
from jobs.results import Manifest, ResultTree, read_json, write_json
from jobs.row_digests import rows_file
from jobs.session import Target
from jobs.whole_files import replacing_bytes

DIRECTORY = ".schedules"
_FILE = "schedule.json"
_PLAN = re.compile(r"[0-9a-f]{64}")
_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A plan of a schedule.

    Attributes:
        tree: Where it is noted.
        manifest: That of its jobs, but that `job_id` is the schedule's.
    """

    tree: ResultTree
    manifest: Manifest

    @property
    def schedule_id(self) -> str:
        """The schedule."""
        return self.manifest.job_id

    @property
    def target(self) -> Target:
        """The stack that it was submitted to."""
        return Target.of(self.manifest)

    def begin(self, tree: ResultTree, manifest: Manifest) -> None:
        """Begins the result tree of a job that was made from this plan; the manifest is last.

        Raises:
            InputError: It cannot be written.
        """
        for place in (parts_file, rows_file):
            source, path = place(self.tree), place(tree)
            try:
                if source.exists():
                    with source.open("rb") as content, replacing_bytes(path) as stream:
                        shutil.copyfileobj(content, stream)
            except OSError as error:
                raise InputError(f"{shown(path)} cannot be written: {error.strerror}") from error
        tree.write_manifest(manifest)


def note_of(schedule_id: str, plan: str, root: Path) -> ResultTree:
    """Where a plan of a schedule is noted.

    Args:
        schedule_id: The schedule.
        plan: Digest of the plan of its jobs, which each of them has in its metadata.
        root: Where result trees are.
    """
    return ResultTree(_directory(schedule_id, root) / plan)


def name_last(schedule_id: str, plan: str, root: Path) -> None:
    """Says that a plan, whose note is written, is what was submitted last.

    Raises:
        InputError: It cannot be written.
    """
    write_json(_file(schedule_id, root), {"version": _VERSION, "plan": plan})


def read_note(schedule_id: str, root: Path, plan: str | None = None) -> Note | None:
    """What was noted of a schedule; None if it was not submitted from here.

    Args:
        schedule_id: The schedule.
        root: Where result trees are.
        plan: Digest of the plan of one of its jobs; None: what was submitted last.

    Raises:
        InputError: The note is damaged, or of another version.
    """
    if JOB_ID.fullmatch(schedule_id) is None:
        return None
    if plan is None:
        path = _file(schedule_id, root)
        if not path.exists():
            return None
        plan = _plan_in(path, read_json(path))
    if _PLAN.fullmatch(plan) is None:
        return None
    tree = note_of(schedule_id, plan, root)
    if not tree.manifest_file.exists():
        return None
    return Note(tree=tree, manifest=tree.read_manifest())


def forget_notes(schedule_id: str, root: Path) -> None:
    """Removes what was noted of a schedule that is gone."""
    directory = _directory(schedule_id, root)
    if not directory.is_dir():
        return
    _file(schedule_id, root).unlink(missing_ok=True)
    for path in list(directory.iterdir()):
        if path.is_dir() and _PLAN.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix == ".json" and _PLAN.fullmatch(path.stem):
            path.unlink(missing_ok=True)  # of an earlier version
    if not any(directory.iterdir()):
        directory.rmdir()


def known_schedules(root: Path) -> Iterator[str]:
    """Schedules that were submitted from here, by id."""
    yield from sorted(path.parent.name for path in (root / DIRECTORY).glob(f"*/{_FILE}"))


def _plan_in(path: Path, values: dict[str, Any]) -> str:
    if values.get("version") != _VERSION:
        again = values.get("workload", "WORKLOAD")
        raise InputError(
            f"{shown(path)} is not of version {_VERSION}, which this checkout reads: submit the "
            f"schedule again, which changes nothing in Batch and notes it anew (python -m jobs "
            f"run {again})"
        )
    plan = values.get("plan")
    if not isinstance(plan, str) or _PLAN.fullmatch(plan) is None:
        raise InputError(f"{shown(path)} is damaged: it names no plan")
    return plan


def _directory(schedule_id: str, root: Path) -> Path:
    return root / DIRECTORY / schedule_id


def _file(schedule_id: str, root: Path) -> Path:
    return _directory(schedule_id, root) / _FILE
