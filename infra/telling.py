"""Lines on stdout: whole for what reads them, wrapped between words for who does.

A finding is one line, so that `grep` and editors find its path; on a terminal such lines
would break within words.
"""

from __future__ import annotations

import shutil
import sys
import textwrap

import typer

_INDENT = "  "


def tell(text: str) -> None:
    """Prints each line of a text, on a terminal as several where it is too long."""
    for line in text.splitlines():
        typer.echo(_wrapped(line) if sys.stdout.isatty() else line)


def _wrapped(line: str) -> str:
    start = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line,
        width=shutil.get_terminal_size().columns,
        subsequent_indent=start + _INDENT,
        # Paths and ids are copied, and stay whole.
        break_long_words=False,
        break_on_hyphens=False,
    )
