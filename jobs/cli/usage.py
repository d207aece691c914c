"""The program itself, before a verb has begun: what it says to words that are none of its.

A wrong option is an error like every other: in words on stderr, and with `--json` as an object
on stdout, too, so that a program that reads it never finds nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from jobs.cli.command import error_json
from jobs.errors import EXIT_OK, InputError
from jobs.options import VerbCommand
from jobs.shapes import said
from jobs.terminal import Terminal

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
"""What a variable of a flag says for yes, as click reads it."""
# typer brings click with it under a private name.
_UsageError: type[Any] = typer.BadParameter.__mro__[1]


class Verbs(TyperGroup):
    """The program with its verbs."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **named: Any) -> Any:
        """As typer's own; errors of usage are told in JSON, too, where that is asked for."""
        return _told(super().main, args, rest, named)


class OnlyVerb(VerbCommand):
    """A program that is one verb."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **named: Any) -> Any:
        """As `Verbs.main`."""
        return _told(super().main, args, rest, named)


def _told(
    run: Callable[..., Any],
    args: Sequence[str] | None,
    rest: tuple[Any, ...],
    named: dict[str, Any],
) -> NoReturn:
    """Runs it; errors of usage are told here, and here alone."""
    try:
        code = run(args, *rest, **{**named, "standalone_mode": False})
    except _UsageError as error:
        if isinstance(error.__cause__, ValidationError):
            error.message = said(error.__cause__.errors(include_url=False)[0])
        error.show()
        if _wants_json(sys.argv[1:] if args is None else args):
            wrong = InputError(error.format_message())
            Terminal(json_output=True).result({"version": 1, "error": error_json(wrong)})
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else EXIT_OK)


def _wants_json(args: Sequence[str]) -> bool:
    """Whether JSON is asked for, as far as words tell of which one is wrong."""
    return "--json" in args or os.environ.get("JOBS_JSON", "").lower() in _TRUE
