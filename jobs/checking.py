"""Whether a workload fits its stack: everything that is wrong, before anything is made.

Nothing is built, hashed, made or sent here; a finding names the place in the file, and
all of them come at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jobs.errors import Finding, WorkloadError
from jobs.factories import Rows, expand
from jobs.inputs import InputFiles, NodeFile, clashes, input_files, node_file, program_files
from jobs.loading import LoadedWorkload
from jobs.spec import BUILD_NAMES, LOCAL_NAMES, RESERVED_NAMES
from jobs.stack import Pool, Stack
from jobs.templates import Scalar, Template, parse_template


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A workload that fits its stack; nothing built, hashed or sent yet.

    Attributes:
        workload: The file.
        stack: Where it goes.
        pool: The pool that it names.
        rows: Values for its tasks.
        program: Files that every task runs.
        inputs: Data files.
        task_inputs: Of inputs that tasks name by their values, all files together.
    """

    workload: LoadedWorkload
    stack: Stack
    pool: Pool
    rows: Rows
    program: tuple[NodeFile, ...]
    inputs: InputFiles
    task_inputs: tuple[NodeFile, ...]

    @property
    def input_files(self) -> tuple[NodeFile, ...]:
        """Every data file, once."""
        return tuple(dict.fromkeys((*self.inputs.common, *self.task_inputs)))


def check(workload: LoadedWorkload, stack: Stack) -> Checked:
    """Fits a workload to a stack.

    Raises:
        WorkloadError: With everything that is wrong: pool, files, names, factories.
    """
    findings: list[Finding] = []
    pool = stack.pools.get(workload.spec.pool)
    if pool is None:
        findings.append(_unknown_pool(workload, stack))
    else:
        findings.extend(_pool_findings(workload, pool))
    program, wrong = program_files(workload)
    findings.extend(wrong)
    inputs, wrong = input_files(workload)
    findings.extend(wrong)
    try:
        rows = expand(workload)
    except WorkloadError as error:
        findings.extend(error.findings)
        raise WorkloadError(_in_order(findings)) from error
    findings.extend(_name_findings(workload, rows))
    task_inputs: tuple[NodeFile, ...] = ()
    if not findings:
        task_inputs, wrong = _task_inputs(workload, rows, inputs)
        findings.extend(wrong)
    findings.extend(
        workload.finding(text, "inputs") for text in clashes([*program, *inputs.common])
    )
    if findings or pool is None:
        raise WorkloadError(_in_order(findings))
    return Checked(
        workload=workload,
        stack=stack,
        pool=pool,
        rows=rows,
        program=tuple(program),
        inputs=inputs,
        task_inputs=task_inputs,
    )


def _unknown_pool(workload: LoadedWorkload, stack: Stack) -> Finding:
    name = workload.spec.pool
    close = difflib.get_close_matches(name, stack.pools, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    known = ", ".join(sorted(stack.pools)) or "none"
    return workload.finding(
        f"stack {stack.stack} has no pool {name!r}, it has: {known}{hint}", "pool"
    )


def _pool_findings(workload: LoadedWorkload, pool: Pool) -> Iterator[Finding]:
    slots = workload.spec.resources.slots
    if slots > pool.task_slots_per_node:
        yield workload.finding(
            f"a task wants {slots} slots and a node of pool {workload.spec.pool!r} has "
            f"{pool.task_slots_per_node}: it would wait for ever",
            "resources",
            "slots",
        )
    if pool.identity_id is None:
        yield workload.finding(
            f"pool {workload.spec.pool!r} has no identity, so its nodes can neither read "
            "programs nor leave outputs: give it one in the stack's configuration",
            "pool",
        )
    if pool.max_nodes < 1:
        yield workload.finding(
            f"pool {workload.spec.pool!r} can have no node (max_nodes is 0)", "pool"
        )
    if pool.os == "windows" and workload.spec.script is not None:
        yield workload.finding(
            "is for /bin/sh, and the pool runs Windows: use `command`", "script"
        )


def _name_findings(workload: LoadedWorkload, rows: Rows) -> Iterator[Finding]:
    """Placeholders that nothing gives a value, and names that are the service's."""
    fixed = set(workload.spec.variables)
    for template, own, where in _templates(workload):
        allowed = fixed | (own if own is not None else {*rows.names, *RESERVED_NAMES})
        for name in sorted(template.names - allowed):
            close = difflib.get_close_matches(name, sorted(allowed), n=1)
            known = ", ".join(f"{{{n}}}" for n in sorted(allowed)) or "none"
            hint = f"did you mean {{{close[0]}}}?" if close else f"there is: {known}"
            yield workload.finding(f"nothing gives {{{name}}} a value; {hint}", *where)
    for name in workload.spec.environment:
        if name.upper().startswith("AZ_BATCH_"):
            text = "names that begin with AZ_BATCH_ are the service's"
            yield workload.finding(text, "environment", name)


def _templates(
    workload: LoadedWorkload,
) -> Iterator[tuple[Template, frozenset[str] | None, tuple[str | int, ...]]]:
    """Each template, the names it may use besides variables (None: a task's), its place."""
    spec = workload.spec
    for part in spec.command or ():
        yield parse_template(part), None, ("command",)
    if spec.script is not None:
        yield parse_template(spec.script, shell_text=True), None, ("script",)
    for name, value in spec.environment.items():
        yield parse_template(value), None, ("environment", name)
    for number, entry in enumerate(spec.inputs):
        yield parse_template(entry.path), None, ("inputs", number)
    for number, output in enumerate(spec.outputs):
        yield parse_template(output.pattern), None, ("outputs", number)
    build = spec.program.build if spec.program is not None else None
    for part in build.command if build is not None else ():
        yield parse_template(part), BUILD_NAMES, ("program", "build", "command")
    for key, command in (("merge", spec.merge), ("check", spec.check)):
        for part in command or ():
            yield parse_template(part), LOCAL_NAMES, (key,)


def own_files(
    workload: LoadedWorkload, rows: Rows, inputs: InputFiles, values: Mapping[str, Scalar]
) -> list[NodeFile]:
    """The files of one task: what its inputs name, and its file of a `files` factory."""
    own = inputs.for_task(workload, values) if inputs.by_task else []
    if rows.file_paths:
        path = workload.directory / str(values["file"])
        own.append(node_file(path, workload.directory, None))
    return list(dict.fromkeys(own))


def _task_inputs(
    workload: LoadedWorkload, rows: Rows, inputs: InputFiles
) -> tuple[tuple[NodeFile, ...], list[Finding]]:
    """Walks the tasks once, if what they need depends on their values."""
    if not inputs.by_task and not rows.file_paths:
        return (), []
    found: dict[NodeFile, None] = {}
    missing: dict[str, None] = {}
    for index, row in enumerate(rows.each()):
        values = {
            **workload.spec.variables,
            **dict(zip(rows.names, row, strict=True)),
            "index": index,
        }
        try:
            found.update(dict.fromkeys(own_files(workload, rows, inputs, values)))
        except ValueError as error:
            missing[str(error)] = None
    shown = list(missing)[:10]
    if len(missing) > len(shown):
        shown.append(f"and {len(missing) - len(shown)} more")
    return tuple(found), [workload.finding(text, "inputs") for text in shown]


def _in_order(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.line or 0)
