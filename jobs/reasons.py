"""Why a submission's tasks are not those of the one before: which part of the plan differs.

Beside each manifest lies `plan.json`, a digest of each thing that decided on the tasks.
It holds no values, so that nothing that a file keeps to itself gets into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.checking import Checked
from jobs.errors import JobsError
from jobs.plan import JobPlan, changed_parts, row_parts
from jobs.results import Manifest, ResultTree, read_json, write_json

_FILE = "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What is different since a job of the same workload file.

    Attributes:
        job_id: That job.
        changes: In words; empty if nothing is.
    """

    job_id: str
    changes: tuple[str, ...]


def parts_file(tree: ResultTree) -> Path:
    """Where the parts of a tree's plan are noted."""
    return tree.root / _FILE


def keep_parts(tree: ResultTree, job: JobPlan) -> None:
    """Notes what the plan was made from.

    Raises:
        InputError: It cannot be written.
    """
    write_json(parts_file(tree), {"version": 1, "parts": dict(job.parts)})


def differing(tree: ResultTree, parts: Mapping[str, str]) -> tuple[str, ...] | None:
    """What differs from the plan of a tree; None where that was not noted."""
    try:
        before = read_json(parts_file(tree)).get("parts")
    except JobsError:
        return None
    return tuple(changed_parts(before, parts)) if isinstance(before, dict) else None


def same_rows(tree: ResultTree, checked: Checked) -> bool:
    """Whether a workload gives tasks the parameters that a tree was submitted with."""
    try:
        before = read_json(parts_file(tree)).get("parts")
    except JobsError:
        return False
    now = row_parts(checked)
    return isinstance(before, dict) and all(before.get(name) == now[name] for name in now)


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


def since_last(job: JobPlan, root: Path) -> Since | None:
    """What is different since the last job of the same workload file."""
    found = last_tree(job, root)
    if found is None:
        return None
    tree, manifest = found
    changes = differing(tree, job.parts)
    return None if changes is None else Since(job_id=manifest.job_id, changes=changes)
