"""Values drawn at random by a seed: the same on every machine and Python.

Not Python's `random`: it promises the same stream only for `random()` itself
(https://docs.python.org/3/library/random.html#notes-on-reproducibility). Here a draw is
the SHA-256 of seed, parameter and position, so that it depends on nothing else, not even
on the draws before it. Results have 12 digits: the C library's logarithms may differ in
the last place from machine to machine, and a task's id must not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from statistics import NormalDist

from jobs.spec_factories import Distribution
from jobs.templates import Scalar

_BITS = 53
_DIGITS = 12


class Drawn(Sequence[Scalar]):
    """The values of one parameter, computed when they are asked for."""

    def __init__(self, name: str, distribution: Distribution, *, seed: int, count: int) -> None:
        """Takes the parameter's name: two parameters of a seed are independent."""
        self._prefix = f"{seed}/{name}/"
        self._distribution = distribution
        self._count = count

    def __len__(self) -> int:
        """How many values there are."""
        return self._count

    def __getitem__(self, index: int | slice) -> Scalar:  # type: ignore[override] # slices are not asked for
        """The value of the task at a position."""
        if isinstance(index, slice) or not 0 <= index < self._count:
            raise IndexError(index)
        digest = hashlib.sha256(f"{self._prefix}{index}".encode()).digest()
        return value_of(self._distribution, int.from_bytes(digest[:8], "big"))


def value_of(distribution: Distribution, bits: int) -> Scalar:
    """A value from 64 random bits."""
    if distribution.integers is not None:
        first, last = distribution.integers
        return first + _below(last - first + 1, bits)
    if distribution.choice is not None:
        return distribution.choice[_below(len(distribution.choice), bits)]
    # never 0 and never 1, so that every logarithm and quantile is finite
    share = ((bits >> (64 - _BITS)) + 0.5) / 2**_BITS
    value = _continuous(distribution, min(share, 1 - 2.0**-_BITS))
    return float(f"{value:.{_DIGITS}g}")


def _below(number: int, bits: int) -> int:
    """0 up to a number, without it; the bias is below number / 2**64."""
    return bits * number >> 64


def _continuous(distribution: Distribution, share: float) -> float:
    if distribution.uniform is not None:
        low, high = distribution.uniform
        return low + share * (high - low)
    if distribution.loguniform is not None:
        low, high = (math.log(end) for end in distribution.loguniform)
        return math.exp(low + share * (high - low))
    if distribution.exponential is not None:
        return -distribution.exponential * math.log1p(-share)
    if distribution.normal is not None:
        return NormalDist(*distribution.normal).inv_cdf(share)
    assert distribution.lognormal is not None  # noqa: S101 - the model has exactly one
    return math.exp(NormalDist(*distribution.lognormal).inv_cdf(share))
