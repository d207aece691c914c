"""`python -m emulator stack …` and `python -m emulator env`: the local stack's commands.

Thin: options in, one table or one JSON object out. What the commands do is in
`emulator.arm.deployment`. Progress goes to stderr, results to stdout.

Every command of the emulator imports this module, and Pulumi takes a third of a second to
import: those that need it import it when they run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.errors import EmulatorError
from emulator.local import LocalDirectory

if TYPE_CHECKING:
    from emulator.arm.deployment import Outcome

INTERRUPTED = 130
"""Exit status after Ctrl-C."""

stack_app = typer.Typer(
    help="Deploy a stack to the running emulator with the real Pulumi engine.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Stack = Annotated[
    str,
    typer.Option("--stack", "-s", metavar="NAME", help="Its config is Pulumi.NAME.yaml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
_VERBS = {"create": "created", "update": "updated", "delete": "deleted", "same": "unchanged"}
_NOTHING = "nothing to do"


@stack_app.command()
def preview(stack: Stack = "local", as_json: AsJson = False) -> None:
    """Show what `up` would do; change nothing.

    Example: python -m emulator stack preview --stack local
    """
    _run("preview", stack, as_json)


@stack_app.command()
def up(stack: Stack = "local", as_json: AsJson = False) -> None:
    """Deploy the stack, or bring it to what the program declares now.

    Run again after an interruption, it goes on. The outputs are also written to
    .local/stacks/NAME/outputs.json, where `python -m jobs` finds them.

    Example: python -m emulator stack up
    """
    _run("up", stack, as_json)


@stack_app.command()
def refresh(stack: Stack = "local", as_json: AsJson = False) -> None:
    """Bring the state to what there is in the emulator.

    Example: python -m emulator stack refresh --json
    """
    _run("refresh", stack, as_json)


@stack_app.command()
def destroy(stack: Stack = "local", as_json: AsJson = False) -> None:
    """Delete everything that the stack holds.

    Example: python -m emulator stack destroy --stack local
    """
    _run("destroy", stack, as_json)


@stack_app.command()
def outputs(stack: Stack = "local", as_json: AsJson = False) -> None:
    """Print the outputs of the last deployment; no emulator need run.

    Example: python -m emulator stack outputs --json
    """
    from emulator.arm.deployment import Deployment  # noqa: PLC0415 - see above

    with _told_as_json(as_json):
        found = Deployment(stack, LocalDirectory.default(), write=_progress).outputs()
    if as_json:
        _print_json(found)
    else:
        _print_table(found)


def env(stack: Stack = "local", as_json: AsJson = False) -> None:
    """Print the variables with which other programs use the emulator.

    Those of `serve --tls`, by which clients get tokens and trust it; and those with which a
    plain `pulumi up -s local` deploys to it, unless it runs without its provider.

    For Pulumi the stack is made if there is none. A plain pulumi notes the salt of its passphrase
    in Pulumi.local.yaml, as it does for every stack; `emulator stack` neither writes nor reads it
    there. The line may be deleted at any time.

    Example: eval "$(python -m emulator env)" && pulumi up -s local
    """
    from emulator.arm.deployment import (  # noqa: PLC0415 - see above
        Deployment,
        engine_environment,
        require_answering,
        require_running,
    )
    from emulator.identity import client_environment  # noqa: PLC0415 - see above

    local = LocalDirectory.default()
    with _told_as_json(as_json):
        running = require_answering(local)
        variables = client_environment(local)
        with_pulumi = running.provider_address is not None or not variables
        if with_pulumi:
            address = require_running(local).provider_address
            Deployment(stack, local, write=_progress, provider_address=address).ensure_exists()
            variables = {**engine_environment(local, address), **variables}
        else:
            _progress("without Pulumi's variables: the emulator runs with --no-provider")
    tools = str(Path(sys.prefix) / "bin")
    path = os.environ.get("PATH", "")
    if tools not in path.split(os.pathsep):
        variables["PATH"] = f"{tools}{os.pathsep}{path}"
    if as_json:
        _print_json(variables)
        return
    for name, value in sorted(variables.items()):
        typer.echo(f"export {name}={shlex.quote(value)}")
    if with_pulumi:  # it would win over the passphrase file
        typer.echo("unset PULUMI_CONFIG_PASSPHRASE")


@contextlib.contextmanager
def _told_as_json(as_json: bool) -> Iterator[None]:
    """A program that reads our JSON reads there what went wrong, too."""
    try:
        yield
    except EmulatorError as error:
        if as_json:
            _print_json({"error": str(error)})
        raise


def _run(operation: str, stack: str, as_json: bool) -> None:
    with _told_as_json(as_json):
        _operate(operation, stack, as_json)


def _operate(operation: str, stack: str, as_json: bool) -> None:
    from emulator.arm.deployment import Deployment, require_running  # noqa: PLC0415 - see above

    local = LocalDirectory.default()
    running = require_running(local)
    deployment = Deployment(
        stack, local, write=_progress, provider_address=running.provider_address
    )
    # Where the engine stops before the program does, the SDK's language server would log
    # a traceback for each call under way; the engine itself says what was wrong.
    logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
    began = time.monotonic()
    try:
        outcome: Outcome = getattr(deployment, operation)()
    except KeyboardInterrupt:
        _progress(f"{operation} of stack {stack} was cancelled; run it again to go on")
        raise typer.Exit(INTERRUPTED) from None
    seconds = time.monotonic() - began
    if as_json:
        _print_json(
            {
                "operation": operation,
                "stack": stack,
                "seconds": round(seconds, 2),
                "changes": dict(outcome.changes),
                "outputs": dict(outcome.outputs),
            }
        )
        return
    counts = [
        f"{count} {_VERBS.get(name, name)}" for name, count in sorted(outcome.changes.items())
    ]
    typer.echo(f"{operation} {stack}: {', '.join(counts) or _NOTHING} ({seconds:.1f} s)")


def _progress(line: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(line))


def _print_json(value: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2, sort_keys=True))


def _print_table(found: Mapping[str, Any]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in found.items():
        text = value if isinstance(value, str) else json.dumps(value)
        table.add_row(Text(name), Text(text))
    Console(highlight=False).print(table)
