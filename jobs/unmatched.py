"""Outputs that a workload names and tasks did not leave: told, because to Batch they are no error.

A task that leaves nothing of what its file asks for has succeeded for the service. What came
is known from the names of the collected files, so that nothing is asked and nothing listed
again. A placeholder stands for anything: of a task's own files only those are there that one
of its patterns matched. Outputs that are no longer those of the submission are not judged.
"""

from __future__ import annotations

import glob
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from jobs.advice import OUTPUTS, Advice
from jobs.collect import known_files
from jobs.errors import JobsError
from jobs.loading import load_workload
from jobs.output_files import below
from jobs.plan import output_parts
from jobs.reasons import submitted_as
from jobs.results import ResultTree
from jobs.selection import position
from jobs.spec_tasks import Output
from jobs.stages import StageView, stage_number, stages_of
from jobs.templates import parse_template
from jobs.terminal import counted

_ANYTHING = "\0"
"""Stands for a placeholder's value."""
_PIECE = re.compile(r"(\*\*/)|(\*\*)|(\*)|(\?|\[[^]]+\])|(\0)")
_MEANS = (r"(?:.*/)?", r".*", r"[^/]*", r"[^/]", r".*")
_ENDED = re.compile(r"logs/([^/]+)/stdout\.txt")


def output_warnings(tree: ResultTree, succeeded: Collection[str] | None = None) -> list[Advice]:
    """A warning for each output that nothing matched in some task.

    Args:
        tree: What was collected.
        succeeded: Ids of the tasks that succeeded: of them `always` and `succeeded` are
            expected. None where that is not known: `always`, of every task that has ended, as
            its log tells. What only failed tasks are to leave is expected of none.
    """
    stages = _submitted_stages(tree)
    if not any(stage.spec.outputs for stage in stages):
        return []
    known = known_files(tree)
    if succeeded is None:
        expected, ended = {"always"}, [m[1] for m in map(_ENDED.fullmatch, known) if m]
    else:
        expected, ended = {"always", "succeeded"}, list(succeeded)
    by_stage: dict[int, list[str]] = defaultdict(list)
    for task in ended:
        by_stage[stage_number(position(task))].append(task)
    left = _Left(known)
    found = []
    for stage in stages:
        tasks = by_stage[stage.number]
        for output in stage.spec.outputs:
            none = 0 if output.when not in expected else left.without(output, tasks)
            if none:
                where = f"{stage.title}: " if stage.title else ""
                message = (
                    f"{where}{output.pattern} matched nothing in {none:,} of "
                    f"{counted(len(tasks), 'task')}"
                )
                found.append(Advice(code=OUTPUTS, message=message))
    return found


def left_as(output: Output) -> str:
    """What the blobs are called, below their task, that an output leaves: a name or a pattern."""
    template = parse_template(output.pattern)
    text = "".join(piece if isinstance(piece, str) else _ANYTHING for piece in template.pieces)
    parts = PurePosixPath(text).parts
    wild = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return "/".join((*below(text, output.to), *parts[wild:]))


class _Left:
    """The collected names, by their task where that is needed."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known
        self._names: dict[str, list[str]] | None = None

    def without(self, output: Output, tasks: Collection[str]) -> int:
        """How many of the tasks left nothing of an output."""
        name = left_as(output)
        if _PIECE.search(name) is None:  # the same in every task
            return sum(f"outputs/{task}/{name}" not in self._known for task in tasks)
        names, matches = self._of_tasks(), re.compile(_expression(name), re.DOTALL).fullmatch
        return sum(not any(map(matches, names.get(task, ()))) for task in tasks)

    def _of_tasks(self) -> Mapping[str, list[str]]:
        if self._names is None:
            self._names = defaultdict(list)
            for name in self._known:
                kind, _, rest = name.partition("/")
                if kind == "outputs":
                    task, _, inside = rest.partition("/")
                    self._names[task].append(inside)
        return self._names


def _expression(text: str) -> str:
    """A pattern of output files as a regular expression; brackets as any one character."""
    expression, at = "", 0
    for match in _PIECE.finditer(text):
        expression += re.escape(text[at : match.start()]) + _MEANS[(match.lastindex or 1) - 1]
        at = match.end()
    return expression + re.escape(text[at:])


def _submitted_stages(tree: ResultTree) -> list[StageView]:
    """The stages whose outputs are still those that they were submitted with."""
    manifest = tree.read_manifest()
    before = submitted_as(tree, manifest)
    if before is None:
        return []
    try:
        stages = stages_of(load_workload(Path(manifest.workload), manifest.overrides))
    except JobsError:
        return []  # the file is another one by now
    now = output_parts(stages)
    return [
        stage
        for (name, digest), stage in zip(now.items(), stages, strict=True)
        if before.parts.get(name) == digest
    ]
