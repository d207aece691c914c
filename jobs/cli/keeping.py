"""Verbs that keep the place in order: clean, doctor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from jobs.clean import Leftovers
from jobs.cli.command import command
from jobs.client import Client
from jobs.elsewhere import tree_at, trees_on
from jobs.errors import EXIT_OK, EXIT_SERVICE, JobsError
from jobs.job import Job
from jobs.job_ids import ALL, LAST
from jobs.options import (
    ColorOption,
    JobsArgument,
    JsonOption,
    NoInputOption,
    OfOutputsOption,
    OfStackOption,
    OutOption,
    OutputsOption,
    QuietOption,
    StackOption,
    VerboseOption,
    YesOption,
)
from jobs.results import DEFAULT_ROOT, ResultTree, names_several
from jobs.schedule_jobs import find_trees
from jobs.session import Session, Target
from jobs.terminal import Terminal


def clean(
    jobs: JobsArgument = LAST,
    local: Annotated[
        bool, typer.Option("--local", help="The results on this machine, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only show what would be removed.")
    ] = False,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    stack: OfStackOption = None,
    outputs: OfOutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Remove jobs that are over, and what they left in storage.

    Shows first what that is, and asks once. Results on this machine stay without --local. Of
    several jobs those stay that are not over, and the exit code says so.

    For example:

      python -m jobs clean mc-7f3a --dry-run

      python -m jobs clean mc-7f3a --local --yes

      python -m jobs clean all
    """
    code = EXIT_OK
    with command(json_output, quiet, verbose, color) as terminal:
        target = Target(stack=stack, outputs=outputs)
        several = names_several(jobs, out)
        trees = find_trees(jobs, out)
        if jobs == ALL:
            trees = trees_on(trees, target)
        found, stay = _leftovers(trees, target, local)
        _require_more_than(stay, several=several)
        some = _show(found, terminal, several=several)
        removed: set[str] = set()
        if some and not dry_run:
            if terminal.agreed("Remove it?", yes=yes, no_input=no_input):
                removed = _removed(found, stay)
                _require_more_than(stay, several=several)
            terminal.note("removed" if removed else "nothing was removed")
        rows = {left.job_id: _row(left, left.job_id in removed) for _, left in found}
        for job_id, error in stay.items():
            rows[job_id] = {**rows.get(job_id, {"job_id": job_id}), "error": str(error)}
        told = [*rows.values()]
        terminal.result({"version": 1, **({"jobs": told} if several else told[0])})
        for job_id, error in stay.items():
            terminal.error(f"{job_id} stays: {error}")
            code = code or error.exit_code
    raise typer.Exit(code)


def _require_more_than(stay: Mapping[str, JobsError], *, several: bool) -> None:
    """Ends the command with what is wrong with the one job that was asked for.

    Raises:
        JobsError: That.
    """
    if stay and not several:
        raise next(iter(stay.values()))


def _show(found: Iterable[tuple[Job, Leftovers]], terminal: Terminal, *, several: bool) -> bool:
    """Shows what there is to remove; whether that is anything."""
    some = False
    for _, left in found:
        lines = [*left.lines()]
        some = some or bool(lines)
        if lines and several:
            terminal.line(f"{left.job_id}:")
        for line in lines:
            terminal.line(f"  {line}" if several else line)
        if not lines:
            terminal.note(f"nothing is left of {left.job_id}")
    return some


def _leftovers(
    trees: Iterable[ResultTree], target: Target, local: bool
) -> tuple[list[tuple[Job, Leftovers]], dict[str, JobsError]]:
    """What each job has left, and why the others stay."""
    found: list[tuple[Job, Leftovers]] = []
    stay: dict[str, JobsError] = {}
    stacks: dict[Target, Session | JobsError] = {}
    for tree in trees:
        try:
            there = tree_at(tree, target)
            of = Target.of(there.read_manifest())
            if of not in stacks:
                stacks[of] = _session(of)
            session = stacks[of]
            if isinstance(session, JobsError):
                raise session
            job = Job(tree=there, session=session)
            found.append((job, job.leftovers(local=local)))
        except JobsError as error:
            stay[tree.root.name] = error
    return found, stay


def _session(target: Target) -> Session | JobsError:
    try:
        return Session(stack=target.load())
    except JobsError as error:
        return error


def _removed(found: Iterable[tuple[Job, Leftovers]], stay: dict[str, JobsError]) -> set[str]:
    """Removes what was shown; which jobs' leftovers went, the others are noted in `stay`."""
    removed = set()
    for job, left in found:
        if not [*left.lines()]:
            continue
        try:
            job.clean(left)
        except JobsError as error:
            stay[left.job_id] = error
        else:
            removed.add(left.job_id)
    return removed


def _row(left: Leftovers, removed: bool) -> dict[str, Any]:
    return {
        "job_id": left.job_id,
        "removed": removed,
        "jobs": [name for name, _ in left.jobs],
        "blobs": {b.container: [len(b.names), b.size] for b in left.blobs},
        "local": None if left.tree is None else str(left.tree),
    }


def doctor(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Check what is between this machine and a job.

    The stack's outputs, credentials, Batch, each pool, each container, the result
    directory. Exit code 3 if something is wrong.

    For example:

      python -m jobs doctor --stack dev
    """
    with command(json_output, quiet, verbose, color) as terminal:
        checks = []
        for check in Client(stack=stack, outputs=outputs, out=out).doctor():
            checks.append(check)
            terminal.line(f"{'ok ' if check.ok else 'BAD'}  {check.name}: {check.text}")
        bad = sum(not check.ok for check in checks)
        terminal.result(
            {"version": 1, "ok": bad == 0, "checks": [asdict(check) for check in checks]}
        )
        if bad:
            terminal.error(f"{bad} of {len(checks)} checks failed")
    raise typer.Exit(EXIT_SERVICE if bad else EXIT_OK)
