"""Flags that every verb takes, so that nobody has to know which ones need them.

A verb that asks nothing takes `--yes` and `--no-input`, and one that needs no stack `--stack` and
`--outputs`, as a script gives them to all. They change nothing there, and its help leaves them
out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

_FLAGS: dict[str, tuple[Any, Any]] = {
    "stack": (Annotated[str | None, typer.Option("--stack", "-s", hidden=True)], None),
    "outputs": (Annotated[Path | None, typer.Option("--outputs", hidden=True)], None),
    "yes": (Annotated[bool, typer.Option("--yes", "-y", hidden=True)], False),
    "no_input": (Annotated[bool, typer.Option("--no-input", hidden=True)], False),
}


def with_all_flags(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb that takes those of these flags, too, that it has no use for."""
    signature = inspect.signature(verb)
    more = {name: flag for name, flag in _FLAGS.items() if name not in signature.parameters}

    @wraps(verb)
    def run(**given: Any) -> None:
        verb(**{name: value for name, value in given.items() if name not in more})

    kinds = get_type_hints(verb, include_extras=True) | {n: kind for n, (kind, _) in more.items()}
    own = [one.replace(annotation=kinds[name]) for name, one in signature.parameters.items()]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in more.items()
    ]
    run.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined] # inspect reads it
    run.__annotations__ = kinds
    return run
