"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVarTuple

from infra.estate import Estate
from infra.findings import Finding, Severity

Known = TypeVarTuple("Known")


@dataclass(frozen=True, slots=True)
class Problem:
    """One place that breaks a rule: where, and what, why and what to write instead."""

    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Generic[*Known]):
    """One thing that Azure refuses (`error`) or punishes (`warning`).

    Attributes:
        code: Stable id, three letters of the subject and three digits.
        severity: Of every finding of this rule.
        source: Where Azure, or a table of this project, says so.
        judge: Yields a problem for each place that breaks the rule; its docstring is the
            rule in a sentence. Given the estate, and whatever else the rule is over.
    """

    code: str
    severity: Severity
    source: str
    judge: Callable[[Estate, *Known], Iterable[Problem]]

    @property
    def about(self) -> str:
        """The rule in a sentence."""
        return str(self.judge.__doc__)

    def findings(self, estate: Estate, *known: *Known) -> Iterator[Finding]:
        """The rule's problems as findings, silenced where the config ignores the rule."""
        for problem in self.judge(estate, *known):
            yield Finding(
                path=problem.path,
                code=self.code,
                severity=self.severity,
                message=problem.message,
                source=self.source,
                silenced=estate.config.ignore.get(self.code),
            )
