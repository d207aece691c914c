"""Where a node and its tasks keep their files: every path convention of the nodes.

Layout of a node's root, as recorded from Linux nodes:

    applications/ fsmounts/ shared/ startup/ volatile/
    workitems/JOB/job-1/TASK/{wd/,certs/,stdout.txt,stderr.txt}

A job `SCHEDULE:job-2` of a schedule is under `workitems/SCHEDULE/job-2`. The start
task's own directory is `startup`.

Ids are checked here again, though the service checked them before: a path is made of
them, and removed with all that is under it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from functools import lru_cache
from pathlib import Path, PurePosixPath

from emulator.nodes.interface import NodeFacts, TaskLaunch

_OF_A_NODE = ("applications", "fsmounts", "shared", "startup", "volatile", "workitems")
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class OutsideError(ValueError):
    """A path from a task leads out of the directory that it must stay in."""


def node_root(nodes: Path, node: NodeFacts) -> Path:
    """`AZ_BATCH_NODE_ROOT_DIR` of a node."""
    return _node_root(nodes, node.pool_id, node.node_id)


@lru_cache(maxsize=1024)
def _node_root(nodes: Path, pool_id: str, node_id: str) -> Path:
    return nodes / _checked(pool_id) / _checked(node_id)


def make_node(root: Path) -> None:
    """Makes the directories of a node."""
    for name in _OF_A_NODE:
        (root / name).mkdir(parents=True, exist_ok=True)


def node_roots(nodes: Path) -> set[Path]:
    """The roots of all nodes that have one: what `node_root` may have named, and no link."""
    return {node for pool in _directories(nodes) for node in _directories(pool)}


def _directories(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return [
        path
        for path in parent.iterdir()
        if _ID.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]


def task_root(nodes: Path, launch: TaskLaunch) -> Path:
    """`AZ_BATCH_TASK_DIR` of a task."""
    root = node_root(nodes, launch.node)
    if launch.kind == "start":
        return root / "startup"
    for name in (*launch.job_id.split(":", 1), launch.task_id):
        _checked(name)
    return root / task_directory(launch.job_id, launch.task_id)


def task_directory(job_id: str, task_id: str) -> str:
    """A task's directory, relative to its node's root: what the service tells of it, too."""
    schedule, _, number = job_id.partition(":")
    return f"workitems/{schedule}/{number or 'job-1'}/{task_id}"


def _checked(name: str) -> str:
    if not _ID.fullmatch(name):
        raise OutsideError(f"not an id of the service: {name!r}")
    return name


def inside(directory: Path, relative: str) -> Path:
    """The path of a file in a directory, which it cannot leave, through a link neither.

    Raises:
        OutsideError: It is absolute, empty, climbs out or passes a link that leads out.
    """
    parts = PurePosixPath(relative)
    if not parts.parts or parts.is_absolute() or ".." in parts.parts or "\0" in relative:
        raise OutsideError(f"{relative!r} leads out of the task's working directory")
    path = directory / parts
    home = directory.resolve()
    if path.is_symlink() or not path.parent.resolve().is_relative_to(home):
        raise OutsideError(f"{relative!r} passes a link")
    return path


def task_directories(root: Path) -> tuple[str, ...]:
    """The directories of a task, parents first, by its `AZ_BATCH_TASK_DIR`."""
    return str(root), f"{root}/wd", f"{root}/certs"


def remove_tree(path: Path) -> None:
    """Removes a directory with all in it, directories that a task locked included."""
    if not path.exists():
        return
    try:
        shutil.rmtree(path)
    except FileNotFoundError:  # a part of it is gone already: somebody else removes it, too
        remove_tree(path)
    except PermissionError:
        for folder, names, _ in os.walk(path):
            for name in [".", *names]:
                with contextlib.suppress(OSError):
                    Path(folder, name).chmod(0o700, follow_symlinks=False)
        shutil.rmtree(path)
