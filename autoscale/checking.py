"""Checks a formula: syntax, names and types, then lint; all findings together."""

from __future__ import annotations

from autoscale.errors import FormulaError, Problem
from autoscale.findings import Finding
from autoscale.inference import Report, infer
from autoscale.limits import Limits
from autoscale.lint import lint
from autoscale.parser import parse
from autoscale.rules import RULES
from autoscale.source import excerpt, position

_ANY_POOL = Limits()


def check(text: str, *, limits: Limits = _ANY_POOL) -> list[Finding]:
    """Everything there is to say about a formula, by place.

    A text that is not a formula has only findings about that; a formula with wrong names
    or types has those and the lint, as far as it can be told.

    Args:
        text: The formula.
        limits: The pool that it is for, which some of the lint needs to know.
    """
    try:
        formula = parse(text)
    except FormulaError as error:
        reports = [_syntax(problem) for problem in error.problems]
    else:
        inference = infer(formula)
        reports = [*inference.reports, *lint(formula, inference, limits)]
    unique = {(report.rule, report.span, report.message): report for report in reports}
    ordered = sorted(unique.values(), key=lambda report: (report.span.start, report.rule))
    return [_finding(text, report) for report in ordered]


def _syntax(problem: Problem) -> Report:
    if problem.guess:
        remedy: str | None = f"did you mean {problem.guess}?"
    elif problem.expected:
        remedy = f"expected {problem.expected}"
    else:
        remedy = None
    return Report(rule=problem.rule, span=problem.span, message=problem.message, remedy=remedy)


def _finding(text: str, report: Report) -> Finding:
    rule = RULES[report.rule]
    where = position(text, report.span.start)
    return Finding(
        id=rule.id,
        severity=rule.severity,
        line=where.line,
        column=where.column,
        message=report.message,
        remedy=report.remedy or rule.remedy,
        excerpt=excerpt(text, report.span),
    )
