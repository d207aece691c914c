"""What a check found: one shape for schema errors, rules and formula findings."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or that will be.

    Attributes:
        path: Where, as the config writes it, such as `pools.cpu.vm_size`.
        code: Id of the rule, such as `NET001`.
        severity: `error` stops a deployment, `warning` does not.
        message: What is wrong, why it matters and what to write instead.
        source: Where the rule comes from, a URL or a table's name; empty for the schema.
        silenced: The reason given in `ignore`, or None when the finding counts.
    """

    path: str
    code: str
    severity: Severity
    message: str
    source: str = ""
    silenced: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether this finding stops a deployment."""
        return self.severity == "error" and self.silenced is None

    def __str__(self) -> str:
        return f"{self.path}: {self.code} {self.message}"


def near_misses(word: str, choices: Iterable[str]) -> str:
    """`; did you mean …?` for the choices that look like `word`, else an empty string."""
    by_folded = {choice.casefold(): choice for choice in choices}
    close = difflib.get_close_matches(word.casefold(), by_folded, n=2, cutoff=0.7)
    if not close:
        return ""
    return f"; did you mean {' or '.join(by_folded[match] for match in close)}?"
