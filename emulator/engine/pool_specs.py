"""Pools as clients describe them, by themselves or for a job: their size, and all the rest.

The size is either fixed or a formula's; it changes by requests of its own, while the rest
stays what `Pool.body` keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.engine import formulas, pools, scaling
from emulator.engine.core import Core
from emulator.engine.world import Pool
from emulator.spans import parse_span

_SIZE = frozenset({
    "targetDedicatedNodes", "targetLowPriorityNodes", "resizeTimeout", "enableAutoScale",
    "autoScaleFormula", "autoScaleEvaluationInterval",
})  # fmt: skip
_DEFAULT = "PT15M"
"""Of both spans: `resizeTimeout` and `autoScaleEvaluationInterval` (`BatchPoolCreateOptions`)."""


def without_size(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What `Pool.body` keeps of a normalised specification, with its `id` or without."""
    return {name: value for name, value in spec.items() if name not in _SIZE and name != "id"}


def targets(spec: Mapping[str, Any]) -> tuple[int, int]:
    """Dedicated and spot nodes."""
    return spec.get("targetDedicatedNodes", 0), spec.get("targetLowPriorityNodes", 0)


def resize_timeout(spec: Mapping[str, Any]) -> int:
    """In ticks."""
    return parse_span(spec.get("resizeTimeout", _DEFAULT))


def interval(spec: Mapping[str, Any]) -> int:
    """Between two evaluations of the formula, in ticks."""
    return parse_span(spec.get("autoScaleEvaluationInterval", _DEFAULT))


def create(
    core: Core, pool_id: str, spec: Mapping[str, Any], identity: dict[str, Any] | None = None
) -> Pool:
    """Adds a pool of a normalised specification.

    Raises:
        Refused: The formula has a syntax error, an application package is not there, or
            what refuses any pool (`pools.add`).
    """
    formula = spec.get("autoScaleFormula")
    if formula is not None:
        formulas.check(formula)
    core.check_packages(spec)
    pool = pools.add(
        core,
        pool_id,
        without_size(spec),
        targets=targets(spec),
        resize_timeout=resize_timeout(spec),
        identity=identity,
    )
    if formula is not None:
        scaling.enable(core, pool, formula, interval(spec), asked=False)
    return pool
