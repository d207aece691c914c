"""Bounds of what a formula can compute, for the lint: abstract interpretation.

Every expression has an `Estimate`: between which numbers its value lies, from which
service variables it comes, whether a division left a fraction in it, and more that the
rules ask for. Conditions narrow what is known in their branches, so that a guarded call
or division is known to be guarded. Estimates err on the side of "possible"; they never
decide what a formula evaluates to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from autoscale.language import TARGETS
from autoscale.source import Span
from autoscale.syntax import Expression

INFINITE = math.inf
# The least that is more than zero: what `x > 0` says about x.
ABOVE_ZERO = math.nextafter(0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """A window of samples: of which variable, and how long if that is a constant."""

    variable: str
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fraction:
    """Where a fraction came in, and how."""

    span: Span
    by_average: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is known about a value. Timeintervals are in seconds; vectors by element.

    Attributes:
        low: It is never less.
        high: It is never more.
        sources: Service variables that it depends on.
        coverage: Windows whose sample percentage it is, or is the least of.
        divided: A division, or a product with a part of one, went into it.
        bumped: A constant was added to it, as before a division that is to round up.
        fraction: A fraction that nobody rounded.
        may_be_empty: A vector that has no element on a fresh pool.
        floors: Targets of before that it is never less than.
        shifted: A timestamp that was moved, as for a time zone.
        literal: A timestamp that stands in the text.
        condition: The comparison that it is the result of.
    """

    low: float = -INFINITE
    high: float = INFINITE
    sources: frozenset[str] = frozenset()
    coverage: frozenset[Coverage] = frozenset()
    divided: bool = False
    bumped: bool = False
    fraction: Fraction | None = None
    may_be_empty: bool = False
    floors: frozenset[str] = frozenset()
    shifted: bool = False
    literal: bool = False
    condition: Expression | None = None

    @property
    def constant(self) -> float | None:
        """The value, where only one is possible."""
        return self.low if self.low == self.high else None


UNKNOWN = Estimate()


def exactly(value: float) -> Estimate:
    """The estimate of a constant."""
    return Estimate(low=value, high=value)


def either(one: Estimate, other: Estimate) -> Estimate:
    """What is known about a value that is one of two."""
    return Estimate(
        low=min(one.low, other.low),
        high=max(one.high, other.high),
        sources=one.sources | other.sources,
        coverage=one.coverage & other.coverage,
        divided=one.divided or other.divided,
        bumped=one.bumped and other.bumped,
        fraction=one.fraction or other.fraction,
        may_be_empty=one.may_be_empty or other.may_be_empty,
        floors=one.floors & other.floors,
        shifted=one.shifted and other.shifted,
        literal=one.literal or other.literal,
    )


def blended(
    parts: Iterable[Estimate],
    *,
    low: float = -INFINITE,
    high: float = INFINITE,
    floors: frozenset[str] = frozenset(),
    bumped: bool = False,
) -> Estimate:
    """Where a value comes from that is computed from several, and what else is known."""
    found = list(parts)
    return Estimate(
        low=low,
        high=high,
        floors=floors,
        bumped=bumped,
        sources=frozenset[str]().union(*(part.sources for part in found)),
        divided=any(part.divided for part in found),
        fraction=next((part.fraction for part in found if part.fraction), None),
        may_be_empty=any(part.may_be_empty for part in found),
        shifted=any(part.shifted for part in found),
    )


def add(left: Estimate, right: Estimate) -> Estimate:
    """Bounds of a sum."""
    floors = frozenset[str]()
    if right.low >= 0:
        floors |= left.floors
    if left.low >= 0:
        floors |= right.floors
    constants = [part.constant for part in (left, right) if part.constant is not None]
    total = blended(
        (left, right),
        low=_sum(left.low, right.low, -INFINITE),
        high=_sum(left.high, right.high, INFINITE),
        floors=floors,
        bumped=left.bumped or right.bumped or any(value > 0 for value in constants),
    )
    if any(0 < value < 1 for value in constants):
        # "+ 0.9" and "+ 0.5" round on purpose: the service cuts what follows.
        total = replace(total, fraction=None)
    return total


def subtract(left: Estimate, right: Estimate) -> Estimate:
    """Bounds of a difference."""
    opposite = replace(right, low=-right.high, high=-right.low, floors=frozenset(), bumped=False)
    difference = add(left, opposite)
    return replace(difference, bumped=left.bumped)


def multiply(left: Estimate, right: Estimate, span: Span) -> Estimate:
    """Bounds of a product."""
    corners = [_product(a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
    product = blended((left, right), low=min(corners), high=max(corners))
    for one, other in ((left, right), (right, left)):
        factor = one.constant
        if factor is not None and 0 < factor < 1 and other.constant is None:
            fraction = product.fraction if other.bumped else Fraction(span=span)
            return replace(product, divided=True, fraction=fraction)
    return product


def divide(left: Estimate, right: Estimate, span: Span) -> Estimate:
    """Bounds of a quotient."""
    quotient = blended((left, right))
    if right.low > 0 or right.high < 0:
        corners = [_quotient(a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
        quotient = replace(quotient, low=min(corners), high=max(corners))
    elif left.low >= 0 and right.low >= 0:
        quotient = replace(quotient, low=0.0)
    if right.constant in {1.0, -1.0}:
        return quotient
    if left.constant is not None and right.constant is not None:
        return quotient
    # Half of the nodes there are is how formulas shrink a pool: that fraction is meant.
    meant = left.bumped or left.sources <= set(TARGETS)
    fraction = quotient.fraction if meant else Fraction(span=span)
    return replace(quotient, divided=True, fraction=fraction)


def narrowed(estimate: Estimate, *, low: float = -INFINITE, high: float = INFINITE) -> Estimate:
    """The same value where more is known; contradictions stay as they were."""
    low, high = max(low, estimate.low), min(high, estimate.high)
    return estimate if low > high else replace(estimate, low=low, high=high)


def _sum(left: float, right: float, doubtful: float) -> float:
    total = left + right
    return doubtful if math.isnan(total) else total


def _product(left: float, right: float) -> float:
    return 0.0 if left == 0 or right == 0 else left * right


def _quotient(left: float, right: float) -> float:
    if math.isinf(right):
        return 0.0 if not math.isinf(left) else math.copysign(INFINITE, left * right)
    return left / right if right else math.copysign(INFINITE, left)
