"""What the operators do, value by value (language reference, section 5).

Doubles follow IEEE 754: division by zero gives infinity or not-a-number, and only a
condition or a target refuses those. What the table of operations lacks is a `TypeError`,
two vectors of different lengths a `ValueError`; the compiler adds the place.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from autoscale.language import LENIENT_OPERATIONS, OPERATIONS
from autoscale.semantics import Semantics
from autoscale.values import Interval, Timestamp, Value, type_of

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
    "!=": operator.ne,
}


def divide(left: float, right: float) -> float:
    """IEEE 754 division: no exception, whatever the divisor."""
    if right:
        return left / right
    if left == 0 or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


DOUBLES: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
}


def combine(symbol: str, left: Value, right: Value, semantics: Semantics) -> Value:
    """`left symbol right` for every operator but `&&` and `||`.

    Raises:
        TypeError: the operator does not take these types.
        ValueError: vectors of different lengths.
        OverflowError: a timestamp or timeinterval leaves its range.
    """
    key = (symbol, type_of(left), type_of(right))
    if key not in OPERATIONS and not (semantics.lenient and key in LENIENT_OPERATIONS):
        raise TypeError(f"'{symbol}' does not take {key[1]} and {key[2]}")
    if symbol in COMPARISONS:
        return float(COMPARISONS[symbol](left, right))
    if isinstance(left, tuple) or isinstance(right, tuple):
        return _vectors(symbol, left, right)
    if isinstance(left, float) and isinstance(right, float):
        return DOUBLES[symbol](left, right)
    return _times(symbol, left, right)


def _vectors(symbol: str, left: Value, right: Value) -> Value:
    act = DOUBLES[symbol]
    if isinstance(left, tuple) and isinstance(right, tuple):
        if len(left) != len(right):
            raise ValueError(
                f"'{symbol}' takes vectors of one length, not of {len(left)} and {len(right)}"
            )
        return tuple(map(act, left, right))
    if isinstance(left, tuple) and isinstance(right, float):
        return tuple([act(item, right) for item in left])
    assert isinstance(left, float) and isinstance(right, tuple)  # noqa: S101, PT018 - the table
    return tuple([act(left, item) for item in right])


def _times(  # noqa: C901, PLR0911 - a case a row of the table
    symbol: str, left: Value, right: Value
) -> Value:
    match symbol, left, right:
        case "*", float(), Interval():
            return Interval.of(left * right.ticks)
        case "*", Interval(), float():
            return Interval.of(left.ticks * right)
        case "/", Interval(), float():
            return Interval.of(divide(float(left.ticks), right))
        case "/", Interval(), Interval():
            return divide(float(left.ticks), float(right.ticks))
        case "+", Interval(), Interval():
            return Interval(ticks=left.ticks + right.ticks)
        case "-", Interval(), Interval():
            return Interval(ticks=left.ticks - right.ticks)
        case "+", Interval(), Timestamp():
            return Timestamp(ticks=left.ticks + right.ticks)
        case "+", Timestamp(), Interval():
            return Timestamp(ticks=left.ticks + right.ticks)
        case "-", Timestamp(), Timestamp():
            return Interval(ticks=left.ticks - right.ticks)
        case "-", Timestamp(), Interval():
            return Timestamp(ticks=left.ticks - right.ticks)
    raise TypeError(f"'{symbol}' does not take {type_of(left)} and {type_of(right)}")


def negate(value: Value) -> Value:
    """Unary minus: doubles and timeintervals."""
    if isinstance(value, float):
        return -value
    if isinstance(value, Interval):
        return Interval(ticks=-value.ticks)
    raise TypeError(f"'-' does not take a {type_of(value)}")
