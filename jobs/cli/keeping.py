"""Verbs that keep the place in order: clean, doctor."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from jobs.cli.command import command
from jobs.client import Client
from jobs.errors import EXIT_OK, EXIT_SERVICE
from jobs.job import open_job
from jobs.job_ids import LAST
from jobs.options import (
    ColorOption,
    JobArgument,
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
from jobs.results import DEFAULT_ROOT
from jobs.session import Target


def clean(
    job: JobArgument = LAST,
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
    """Remove a job that is over, and what it left in storage.

    Shows first what that is, and asks. Results on this machine stay without --local.

    For example:

      python -m jobs clean mc-7f3a --dry-run

      python -m jobs clean mc-7f3a --local --yes
    """
    with command(json_output, quiet, verbose, color) as terminal:
        found = open_job(job, out, Target(stack=stack, outputs=outputs))
        left = found.leftovers(local=local)
        lines = list(left.lines())
        for line in lines:
            terminal.line(line)
        if not lines:
            terminal.note(f"nothing is left of {left.job_id}")
        removed = False
        if lines and not dry_run:
            if terminal.agreed("Remove it?", yes=yes, no_input=no_input):
                found.clean(left)
                removed = True
            terminal.note("removed" if removed else "nothing was removed")
        terminal.result(
            {
                "version": 1,
                "job_id": left.job_id,
                "removed": removed,
                "jobs": [name for name, _ in left.jobs],
                "blobs": {b.container: [len(b.names), b.size] for b in left.blobs},
                "local": None if left.tree is None else str(left.tree),
            }
        )


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
