"""Compares the prices with the closed form: `check.py RESULTS --portfolio FILE`.

Prints one line an option: the simulated price, its standard error, the Black-Scholes
price, and how many standard errors lie between the two. Two things must hold:

- *No price is too far off.* The bound follows from the number of options, so that a sound
  simulation is refused once in `1 / FALSE_ALARMS` seeds however large the portfolio is
  (Bonferroni; valid although the options share their random numbers).
- *The standard error is honest.* A simulation that reports one twice too large would pass
  the first test with ease. The variance of a sample has a closed form too, plain or
  antithetic, so the standard error is compared with what it has to be.

Standard library only. Exit status: 0 both hold; 1 one does not; 2 the input is wrong.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

FALSE_ALARMS = 1e-4
FEW = 100  # paths in the money below which a simulated standard error means nothing
NUMBERS = ("spot", "strike", "rate", "dividend_yield", "volatility", "expiry_years")

_normal = NormalDist()


class CheckError(Exception):
    """The input cannot be compared: a file is missing, damaged, or of something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A European option; rates and volatility are a year's, continuously compounded."""

    id: str
    kind: str
    spot: float
    strike: float
    rate: float
    dividend_yield: float
    volatility: float
    expiry_years: float

    @property
    def forward(self) -> float:
        """Today's value of the price at expiry."""
        return self.spot * math.exp(-self.dividend_yield * self.expiry_years)

    @property
    def discounted_strike(self) -> float:
        """Today's value of the strike."""
        return self.strike * math.exp(-self.rate * self.expiry_years)

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm of the price at expiry."""
        return self.volatility * math.sqrt(self.expiry_years)

    @property
    def sign(self) -> int:
        """+1 for a call, -1 for a put."""
        return 1 if self.kind == "call" else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the simulation says of an option."""

    id: str
    price: float
    standard_error: float
    samples: int
    paths: int
    sampling: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A result beside what it has to be.

    Attributes:
        result: The simulation's.
        closed_form: The Black-Scholes price.
        expected_error: The standard error that so many samples have in theory.
        in_the_money: How many of the samples pay something, in theory.
        errors_apart: Standard errors between the price and the closed form.
    """

    result: Result
    closed_form: float
    expected_error: float
    in_the_money: float
    errors_apart: float

    @property
    def error_is_honest(self) -> bool:
        """Whether the standard error is what it has to be, as far as the samples tell.

        A variance is itself an estimate: its error falls with the square root of the
        samples that pay, faster for thin tails than for fat ones, hence the room.
        """
        if self.in_the_money < FEW:
            return True
        room = 0.05 + 10 / math.sqrt(self.in_the_money)
        return abs(self.result.standard_error - self.expected_error) <= (
            room * self.expected_error + 1e-12 * self.closed_form
        )


def black_scholes(option: Option) -> float:
    """The closed form; without volatility or time it is the certain value."""
    if option.spread == 0:
        return max(option.sign * (option.forward - option.discounted_strike), 0.0)
    d1, d2 = _d(option)
    return option.sign * (
        option.forward * _normal.cdf(option.sign * d1)
        - option.discounted_strike * _normal.cdf(option.sign * d2)
    )


def _d(option: Option) -> tuple[float, float]:
    moneyness = math.log(option.forward / option.discounted_strike) / option.spread
    return moneyness + option.spread / 2, moneyness - option.spread / 2


def sample_variance(option: Option, sampling: str) -> float:
    """The variance of one sample, in theory.

    With F the forward, K the discounted strike and v the spread, a path's discounted
    payoff h(z) is the positive part of +-(F exp(v z - v^2/2) - K). An antithetic sample is
    (h(z) + h(-z))/2, both parts of which pay only for |z| < |ln(F/K)/v - v/2| =: a, and
    only if the option is in the money at z = 0.
    """
    if option.spread == 0:
        return 0.0
    v, forward, strike, sign = option.spread, option.forward, option.discounted_strike, option.sign
    d1, d2 = _d(option)
    cdf = _normal.cdf
    mean = black_scholes(option)
    square = (
        forward**2 * math.exp(v * v) * cdf(sign * (d1 + v))
        - 2 * forward * strike * cdf(sign * d1)
        + strike**2 * cdf(sign * d2)
    )
    variance = max(0.0, square - mean**2)
    if sampling == "plain":
        return variance
    both = 0.0
    if sign * d2 > 0:
        a = abs(d2)
        median = forward * math.exp(-v * v / 2)
        both = (median**2 + strike**2) * (cdf(a) - cdf(-a)) - 2 * forward * strike * (
            cdf(a - v) - cdf(-a - v)
        )
    return max(0.0, (variance + both - mean**2) / 2)


def compare(option: Option, result: Result) -> Comparison:
    """A result beside the closed form."""
    closed_form = black_scholes(option)
    expected_error = math.sqrt(sample_variance(option, result.sampling) / result.samples)
    pays = 1.0 if option.spread == 0 else _normal.cdf(option.sign * _d(option)[1])
    in_the_money = pays * result.samples
    error = expected_error if in_the_money < FEW else result.standard_error
    difference = result.price - closed_form
    if abs(difference) <= 1e-12 * max(option.forward, option.discounted_strike):
        errors_apart = 0.0  # rounding; matters where there is no spread
    else:
        errors_apart = difference / error if error > 0 else math.copysign(math.inf, difference)
    return Comparison(
        result=result,
        closed_form=closed_form,
        expected_error=expected_error,
        in_the_money=in_the_money,
        errors_apart=errors_apart,
    )


def bound(options: int) -> float:
    """Standard errors beyond which a price is refused, given the number of options."""
    return _normal.inv_cdf(1 - FALSE_ALARMS / (2 * options))


def table(comparisons: Sequence[Comparison]) -> str:
    """The comparison as text of at most 80 columns."""
    headings = ("option", "price", "std. error", "Black-Scholes", "errors apart")
    lines = ["{:<20} {:>13} {:>11} {:>14} {:>13}".format(*headings)]
    for c in comparisons:
        name = c.result.id if len(c.result.id) <= 20 else c.result.id[:19] + "…"  # noqa: PLR2004 - the column's width
        lines.append(
            f"{name:<20} {c.result.price:>13.6f} {c.result.standard_error:>11.2e}"
            f" {c.closed_form:>14.6f} {c.errors_apart:>+13.2f}"
        )
    return "\n".join(lines)


def read_portfolio(path: Path) -> list[Option]:
    """The options; the program that priced them has checked the file.

    Raises:
        CheckError: The file cannot be read.
    """
    return [
        Option(id=row["id"], kind=row["kind"], **{name: float(row[name]) for name in NUMBERS})
        for row in _rows(path, ("id", "kind", *NUMBERS))
    ]


def read_results(path: Path) -> list[Result]:
    """The results that `merge.py` wrote.

    Raises:
        CheckError: The file cannot be read.
    """
    columns = ("id", "price", "standard_error", "samples", "paths", "sampling", "seed")
    return [
        Result(
            id=row["id"],
            price=float(row["price"]),
            standard_error=float(row["standard_error"]),
            samples=int(row["samples"]),
            paths=int(row["paths"]),
            sampling=row["sampling"],
            seed=int(row["seed"]),
        )
        for row in _rows(path, columns)
    ]


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise CheckError(f"{path}: has no column {', '.join(missing)}")
        return [{key: value or "" for key, value in row.items()} for row in reader]


def compare_files(results_file: Path, portfolio_file: Path) -> list[Comparison]:
    """Every result beside the closed form, in the portfolio's order.

    Raises:
        CheckError: The two are not of the same options, or cannot be read.
    """
    options = read_portfolio(portfolio_file)
    results = read_results(results_file)
    if not results or [o.id for o in options] != [r.id for r in results]:
        raise CheckError(f"{results_file}: is not of the options in {portfolio_file}")
    return [compare(o, r) for o, r in zip(options, results, strict=True)]


def judge(comparisons: Sequence[Comparison]) -> list[str]:
    """What is wrong, a line each; nothing if all is well."""
    limit = bound(len(comparisons))
    findings = []
    for c in comparisons:
        if not abs(c.errors_apart) <= limit:  # a NaN is refused too
            findings.append(
                f"{c.result.id}: the price {c.result.price:.6f} is {c.errors_apart:+.1f} standard "
                f"errors from {c.closed_form:.6f}; at most {limit:.1f} is chance"
            )
        if not c.error_is_honest:
            findings.append(
                f"{c.result.id}: the standard error is {c.result.standard_error:.3e} where "
                f"{c.result.samples} samples have {c.expected_error:.3e}"
            )
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; the exit status comes back."""
    parser = argparse.ArgumentParser(description="Compares prices with the closed form.")
    parser.add_argument("results", type=Path, help="the CSV that merge.py wrote")
    parser.add_argument("--portfolio", type=Path, required=True, help="the CSV that was priced")
    given = parser.parse_args(arguments)
    try:
        comparisons = compare_files(given.results, given.portfolio)
    except (CheckError, OSError, csv.Error, ValueError) as error:
        print(f"check: {error}", file=sys.stderr)
        return 2
    print(table(comparisons))
    findings = judge(comparisons)
    for line in findings:
        print(f"check: {line}", file=sys.stderr)
    run = comparisons[0].result
    verdict = "WRONG" if findings else f"all within {bound(len(comparisons)):.1f} standard errors"
    what = f"{len(comparisons)} options, {run.paths:,} {run.sampling} paths, seed {run.seed}"
    print(f"\n{what}: {verdict}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
