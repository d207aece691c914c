"""`python -m scan`: scans every stack and says what is new.

Results go to stdout, progress and errors to stderr. Exit status: 0 everything that was found
is excepted and every exception still holds, 1 not so, 2 it could not be scanned.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from scan.checkov import Answer, ensure_installed, scan
from scan.errors import ScanError
from scan.exceptions import FILE, Verdict, judge, read_exceptions
from scan.stacks import registered, scanned_stacks, stack_config
from scan.template import Template, arm_template

COULD_NOT = 2

app = typer.Typer(
    name="scan",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(
    epilog="Examples: python -m scan   python -m scan --stack prod --reasons   "
    "python -m scan --templates build/arm"
)
def command(
    stack: Annotated[
        list[str] | None,
        typer.Option("--stack", "-s", help="A stack; may be repeated. All when left out."),
    ] = None,
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Print what is excepted, and why.")
    ] = False,
    templates: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the templates there, and scan nothing."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Scan what stacks register with checkov, and hold it against scan/exceptions.yaml."""
    exceptions = read_exceptions()
    names = tuple(sorted(set(stack or scanned_stacks())))
    made = {name: _template(name) for name in names}
    if templates is not None:
        _write(made, templates)
        return
    ensure_installed()
    answer = scan(made)
    # An exception of several stacks is judged where all of them are.
    complete = set(names) == set(scanned_stacks())
    verdict = judge(answer.failures, exceptions, scanned=names, complete=complete)
    if as_json:
        typer.echo(json.dumps(_json(names, answer, verdict), indent=2))
    else:
        _print(names, answer, verdict, reasons=reasons)
    if not verdict.is_clean:
        raise typer.Exit(1)


def main() -> None:
    """Runs the command; an error that a person can mend is printed, not traced."""
    try:
        app()
    except ScanError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(COULD_NOT) from None


def _template(stack: str) -> Template:
    return arm_template(registered(stack, stack_config(stack)))


def _write(made: dict[str, Template], directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, template in made.items():
            file = directory / f"{name}.json"
            file.write_text(json.dumps(template.document, indent=2) + "\n", encoding="utf-8")
            typer.echo(str(file))
    except OSError as error:
        raise ScanError(f"{error.filename} cannot be written: {error.strerror}") from error


def _print(names: Iterable[str], answer: Answer, verdict: Verdict, *, reasons: bool) -> None:
    for check, failures in groupby(verdict.new, key=lambda one: (one.check, one.title)):
        typer.echo(f"new: {check[0]} {check[1]}")
        for failure in failures:
            typer.echo(f"  {failure.resource}")
    for stale in verdict.stale:
        typer.echo(f"stale: {stale.check} {stale.pattern}\n  nothing is found there any more")
    if reasons:
        for (check, reason), found in groupby(
            verdict.excepted, key=lambda one: (one.failure.check, one.reason)
        ):
            typer.echo(f"excepted: {check}: {reason}")
            for one in found:
                typer.echo(f"  {one.failure.resource}")
    typer.echo(f"{', '.join(names)}: {answer.resources} resources, {answer.passed} checks passed")
    typer.echo(
        f"{len(verdict.new)} new, {len(verdict.excepted)} excepted, "
        f"{len(verdict.stale)} exceptions stale"
    )
    if not verdict.is_clean:
        typer.echo(
            f"Mend the resource in infra/components, or except it with a reason in\n"
            f"scan/{FILE.name}; take out of it what is stale."
        )


def _json(names: Iterable[str], answer: Answer, verdict: Verdict) -> dict[str, object]:
    return {
        "stacks": list(names),
        "resources": answer.resources,
        "passed": answer.passed,
        "new": [asdict(one) for one in verdict.new],
        "excepted": [{**asdict(one.failure), "reason": one.reason} for one in verdict.excepted],
        "stale": [asdict(one) for one in verdict.stale],
    }
