"""The functions of the language, on values whose types are already what they should be.

A function that cannot give a value raises `ValueError` with the reason; the compiler adds
the place. Definitions: the Learn article's table; `round` takes halves away from zero and
`std` divides by n - 1 (both recorded in the project's vectors).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from autoscale.semantics import Semantics

_INFINITE = float("inf")


def of_nothing(name: str, semantics: Semantics) -> float:
    """What a function of a list makes of an empty one."""
    if name in {"len", "sum"}:
        return 0.0
    if name == "std":
        return _std(())
    if semantics.empty_aggregate == "zero":
        return 0.0
    raise ValueError(f"{name}() of no value: there are no samples")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _norm(values: Sequence[float]) -> float:
    return math.hypot(*values)


def _std(values: Sequence[float]) -> float:
    if len(values) < 2:  # noqa: PLR2004 - n - 1 divides
        raise ValueError("std() needs two values at least")
    mean = _mean(values)
    return math.sqrt(
        sum([(value - mean) * (value - mean) for value in values]) / (len(values) - 1)
    )


# Of one value or more; see `of_nothing` for none.
AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "avg": _mean,
    "len": len,
    "max": max,
    "min": min,
    "norm": _norm,
    "range": _spread,
    "std": _std,
    "sum": sum,
}


def ceil(value: float) -> float:
    """The smallest integer that is not less; infinity and not-a-number stay."""
    return float(math.ceil(value)) if math.isfinite(value) else value


def floor(value: float) -> float:
    """The largest integer that is not greater; infinity and not-a-number stay."""
    return float(math.floor(value)) if math.isfinite(value) else value


def nearest(value: float) -> float:
    """The nearest integer, halves away from zero."""
    if not math.isfinite(value):
        return value
    whole = math.floor(abs(value))
    up = abs(value) - whole >= 0.5  # noqa: PLR2004 - the half that goes away from zero
    return math.copysign(whole + up, value) + 0.0  # no negative zero


def _logarithm(of: Callable[[float], float]) -> Callable[[float], float]:
    def function(value: float) -> float:
        if value > 0:
            return of(value)
        return -_INFINITE if value == 0 else math.nan

    return function


MATHS: dict[str, Callable[[float], float]] = {
    "ceil": ceil,
    "floor": floor,
    "round": nearest,
    "lg": _logarithm(math.log2),
    "ln": _logarithm(math.log),
    "log": _logarithm(math.log10),
}


def percentile(values: Sequence[float], percent: float, semantics: Semantics) -> float:
    """The value below which `percent` of the values lie."""
    if not 0 <= percent <= 100:  # noqa: PLR2004 - the range of a percentage
        raise ValueError("the percent of percentile() is not between 0 and 100")
    if not values:
        return of_nothing("percentile", semantics)
    ordered = sorted(values)
    if semantics.percentile == "nearest":
        return float(ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)])
    place = percent / 100 * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def val(values: Sequence[float], index: float, semantics: Semantics) -> float:
    """The element at `index`, from 0; a fraction is cut off."""
    if not values and semantics.val_of_empty:
        return 0.0
    if not 0 <= index < len(values):
        raise ValueError(f"val() has no element {index:g}: the vector has {len(values)}")
    return float(values[int(index)])
