"""Rules of autoscale formulas: what the `autoscale` package finds, where the config is."""

from __future__ import annotations

from collections.abc import Iterator

from autoscale import Finding, Limits, check
from infra.estate import Estate
from infra.rules.rule import Problem, Rule


def _formulas_are_there(estate: Estate) -> Iterator[Problem]:
    """Each autoscaled pool has a formula."""
    for pool in estate.pools:
        if pool.scale.formula_problem:
            yield Problem(pool.scale.formula_path, pool.scale.formula_problem)


def formula_text(finding: Finding, *, of: str = "") -> str:
    """What to say of a finding of the `autoscale` package.

    Args:
        finding: What was found.
        of: Whose line and column it is, where the path does not say so.
    """
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    return (
        f"{finding.id} in line {finding.line}, column {finding.column}{of}: "
        f"{finding.message}{remedy}"
    )


def _checked(estate: Estate, severities: frozenset[str]) -> Iterator[Problem]:
    for pool in estate.pools:
        if pool.scale.formula is None:
            continue
        limits = Limits(
            max_dedicated_nodes=pool.scale.max_dedicated_nodes,
            max_low_priority_nodes=pool.scale.max_spot_nodes,
            min_dedicated_nodes=pool.min_dedicated_nodes,
            task_slots_per_node=pool.task_slots_per_node,
        )
        for finding in check(pool.scale.formula, limits=limits):
            if finding.severity in severities:
                yield Problem(pool.scale.formula_path, formula_text(finding))


def _formulas_are_valid(estate: Estate) -> Iterator[Problem]:
    """The service accepts each formula."""
    yield from _checked(estate, frozenset({"error"}))


def _formulas_are_sound(estate: Estate) -> Iterator[Problem]:
    """Formulas do what their author wants."""
    yield from _checked(estate, frozenset({"warning"}))


_LANGUAGE = "https://learn.microsoft.com/azure/batch/batch-automatic-scaling"

RULES = (
    Rule(code="FOR001", severity="error", source=_LANGUAGE, judge=_formulas_are_there),
    Rule(code="FOR002", severity="error", source=_LANGUAGE, judge=_formulas_are_valid),
    Rule(code="FOR003", severity="warning", source=_LANGUAGE, judge=_formulas_are_sound),
)
