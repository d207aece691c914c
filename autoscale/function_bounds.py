"""Bounds of what the functions of the language give, for `autoscale.estimator`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from autoscale.estimate import Coverage, Estimate, Fraction, blended
from autoscale.source import Span

_ROUNDING = ("ceil", "floor", "round")


def of_call(name: str, parts: list[Estimate], span: Span) -> Estimate:
    """What a function makes of its arguments: its bounds, and what it clears up."""
    mixed = replace(blended(parts), may_be_empty=False, shifted=False)
    if not parts:
        return mixed
    action = _FUNCTIONS.get(name)
    return action(mixed, parts, span) if action else mixed


def _maximum(mixed: Estimate, parts: list[Estimate], _: Span) -> Estimate:
    certain = [part for part in parts if not part.may_be_empty] or parts
    whole = any(part.fraction is None for part in parts)
    fraction = mixed.fraction
    if whole and fraction and fraction.by_average:
        fraction = None
    return replace(
        mixed,
        low=max(part.low for part in certain),
        high=max(part.high for part in parts),
        floors=frozenset[str]().union(*(part.floors for part in parts)),
        fraction=fraction,
        bumped=all(part.bumped for part in parts),
    )


def _minimum(mixed: Estimate, parts: list[Estimate], _: Span) -> Estimate:
    certain = [part for part in parts if not part.may_be_empty] or parts
    return replace(
        mixed,
        low=min(part.low for part in parts),
        high=min(part.high for part in certain),
        floors=frozenset.intersection(*(part.floors for part in parts)),
        # What is known of the least of several percentages holds for each of them.
        coverage=frozenset[Coverage]().union(*(part.coverage for part in parts)),
    )


def _average(mixed: Estimate, parts: list[Estimate], span: Span) -> Estimate:
    return replace(
        mixed,
        low=min(part.low for part in parts),
        high=max(part.high for part in parts),
        fraction=mixed.fraction or Fraction(span=span, by_average=True),
    )


def _between(mixed: Estimate, parts: list[Estimate], _: Span) -> Estimate:
    vector = parts[0]
    return replace(mixed, low=min(0.0, vector.low), high=max(0.0, vector.high))


def _not_negative(mixed: Estimate, _: list[Estimate], __: Span) -> Estimate:
    return replace(mixed, low=0.0, fraction=None)


def _total(mixed: Estimate, parts: list[Estimate], _: Span) -> Estimate:
    return replace(mixed, low=0.0) if all(part.low >= 0 for part in parts) else mixed


def _rounded(name: str) -> Callable[[Estimate, list[Estimate], Span], Estimate]:
    act: Callable[[float], float] = math.floor if name == "floor" else math.ceil

    def rounded(mixed: Estimate, parts: list[Estimate], _: Span) -> Estimate:
        low, high = min(part.low for part in parts), max(part.high for part in parts)
        return replace(
            mixed,
            low=low
            if math.isinf(low)
            else float(math.floor(low) if name == "round" else act(low)),
            high=high if math.isinf(high) else float(act(high)),
            fraction=None,
            floors=parts[0].floors if len(parts) == 1 and name != "floor" else frozenset(),
            may_be_empty=all(part.may_be_empty for part in parts),
        )

    return rounded


_FUNCTIONS: dict[str, Callable[[Estimate, list[Estimate], Span], Estimate]] = {
    "max": _maximum,
    "min": _minimum,
    "avg": _average,
    "val": _between,
    "percentile": _between,
    "len": _not_negative,
    "norm": _not_negative,
    "std": _not_negative,
    "range": _not_negative,
    "sum": _total,
    **{name: _rounded(name) for name in _ROUNDING},
}
