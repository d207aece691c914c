"""Errors of the package.

    AutoscaleError      root; the command line prints it and exits
    ├── FormulaError    a text is not a formula: every problem of it, with its place
    ├── CaseError       a case file does not say what to evaluate with
    └── PolicyError     the parameters of a policy contradict each other: all of them

A formula that parses and then fails while it is evaluated raises nothing: the service
answers such a formula with an error object, and so does `evaluate` (`Evaluation.error`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from autoscale.source import Span, excerpt, position


class ErrorCode(StrEnum):
    """Codes that the service gives to formulas (its table of status and error codes)."""

    EVALUATION = "AutoScalingFormulaEvaluationError"
    INSUFFICIENT_SAMPLES = "InsufficientSampleData"
    SYNTAX = "AutoScalingFormulaSyntaxError"
    TOO_LONG = "AutoScalingFormulaTooLong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One place where a text stops being a formula.

    Attributes:
        rule: Id of the rule in the catalogue of findings, such as `AS001`.
        span: The characters at fault.
        message: What is wrong, in a sentence without a place.
        expected: What could have stood there, when that helps.
        guess: What was probably meant, when there is a guess.
        service_text: The words of the service for it, where they are on record.
    """

    rule: str
    span: Span
    message: str
    expected: str | None = None
    guess: str | None = None
    service_text: str | None = None


class AutoscaleError(Exception):
    """A condition that the author of a formula, case or policy can mend."""


class CaseError(AutoscaleError):
    """A case file does not say what a formula is to be evaluated with."""


class PolicyError(AutoscaleError):
    """The parameters of a policy do not make a policy; the text lists every reason."""


class FormulaError(AutoscaleError):
    """A text is not a formula.

    Attributes:
        text: The text.
        problems: Every problem, by place; there is at least one.
        code: What the service answers when a pool is given this formula.
    """

    def __init__(self, text: str, problems: tuple[Problem, ...], *, code: ErrorCode) -> None:
        super().__init__(text, problems, code)
        self.text = text
        self.problems = problems
        self.code = code

    @property
    def line(self) -> int:
        """Line of the first problem, from 1."""
        return position(self.text, self.problems[0].span.start).line

    @property
    def column(self) -> int:
        """Column of the first problem, from 1."""
        return position(self.text, self.problems[0].span.start).column

    @property
    def message(self) -> str:
        """The first problem in a sentence."""
        return self.problems[0].message

    def __str__(self) -> str:
        return "\n".join(_describe(self.text, problem) for problem in self.problems)


def _describe(text: str, problem: Problem) -> str:
    where = position(text, problem.span.start)
    lines = [f"line {where.line}, column {where.column}: {problem.message}"]
    lines.append(excerpt(text, problem.span))
    if problem.expected:
        lines.append(f"expected {problem.expected}")
    if problem.guess:
        lines.append(f"did you mean {problem.guess}?")
    return "\n".join(lines)
