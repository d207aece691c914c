"""Where things are said: results on stdout, everything else on stderr."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType

from jobs.errors import InputError
from jobs.log_lines import unsteering
from jobs.progress import Style


class Terminal:
    """The two streams of a command.

    Attributes:
        out: Results.
        err: Notes, progress, errors.
        json: Whether stdout gets one JSON object and nothing else.
        quiet: Whether notes and progress are left out.
        progress: How a job that runs is shown.
        said: The line about such a job that was printed last.
    """

    def __init__(
        self,
        *,
        json_output: bool = False,
        quiet: bool = False,
        color: bool = True,
        progress: Style = "auto",
    ) -> None:
        """Consoles that follow NO_COLOR, and 80 columns where there is no terminal."""
        self.out = _console(stderr=False, color=color)
        self.err = _console(stderr=True, color=color)
        self.json = json_output
        self.quiet = quiet
        self.progress = progress
        self.said = ""

    def note(self, text: str) -> None:
        """Says what was done."""
        if not self.quiet:
            self.err.print(text, highlight=False, markup=False, soft_wrap=True)

    def error(self, text: str) -> None:
        """Says what went wrong."""
        self.err.print(text, highlight=False, markup=False, soft_wrap=True, style="red")

    def forget_output(self) -> None:
        """What could not be written is not tried again when the interpreter ends."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

    def agreed(self, question: str, *, yes: bool, no_input: bool) -> bool:
        """Whether to go on: asked for on a terminal only.

        Raises:
            InputError: Nobody said so, and there is nobody to ask.
        """
        if yes:
            return True
        if no_input or self.json or not (sys.stdin.isatty() and self.err.is_terminal):
            raise InputError(f"{question} Nobody is there to ask: say --yes")
        self.err.print(f"{question} [y/N] ", end="", highlight=False, markup=False)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def show(self, *parts: RenderableType) -> None:
        """Prints results for a person; nothing in JSON mode."""
        if not self.json:
            for part in parts:
                if isinstance(part, str):
                    self.out.print(part, highlight=False, markup=False, soft_wrap=True)
                else:
                    self._show_block(part)

    def line(self, text: str) -> None:
        """Prints a line that somebody else wrote; nothing in JSON mode.

        A file gets it as it is; a terminal without what would steer it.
        """
        if not self.json:
            sys.stdout.write((unsteering(text) if self.out.is_terminal else text) + "\n")
            sys.stdout.flush()

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Prints rows with commas between their cells; nothing in JSON mode."""
        if not self.json:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
            sys.stdout.flush()

    def record(self, value: dict[str, Any]) -> None:
        """Prints one of many results for a program, as a line; nothing otherwise."""
        if self.json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
            sys.stdout.flush()

    def _show_block(self, part: RenderableType) -> None:
        """Prints a table or the like; as plain text it ends its lines without blanks."""
        if self.out.is_terminal:
            self.out.print(part, highlight=False, markup=False)
            return
        with self.out.capture() as captured:
            self.out.print(part, highlight=False, markup=False)
        lines = (line.rstrip() for line in captured.get().splitlines())
        self.out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)

    def result(self, value: dict[str, Any]) -> None:
        """Prints the result for a program; nothing otherwise."""
        if self.json:
            sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
            sys.stdout.flush()


def _console(*, stderr: bool, color: bool) -> Console:
    probe = Console(stderr=stderr)
    return Console(
        stderr=stderr,
        no_color=None if color else True,
        width=None if probe.is_terminal else 80,
    )


def size_text(size: int) -> str:
    """Bytes for a person: `0 B`, `48.2 KiB`, `1.5 GiB`."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:  # noqa: PLR2004 - binary units
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def counted(number: int, thing: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
