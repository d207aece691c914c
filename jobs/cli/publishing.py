"""The verb that publishes programs: publish."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from jobs.cli.command import command
from jobs.client import Client
from jobs.options import (
    ColorOption,
    JsonOption,
    OutputsOption,
    QuietOption,
    StackOption,
    VerboseOption,
)
from jobs.terminal import Terminal, size_text


def publish(
    application: Annotated[
        str, typer.Argument(help="Application of the stack.", metavar="APPLICATION")
    ],
    path: Annotated[
        Path, typer.Argument(help="Directory, file, or a .zip that is taken as it is.")
    ],
    version: Annotated[
        str,
        typer.Option("--version", help="Version that it becomes.", metavar="VERSION"),
    ],
    default: Annotated[
        bool, typer.Option("--default", help="Make it the version of whoever names none.")
    ] = False,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Publish a program as a version of an application.

    Zips, uploads and activates it, so that a workload's `program` can name it. The same
    content again is no error; other content under a published version is refused.

    Exit code: 0 published or there already, 2 the input is wrong or the version has other
    content, 3 the service refused.

    For example:

      python -m jobs publish montecarlo bin/ --version 1.4.0 --stack dev

      python -m jobs publish solver solver.zip --version 2.0 --default --stack dev
    """
    with command(json_output, quiet, verbose, color) as terminal:
        client = Client(stack=stack, outputs=outputs)
        with _shown(terminal) as progress:
            bar = progress.add_task(f"{application} {version}", total=None)
            done = client.publish(
                application,
                path,
                version=version,
                default=default,
                progress=lambda sent, of: progress.update(bar, completed=sent, total=of),
            )
        terminal.result(
            {
                "version": 1,
                "application": done.application,
                "application_version": done.version,
                "published": done.sent,
                "default": done.is_default,
                "bytes": done.size,
                "sha256": done.sha256,
            }
        )
        what = f"{done.application} {done.version}"
        if done.sent:
            terminal.show(f"{what}: published, {size_text(done.size)}")
        else:
            terminal.show(f"{what}: the same content is published already")
        if done.is_default:
            terminal.note(f"{done.version} is the default version of {done.application}")


def _shown(terminal: Terminal) -> Progress:
    """A bar on stderr; nothing where there is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=terminal.err,
        transient=True,
        disable=terminal.quiet or not terminal.err.is_terminal,
    )
