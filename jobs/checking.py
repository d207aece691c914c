"""Whether a workload fits its stack: everything that is wrong, before anything is made.

Nothing is built, hashed, made or sent here; a finding names the place in the file, and
all of them come at once. Whether the pool is what its stack says is asked later, once,
by `jobs.binding`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from jobs.advice import Advice
from jobs.dependencies import Dependency, dependencies
from jobs.document import Location
from jobs.errors import Finding, StackError, WorkloadError
from jobs.factories import ListBlobs, Rows, expand
from jobs.inputs import InputFiles, NodeFile, clashes, input_files, node_file, program_files
from jobs.loading import LoadedWorkload, load_workload, named_pool
from jobs.pool_fit import pool_findings, pool_warnings, schedule_findings, schedule_warnings
from jobs.program_package import PLACEHOLDER, ProgramPackage, package_findings
from jobs.shell_words import shell_warnings
from jobs.spec import BUILD_NAMES, LOCAL_NAMES, RESERVED_NAMES
from jobs.spec_tasks import NodeCommand
from jobs.stack import Pool, Stack
from jobs.stages import StageView, stages_of
from jobs.templates import Scalar, Template, parse_template
from jobs.waiting import After, noted

T = TypeVar("T")
Place = tuple[Template, frozenset[str] | None, Location]
"""A template, the names it may use besides variables (None: its task's), where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedStage:
    """A stage that fits.

    Attributes:
        view: Its keys.
        rows: Values for its tasks.
        program: Files that every task runs.
        inputs: Data files.
        task_inputs: Of inputs that tasks name by their values, all files together.
        dependencies: What its tasks wait for.
    """

    view: StageView
    rows: Rows
    program: tuple[NodeFile, ...]
    inputs: InputFiles
    task_inputs: tuple[NodeFile, ...]
    dependencies: tuple[Dependency, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A workload that fits its stack; nothing built, hashed or sent yet.

    Attributes:
        workload: The file.
        stack: Where it goes.
        pool: The pool that it names.
        stages: Its stages, in an order in which they can run.
        preparation: Inputs of the job preparation.
        release: Inputs of the job release.
        warnings: What will work, and perhaps not as it is meant.
    """

    workload: LoadedWorkload
    stack: Stack
    pool: Pool
    stages: tuple[CheckedStage, ...]
    preparation: InputFiles
    release: InputFiles
    warnings: tuple[Advice, ...] = ()

    @property
    def count(self) -> int:
        """How many tasks there are, in all stages."""
        return sum(stage.rows.count for stage in self.stages)

    @property
    def stage_counts(self) -> dict[str, int]:
        """Tasks by stage, in order; empty for a file without stages."""
        return {stage.view.name: stage.rows.count for stage in self.stages if stage.view.name}

    @property
    def after(self) -> After:
        """What stages wait for, as it is noted."""
        return noted({stage.view.name: stage.view.after for stage in self.stages})

    @property
    def program(self) -> tuple[NodeFile, ...]:
        """Every file that tasks run, once."""
        return tuple(dict.fromkeys(file for stage in self.stages for file in stage.program))

    @property
    def packages(self) -> tuple[ProgramPackage, ...]:
        """Every application package that tasks run, once."""
        found = (ProgramPackage.of(stage.view.spec.program) for stage in self.stages)
        return tuple(dict.fromkeys(one for one in found if one is not None))

    @property
    def input_files(self) -> tuple[NodeFile, ...]:
        """Every data file that is staged, once."""
        return tuple(
            dict.fromkeys(
                (
                    *(f for s in self.stages for f in (*s.inputs.common, *s.task_inputs)),
                    *self.preparation.common,
                    *self.release.common,
                )
            )
        )


def check(
    workload: LoadedWorkload, stack: Stack, *, list_blobs: ListBlobs | None = None
) -> Checked:
    """Fits a workload to a stack.

    Args:
        workload: The file.
        stack: Where it is to go.
        list_blobs: Asks storage, for tasks that are one a blob; else nobody is asked.

    Raises:
        WorkloadError: With everything that is wrong: pool, files, names, factories.
    """
    findings: list[Finding] = []
    pool = stack.pools.get(workload.spec.pool)
    if pool is None:
        findings.append(workload.finding(_unknown_pool(workload.spec.pool, stack), "pool"))
    views = _collected(lambda: stages_of(workload), findings) or ()
    if pool is not None:
        findings.extend(pool_findings(workload, views, pool))
        findings.extend(schedule_findings(workload, stack, pool))
    for view in views:
        findings.extend(package_findings(workload, view, stack, pool))
    rows: dict[str, Rows] = {}
    for view in views:
        made = _collected(partial(expand, workload, view, list_blobs), findings)
        if made is not None:
            rows[view.name] = made
    counts = {view.name: (view, rows[view.name].count) for view in views if view.name in rows}
    stages = [
        _stage(
            workload, view, rows[view.name], counts if len(counts) == len(views) else {}, findings
        )
        for view in views
        if view.name in rows
    ]
    preparation, release = (
        _node_inputs(workload, key, findings) for key in ("preparation", "release")
    )
    findings.extend(_name_findings(workload, [(v, rows.get(v.name)) for v in views]))
    if not findings:
        stages = [_with_task_inputs(workload, stage, findings) for stage in stages]
    if findings or pool is None:
        raise WorkloadError(_in_order(findings))
    return Checked(
        workload=workload,
        stack=stack,
        pool=pool,
        stages=tuple(stages),
        preparation=preparation,
        release=release,
        warnings=(
            *shell_warnings(workload, views, pool),
            *pool_warnings(list(counts.values()), pool),
            *schedule_warnings(workload, views),
        ),
    )


def own_files(
    workload: LoadedWorkload, stage: CheckedStage, values: Mapping[str, Scalar]
) -> list[NodeFile]:
    """The files of one task: what its inputs name, and its file of a `files` factory."""
    own = stage.inputs.for_task(workload, values) if stage.inputs.by_task else []
    if stage.rows.file_paths:
        path = workload.directory / str(values["file"])
        own.append(node_file(path, workload.directory, None))
    return list(dict.fromkeys(own))


def load_for(
    path: Path, overrides: Iterable[str], load_stack: Callable[[], Stack]
) -> LoadedWorkload:
    """Loads a workload file that is for a stack: a pool that this lacks is told with the rest.

    Args:
        path: As for `load_workload`.
        overrides: As for `load_workload`.
        load_stack: Reads the stack; called only if something is wrong with the file.

    Raises:
        WorkloadError: With every finding.
    """
    try:
        return load_workload(path, overrides)
    except WorkloadError as error:
        named = named_pool(path, overrides)
        if named is None:
            raise
        document, pool = named
        try:
            stack = load_stack()
        except StackError as wrong:
            raise WorkloadError([*error.findings, *wrong.findings]) from error
        if pool in stack.pools:
            raise
        unknown = document.finding(("pool",), _unknown_pool(pool, stack))
        raise WorkloadError(_in_order([*error.findings, unknown])) from error


def _unknown_pool(name: str, stack: Stack) -> str:
    close = difflib.get_close_matches(name, stack.pools, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    known = ", ".join(sorted(stack.pools)) or "none"
    return f"stack {stack.stack} has no pool {name!r}, it has: {known}{hint}"


def _collected(make: Callable[[], T], findings: list[Finding]) -> T | None:
    """What is made, or None and its findings among the others."""
    try:
        return make()
    except WorkloadError as error:
        findings.extend(error.findings)
        return None


def _stage(
    workload: LoadedWorkload,
    view: StageView,
    rows: Rows,
    counts: Mapping[str, tuple[StageView, int]],
    findings: list[Finding],
) -> CheckedStage:
    """A stage with its files; `counts` is empty where those of other stages are not known."""
    program, wrong = program_files(workload, view)
    findings.extend(wrong)
    inputs, wrong = input_files(workload, view.spec.inputs, view.place("inputs"))
    findings.extend(wrong)
    findings.extend(
        workload.finding(text, *view.place("inputs"))
        for text in clashes([*program, *inputs.common])
    )
    waits: list[Dependency] = []
    if counts:
        waits, wrong = dependencies(workload, view, counts)
        findings.extend(wrong)
    for number, entry in enumerate(view.spec.inputs):
        if entry.stage is not None and entry.stage not in view.after:
            way = entry.stage if entry.stage != view.name else f"{{{view.name}: previous}}"
            findings.append(
                workload.finding(
                    f"is what {entry.stage} leaves: add `after: {way}`"
                    if view.name
                    else "`from` names another stage, and this file has none",
                    *view.place("inputs", number),
                )
            )
    return CheckedStage(
        view=view,
        rows=rows,
        program=tuple(program),
        inputs=inputs,
        task_inputs=(),
        dependencies=tuple(waits),
    )


def _node_inputs(workload: LoadedWorkload, key: str, findings: list[Finding]) -> InputFiles:
    """Inputs of the job preparation or release: the same on every node."""
    spec: NodeCommand | None = getattr(workload.spec, key)
    if spec is None:
        return InputFiles()
    made, wrong = input_files(workload, spec.inputs, (key, "inputs"))
    findings.extend(wrong)
    if made.by_task or made.stages:
        findings.append(
            workload.finding("is no task: its inputs are the same on every node", key, "inputs")
        )
    return made


def _name_findings(
    workload: LoadedWorkload, stages: Sequence[tuple[StageView, Rows | None]]
) -> Iterator[Finding]:
    """Placeholders that nothing gives a value, and names that are the service's."""
    fixed = set(workload.spec.variables)
    seen: set[Finding] = set()
    for view, rows in stages:
        if rows is None:
            continue
        own_names = {*rows.names, *RESERVED_NAMES, *_stage_names(view)}
        for template, own, where in _templates(view):
            allowed = fixed | (own_names if own is None else own)
            if ProgramPackage.of(view.spec.program) and {"command", "script"} & {*where}:
                allowed = allowed | {PLACEHOLDER}
            yield from _unnamed(workload, template, allowed, where, seen)
        for name in view.spec.environment:
            if name.upper().startswith("AZ_BATCH_"):
                text = "names that begin with AZ_BATCH_ are the service's"
                yield workload.finding(text, *view.place("environment", name))
    for template, own, where in _file_templates(workload):
        yield from _unnamed(workload, template, fixed | (own or set()), where, seen)


def _stage_names(view: StageView) -> list[str]:
    """Placeholders of the directories with other stages' outputs."""
    return [entry.stage for entry in view.spec.inputs if entry.stage is not None]


def _unnamed(
    workload: LoadedWorkload,
    template: Template,
    allowed: set[str] | frozenset[str],
    where: Location,
    seen: set[Finding],
) -> Iterator[Finding]:
    for name in sorted(template.names - allowed):
        close = difflib.get_close_matches(name, sorted(allowed), n=1)
        known = ", ".join(f"{{{n}}}" for n in sorted(allowed)) or "none"
        hint = f"did you mean {{{close[0]}}}?" if close else f"there is: {known}"
        finding = workload.finding(f"nothing gives {{{name}}} a value; {hint}", *where)
        if finding not in seen:
            seen.add(finding)
            yield finding


def _templates(view: StageView) -> Iterator[Place]:
    """The templates of a stage."""
    spec = view.spec
    for part in spec.command or ():
        yield parse_template(part), None, view.place("command")
    if spec.script is not None:
        yield parse_template(spec.script, shell_text=True), None, view.place("script")
    if spec.multi_instance is not None:
        for part in spec.multi_instance.coordination or ():
            yield parse_template(part), None, view.place("multi_instance", "coordination")
    for name, value in spec.environment.items():
        yield parse_template(value), None, view.place("environment", name)
    for number, entry in enumerate(spec.inputs):
        text = entry.path or entry.url or entry.blobs or ""
        yield parse_template(text), None, view.place("inputs", number)
    for number, output in enumerate(spec.outputs):
        yield parse_template(output.pattern), None, view.place("outputs", number)
    build = spec.program.build if spec.program is not None else None
    for part in build.command if build is not None else ():
        yield parse_template(part), BUILD_NAMES, view.place("program", "build", "command")


def _file_templates(workload: LoadedWorkload) -> Iterator[Place]:
    """The templates that belong to no task."""
    spec = workload.spec
    for key, command in (("merge", spec.merge), ("check", spec.check)):
        for part in command or ():
            yield parse_template(part), LOCAL_NAMES, (key,)
    nothing: frozenset[str] = frozenset()
    for name, text in spec.tags.items():
        yield parse_template(text), nothing, ("tags", name)
    for key, node in (("preparation", spec.preparation), ("release", spec.release)):
        if node is None:
            continue
        for part in node.command or ():
            yield parse_template(part), nothing, (key, "command")
        if node.script is not None:
            yield parse_template(node.script, shell_text=True), nothing, (key, "script")
        for name, value in node.environment.items():
            yield parse_template(value), nothing, (key, "environment", name)


def _with_task_inputs(
    workload: LoadedWorkload, stage: CheckedStage, findings: list[Finding]
) -> CheckedStage:
    """Walks the tasks once, if what they need depends on their values."""
    if not stage.inputs.by_task and not stage.rows.file_paths:
        return stage
    found: dict[NodeFile, None] = {}
    missing: dict[str, None] = {}
    for index, row in enumerate(stage.rows.each()):
        values = {
            **workload.spec.variables,
            **dict(zip(stage.rows.names, row, strict=True)),
            "index": index,
        }
        try:
            found.update(dict.fromkeys(own_files(workload, stage, values)))
        except ValueError as error:
            missing[str(error)] = None
    shown = list(missing)[:10]
    if len(missing) > len(shown):
        shown.append(f"and {len(missing) - len(shown)} more")
    findings.extend(workload.finding(text, *stage.view.place("inputs")) for text in shown)
    return replace(stage, task_inputs=tuple(found))


def _in_order(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.line or 0)
