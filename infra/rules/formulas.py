"""Rules of autoscale formulas: what the `autoscale` package finds, where the config is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from autoscale import Finding, Limits, check
from infra.estate import Estate
from infra.rules.rule import Problem, Rule
from infra.scaling import FollowPendingScale


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


@lru_cache
def _findings(formula: str, limits: Limits) -> tuple[Finding, ...]:
    """What is found in a formula; two rules ask, each for severities of its own."""
    return tuple(check(formula, limits=limits))


def _checked(estate: Estate, severities: frozenset[str]) -> Iterator[Problem]:
    for pool in estate.pools:
        if pool.scale.formula is None:
            continue
        limits = Limits(
            max_dedicated_nodes=pool.scale.max_dedicated_nodes,
            max_low_priority_nodes=pool.scale.max_spot_nodes,
            min_dedicated_nodes=pool.min_dedicated_nodes,
            min_low_priority_nodes=pool.min_spot_nodes,
            task_slots_per_node=pool.task_slots_per_node,
        )
        for finding in _findings(pool.scale.formula, limits):
            if finding.severity in severities:
                yield Problem(pool.scale.formula_path, formula_text(finding))


def _formulas_are_valid(estate: Estate) -> Iterator[Problem]:
    """The service accepts each formula."""
    yield from _checked(estate, frozenset({"error"}))


def _formulas_are_sound(estate: Estate) -> Iterator[Problem]:
    """Formulas do what their author wants."""
    yield from _checked(estate, frozenset({"warning"}))


def _hours_follow_the_clock(estate: Estate) -> Iterator[Problem]:
    """Hours in which nodes are kept know this year's changes of the clock."""
    year = estate.today.year
    for name, pool in sorted(estate.config.pools.items()):
        warm = pool.scale.keep_warm if isinstance(pool.scale, FollowPendingScale) else None
        if warm is None or warm.first_year <= year <= warm.last_year:
            continue
        if _clock_changes(warm.zone, year):
            yield Problem(
                f"pools.{name}.scale.keep_warm.last_year",
                f"the formula knows the changes of the clock of {warm.first_year} to "
                f"{warm.last_year} and none of {year}, so nodes are kept an hour too early or too "
                f"late for half of the year; write years that include {year}, ten at most",
            )


def _clock_changes(zone: str, year: int) -> bool:
    """Whether a zone's clock is changed in a year; an unknown zone is another's finding."""
    try:
        clock = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    months = (datetime(year, month, 1, tzinfo=UTC) for month in range(1, 13))
    return len({month.astimezone(clock).utcoffset() for month in months}) > 1


_LANGUAGE = "https://learn.microsoft.com/azure/batch/batch-automatic-scaling"

RULES = (
    Rule(code="FOR001", severity="error", source=_LANGUAGE, judge=_formulas_are_there),
    Rule(code="FOR002", severity="error", source=_LANGUAGE, judge=_formulas_are_valid),
    Rule(code="FOR003", severity="warning", source=_LANGUAGE, judge=_formulas_are_sound),
    Rule(code="FOR004", severity="warning", source=_LANGUAGE, judge=_hours_follow_the_clock),
)
