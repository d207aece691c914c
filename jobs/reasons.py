"""Why a submission's tasks are not those of the one before: which part of the plan differs.

Beside each manifest lies `plan.json`, a digest of each thing that decided on the tasks.
It holds no values, so that nothing that a file keeps to itself gets into it.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.checking import Checked
from jobs.contents import Contents
from jobs.errors import InputError, JobsError, shown
from jobs.plan import (
    FILE_PART,
    ROW_PARTS,
    JobPlan,
    changed_parts,
    differing_parts,
    row_parts,
)
from jobs.results import Manifest, ResultTree, read_json, write_json
from jobs.row_digests import differing_rows
from jobs.spec import INHERITED, OWN
from jobs.stages import shown_position, stage_names, stage_number
from jobs.terminal import counted

_FILE = "plan.json"


WHOLE_JOB = "*"
"""In place of a stage's name: what no single stage has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the same workload file was submitted as before.

    Attributes:
        job_id: That job.
        parts: Of its plan.
        tree: Its results.
        manifest: What is noted there.
    """

    job_id: str
    parts: Mapping[str, str]
    tree: ResultTree
    manifest: Manifest

    def since(self, job: JobPlan) -> dict[str, Any]:
        """What is different now, in words, for `--json`."""
        return {"job_id": self.job_id, "changes": changed_parts(self.parts, job.parts)}

    def new_files(self, contents: Mapping[Path, Contents]) -> list[Path]:
        """Files whose contents that job did not have, under any name."""
        had = {digest for name, digest in self.parts.items() if name.startswith(FILE_PART)}
        return sorted(path for path, one in contents.items() if one.sha256 not in had)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A part of a plan that is not what it was.

    Attributes:
        part: In the words of the workload file, without its stage.
        what: `changed`, `is new` or `is gone`.
    """

    part: str
    what: str

    def __str__(self) -> str:
        """For a person."""
        return f"{self.part} {self.what}"


def parts_file(tree: ResultTree) -> Path:
    """Where the parts of a tree's plan are noted."""
    return tree.root / _FILE


def keep_parts(tree: ResultTree, job: JobPlan) -> None:
    """Notes what the plan was made from.

    Raises:
        InputError: It cannot be written.
    """
    write_parts(tree, job.parts)


def write_parts(tree: ResultTree, parts: Mapping[str, str]) -> None:
    """Notes parts of a plan, as `keep_parts`.

    Raises:
        InputError: They cannot be written.
    """
    write_json(parts_file(tree), {"version": 1, "parts": dict(parts)})


def differing(tree: ResultTree, parts: Mapping[str, str]) -> tuple[str, ...] | None:
    """What differs from the plan of a tree; None where that was not noted."""
    try:
        before = read_json(parts_file(tree)).get("parts")
    except JobsError:
        return None
    return tuple(changed_parts(before, parts)) if isinstance(before, dict) else None


def same_rows(tree: ResultTree, checked: Checked) -> bool:
    """Whether a workload gives tasks the parameters that a tree was submitted with."""
    before, now = submitted_as(tree, tree.read_manifest()), row_parts(checked)
    return before is not None and all(before.parts.get(name) == now[name] for name in now)


def require_same_rows(
    tree: ResultTree, checked: Checked, numbers: Collection[int]
) -> frozenset[int]:
    """Refuses to run tasks again where others are at their positions by now.

    Commands, variables, programs and inputs may have changed: a rerun is with those of now. So
    may what the tasks are given that run again, as a mended line of a table. If that of a task
    changed that does not, or there are more or fewer, lines may have moved.

    Args:
        tree: The result tree.
        checked: Its workload as it is now.
        numbers: The tasks that are to run again.

    Returns:
        Those of them that are given something else now.

    Raises:
        InputError: What gives other tasks of one of their stages their values has changed, or
            it was not noted what it was.
    """
    manifest = tree.read_manifest()
    mended: frozenset[int] = frozenset()
    told = _moved(tree, manifest, checked, numbers)
    if not told and (changes := _changed_rows(tree, manifest, checked, numbers)):
        mended, other = _mended(tree, manifest, checked, numbers)
        told = f"{', '.join(changes)} ({other})" if other else ""
    if told:
        raise InputError(
            f"job {manifest.job_id} had other tasks: {told}, so that what the file "
            "has at a position may be another task than ran there. Bring that back to what it "
            f"was, or submit anew: python -m jobs.run {shlex.quote(manifest.workload)}. "
            "--allow-changed (allow_changed) runs what is there now, in place of what ran"
        )
    return mended


def _moved(
    tree: ResultTree, manifest: Manifest, checked: Checked, numbers: Collection[int]
) -> str:
    """Why nothing can be said of tasks' positions, in words; empty where it can."""
    if submitted_as(tree, manifest) is None:
        return f"it is not known which, without {shown(parts_file(tree))}"
    were, are = stage_names(manifest.stages), stage_names(checked.stage_counts)
    stages = sorted({stage_number(number) for number in numbers}) if were or are else []
    return ", ".join(
        f"stage {were.get(number, number)} is not where it was"
        for number in stages
        if were.get(number) != are.get(number) or number not in were or number not in are
    )


def _changed_rows(
    tree: ResultTree, manifest: Manifest, checked: Checked, numbers: Collection[int]
) -> list[str]:
    """What gives the tasks of these stages their values and is another by now, in words."""
    noted = submitted_as(tree, manifest)
    before = {} if noted is None else noted.parts
    names = stage_names(manifest.stages)
    stages = sorted({stage_number(number) for number in numbers})
    places = [f"{names[number]}." for number in stages if number in names] or [""]
    now = row_parts(checked)
    wanted = {f"{place}{name}" for place in places for name in ROW_PARTS}
    return changed_parts(
        {name: digest for name, digest in before.items() if name in wanted},
        {name: digest for name, digest in now.items() if name in wanted},
    )


def _mended(
    tree: ResultTree, manifest: Manifest, checked: Checked, numbers: Collection[int]
) -> tuple[frozenset[int], str]:
    """Tasks among these that are given something else now; why there may be others, in words."""
    found: set[int] = set()
    names = stage_names(manifest.stages)
    wanted = {stage_number(number) for number in numbers}
    for stage in (one for one in checked.stages if one.view.number in wanted):
        had = manifest.stages.get(stage.view.name, manifest.tasks)
        if had != stage.rows.count:
            return frozenset(), f"{counted(had, 'task')} then, {stage.rows.count:,} now"
        positions = differing_rows(tree, manifest, stage)
        if positions is None:
            return frozenset(), "of which tasks was not noted"
        for number in map(stage.view.task_number, positions):
            if number not in numbers:
                return frozenset(), f"of {shown_position(number, names)}, too, which does not run"
            found.add(number)
    return frozenset(found), ""


def last_tree(job: JobPlan, root: Path) -> tuple[ResultTree, Manifest] | None:
    """The latest result tree of the same workload file, if there is one."""
    workload = str(job.checked.workload.path.absolute())
    latest: tuple[str, ResultTree, Manifest] | None = None
    for path in root.glob("*/job.json"):
        tree = ResultTree(path.parent)
        try:
            manifest = tree.read_manifest()
        except JobsError:
            continue
        known = manifest.workload == workload and manifest.job_id != job.job_id
        if known and (latest is None or manifest.created > latest[0]):
            latest = (manifest.created, tree, manifest)
    return None if latest is None else latest[1:]


def last_job(job: JobPlan, root: Path) -> Before | None:
    """The last job of the same workload file, if what it was made from was noted."""
    found = last_tree(job, root)
    return None if found is None else submitted_as(*found)


def submitted_as(tree: ResultTree, manifest: Manifest) -> Before | None:
    """What a result tree was submitted as, if that was noted."""
    try:
        parts = read_json(parts_file(tree)).get("parts")
    except JobsError:
        return None
    if not isinstance(parts, dict):
        return None
    return Before(job_id=manifest.job_id, parts=parts, tree=tree, manifest=manifest)


def stage_changes(before: Before, job: JobPlan) -> dict[str, tuple[Change, ...]]:
    """What changed since a job, by stage; what no stage has is under `WHOLE_JOB`.

    A file belongs to every stage that has it. In a file without stages there is one, called "".
    """
    files: dict[str, list[str]] = defaultdict(list)
    for stage in job.checked.stages:
        for file in (*stage.program, *stage.inputs.common, *stage.task_inputs):
            files[file.node_path].append(stage.view.name)
    names = {stage.view.name for stage in job.checked.stages}
    known = {name.partition(".")[0] for name in before.parts if "." in name}
    found: dict[str, dict[Change, None]] = defaultdict(dict)
    for name, what in differing_parts(before.parts, job.parts):
        if name.startswith(FILE_PART):
            whose = files.get(name.removeprefix(FILE_PART), [WHOLE_JOB])
            change = Change(part=name, what=what)
        elif "." in name:
            stage_name, _, part = name.partition(".")
            whose = [stage_name if stage_name in names else WHOLE_JOB]
            change = Change(part=part, what=what)
            if stage_name not in names or stage_name not in known:
                change = Change(part=f"stage {stage_name}", what=what)
        else:
            own = names == {""} and name in (*OWN, *INHERITED, *ROW_PARTS)
            whose = ["" if own else WHOLE_JOB]
            change = Change(part=name, what=what)
        for one in whose:
            found[one][change] = None
    return {name: tuple(changes) for name, changes in found.items()}
