"""What of a task's files goes to storage, and where to: its `outputFiles`.

A task's streams and the reason it may give go to the logs' container whatever became of it,
what its outputs name to the outputs' container, both below `JOB/TASK/`. Where no output has a
placeholder, tasks differ in that folder alone, and the rest is serialised once: the members
of a hundred thousand tasks are most of what a submission computes.
"""

from __future__ import annotations

import glob
import uuid
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import orjson

from jobs.checking import Checked
from jobs.command_lines import COORDINATION, SHARED
from jobs.report import REASON_FILE
from jobs.spec import Tasks
from jobs.templates import Scalar, parse_template

_CONDITIONS = {"always": "taskcompletion", "succeeded": "tasksuccess", "failed": "taskfailure"}
_LOGS = ("stdout.txt", "stderr.txt")
# Stands for the folder in what is serialised once; nobody's text has it.
_FOLDER = uuid.uuid4().hex


class OutputFiles:
    """The output files of one stage's tasks."""

    def __init__(self, checked: Checked, spec: Tasks) -> None:
        """Takes what was checked, and the stage's part of the workload."""
        self._stack = checked.stack
        self._identity = checked.pool.identity_reference
        # The node takes patterns from a task's own directory, MPI's is another.
        shared = spec.multi_instance is not None and checked.pool.os != "windows"
        self._above = f"{SHARED}/" if shared else ""
        self._outputs = [(parse_template(one.pattern), one) for one in spec.outputs]
        constant = all(pattern.constant for pattern, _ in self._outputs)
        self._told = self._described({}) if constant else None
        self._text = orjson.dumps(self._members(_FOLDER, {})) if constant else None

    def described(self, values: Mapping[str, Scalar]) -> list[Any]:
        """What a task's outputs are, without the job they are of: for the hash of what it does.

        Raises:
            ValueError: A value does not fit a placeholder's format.
        """
        return self._described(values) if self._told is None else self._told

    def members(self, folder: str, values: Mapping[str, Scalar]) -> Any:
        """The list as the service takes it, serialised where it can be.

        Args:
            folder: `JOB/TASK`, of letters that JSON does not escape.
            values: Of the placeholders.
        """
        if self._text is None:
            return self._members(folder, values)
        return orjson.Fragment(self._text.replace(_FOLDER.encode(), folder.encode()))

    def _described(self, values: Mapping[str, Scalar]) -> list[Any]:
        return [(pattern.render(values), one.when, one.to) for pattern, one in self._outputs]

    def _members(self, folder: str, values: Mapping[str, Scalar]) -> list[dict[str, Any]]:
        logs = self._stack.logs_container
        members = [self._file(f"../{name}", logs, f"{folder}/{name}", "always") for name in _LOGS]
        # a wildcard: most tasks give no reason, and what a pattern does not find is no error
        members.append(self._file(f"../{REASON_FILE}*", logs, folder, "always"))
        if self._above:
            # of the first node: those of the others are fetched there (jobs.node_logs)
            path = f"{folder}/{COORDINATION}/0"
            members.append(self._file(f"../{COORDINATION}/std*.txt", logs, path, "always"))
        for template, one in self._outputs:
            pattern = template.render(values)
            path = "/".join([folder, *below(pattern, one.to)])
            members.append(
                self._file(self._above + pattern, self._stack.outputs_container, path, one.when)
            )
        return members

    def _file(self, pattern: str, container: str, path: str, when: str) -> dict[str, Any]:
        return {
            "filePattern": pattern,
            "destination": {
                "container": {
                    "containerUrl": f"{self._stack.blob_endpoint}/{container}",
                    "path": path,
                    "identityReference": self._identity,
                }
            },
            "uploadOptions": {"uploadCondition": _CONDITIONS[when]},
        }


@lru_cache(maxsize=1024)
def below(pattern: str, to: str | None) -> tuple[str, ...]:
    """Where what a pattern matches goes, so that it keeps its path in the task's directory.

    Without a wildcard the service takes it for the blob's name; with one, for the
    directory to which it appends the path from the first part with a wildcard on.
    """
    parts = PurePosixPath(pattern).parts
    fixed: list[str] = []
    for part in parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    if to is None:
        return tuple(fixed)
    inside = fixed[-1:] if len(fixed) == len(parts) else []
    return (*PurePosixPath(to).parts, *inside)
