"""Findings: what `check` says about a formula, each of a rule in the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or will surprise.

    Attributes:
        id: Id of the rule, such as `AS101`.
        severity: `error`: the service refuses it or can never evaluate it; `warning`: it
            does what nobody wants; `info`: worth knowing.
        line: From 1.
        column: From 1, in characters.
        message: What is wrong here.
        remedy: What to write instead.
        excerpt: The line with carets under the place.
    """

    id: str
    severity: Severity
    line: int
    column: int
    message: str
    remedy: str
    excerpt: str = ""
