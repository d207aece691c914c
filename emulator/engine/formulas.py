"""Autoscale formulas, evaluated and checked by the `autoscale` package."""

from __future__ import annotations

from datetime import UTC, datetime

import autoscale
from emulator.engine.core import Samples, ScalingResult
from emulator.engine.refusal import Refused


def evaluate(
    formula: str, samples: Samples, now: float, targets: tuple[int, int]
) -> ScalingResult:
    """What comes of a formula; an error leaves the targets as they are."""
    found = autoscale.evaluate(
        formula,
        samples=samples,
        now=datetime.fromtimestamp(now, UTC),
        targets=autoscale.Targets(dedicated=targets[0], low_priority=targets[1]),
    )
    return ScalingResult(
        results=found.results,
        error=found.error.to_json() if found.error else None,
        dedicated=found.targets.dedicated_nodes,
        spot=found.targets.low_priority_nodes,
        deallocation_option=found.node_deallocation_option,
    )


def check(formula: str) -> None:
    """Refuses what the service refuses when a formula is set.

    Raises:
        Refused: `AutoScalingFormulaSyntaxError` or `AutoScaleFormulaTooLong`.
    """
    error = autoscale.refusal(formula)
    if error is not None:
        raise Refused(error.code, {value.name: value.value for value in error.values})
