"""Faults on request: what a client must survive, made to happen.

A rule says which operations it strikes and how often; `/_emulator/faults` sets and
clears rules. The service's own answers to a fault are used: 429, 500 and 503 with the
codes of the catalogue.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from emulator.service.errors import Failure

_CODES = {429: "TooManyRequests", 500: "InternalError", 503: "ServerBusy"}


@dataclass(slots=True, kw_only=True)
class Rule:
    """One fault.

    Attributes:
        operation: Name of the operation as in the table of routes, or `*`.
        status: What it answers.
        count: How many requests it still strikes.
        retry_after_s: Of the answer; None leaves the header out.
        delay_s: Before the answer.
    """

    operation: str
    status: Literal[429, 500, 503]
    count: int
    retry_after_s: int | None = None
    delay_s: float = 0.0


class Faults:
    """The rules in force, the oldest first."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add(self, rule: Rule) -> None:
        """Puts a rule in force."""
        self.rules.append(rule)

    def clear(self) -> None:
        """Puts all rules out of force."""
        self.rules.clear()

    async def before(self, operation: str, _account: str) -> Failure | None:
        """What strikes a request, if anything."""
        for rule in self.rules:
            if rule.operation in {operation, "*"}:
                rule.count -= 1
                if rule.count <= 0:
                    self.rules.remove(rule)
                await asyncio.sleep(rule.delay_s)
                after = rule.retry_after_s
                headers = () if after is None else (("Retry-After", str(after)),)
                return Failure(code=_CODES[rule.status], headers=headers)
        return None
