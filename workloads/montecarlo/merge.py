"""Adds the slices' sums up to prices: `merge.py DIRECTORY --portfolio FILE --output FILE`.

Reads every `sums-*.csv` below DIRECTORY, which are the outputs of the tasks, and writes
one row an option: its price and standard error. Which task computed which block of
paths, in how many slices and in what order the files are read shows nowhere: the sums
of the blocks are added exactly (`math.fsum`) and rounded once.

It does not judge the prices; that is `check.py`'s. But it refuses to make a price out of
blocks that are missing, counted twice, or of another run or portfolio. Standard library
only, because it runs wherever the results are collected.

Exit status: 0 done; 1 the slices do not make a whole; 2 the arguments are wrong.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SUMS_COLUMNS = [
    *("seed", "paths", "sampling", "portfolio", "block", "blocks", "samples"),
    *("id", "certain_value", "sum", "sum_of_squares"),
]
RESULT_COLUMNS = ["id", "price", "standard_error", "samples", "paths", "sampling", "seed"]
MOST_FINDINGS = 20


class MergeError(Exception):
    """The slices do not make a whole; the findings, one a line."""

    def __init__(self, findings: Sequence[str]) -> None:
        shown = list(findings[:MOST_FINDINGS])
        if len(findings) > MOST_FINDINGS:
            shown.append(f"and {len(findings) - MOST_FINDINGS} more findings")
        super().__init__("\n".join(shown))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What all slices of one simulation have in common."""

    seed: int
    paths: int
    sampling: str
    portfolio: str  # CRC-32 of the portfolio's bytes, hexadecimal
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The sums of one option over one block: of (sample - certain_value) and its square."""

    source: str
    run: Run
    block: int
    samples: int
    id: str
    certain_value: float
    sum: float
    sum_of_squares: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An option's price with its standard error, in the money of the portfolio."""

    id: str
    price: float
    standard_error: float  # infinite with a single sample
    samples: int
    run: Run


@dataclass(slots=True, kw_only=True)
class _Blocks:
    """What has been seen of one option."""

    certain_value: float
    samples: dict[int, int] = field(default_factory=dict)
    sums: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of one slice's file.

    Raises:
        MergeError: The file is not one that the program writes, or is cut off.
    """
    with path.open("rb") as stream:
        # A number that is cut off is a number, too: only the line's end tells.
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 1))
        if stream.read() != b"\n":
            raise MergeError([f"{path}: is cut off: its last line has no end"])
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            if next(reader, None) != SUMS_COLUMNS:
                raise MergeError([f"{path}:1: is not a file of sums: its header is another"])
            for fields in reader:
                yield _row(f"{path}:{reader.line_num}", fields)
        except (csv.Error, UnicodeDecodeError) as error:
            raise MergeError([f"{path}: is damaged: {error}"]) from error


def _row(source: str, fields: list[str]) -> Row:
    try:
        values = dict(zip(SUMS_COLUMNS, fields, strict=True))
        row = Row(
            source=source,
            run=Run(
                seed=int(values["seed"]),
                paths=int(values["paths"]),
                sampling=values["sampling"],
                portfolio=values["portfolio"],
                blocks=int(values["blocks"]),
            ),
            block=int(values["block"]),
            samples=int(values["samples"]),
            id=values["id"],
            certain_value=float(values["certain_value"]),
            sum=float(values["sum"]),
            sum_of_squares=float(values["sum_of_squares"]),
        )
    except ValueError as error:
        raise MergeError([f"{source}: is damaged: {error}"]) from error
    numbers = (row.certain_value, row.sum, row.sum_of_squares)
    if not all(map(math.isfinite, numbers)) or not 0 <= row.block < row.run.blocks:
        raise MergeError([f"{source}: is damaged: a number is out of range"])
    return row


def merge(rows: Iterable[Row]) -> list[Estimate]:
    """Prices and standard errors, in the order in which options are first seen.

    The standard error is that of the mean of independent samples: an antithetic sample is
    the mean of a pair of paths, so the pair's dependence is inside it.

    Raises:
        MergeError: Blocks are missing, there twice, or of different runs.
    """
    findings: list[str] = []
    run: Run | None = None
    options: dict[str, _Blocks] = {}
    for row in rows:
        run = run or row.run
        option = options.setdefault(row.id, _Blocks(certain_value=row.certain_value))
        if row.run != run:
            findings.append(f"{row.source}: is of another run ({row.run}) than {run}")
        elif row.block in option.samples:
            findings.append(f"{row.source}: block {row.block} of {row.id} is there twice")
        elif row.certain_value != option.certain_value:
            findings.append(f"{row.source}: {row.id} is another option than before")
        else:
            option.samples[row.block] = row.samples
            option.sums.append(row.sum)
            option.squares.append(row.sum_of_squares)
    if run is None:
        raise MergeError(["no block was simulated: the slices are empty"])
    samples = run.paths if run.sampling == "plain" else run.paths // 2
    for name, option in options.items():
        missing = sorted(set(range(run.blocks)) - option.samples.keys())
        if missing:
            findings.append(f"{name}: of {run.blocks} blocks there is no {_ranges(missing)}")
        elif sum(option.samples.values()) != samples:
            findings.append(
                f"{name}: the blocks have {sum(option.samples.values())} samples, not {samples}"
            )
    if findings:
        raise MergeError(findings)
    return [_estimate(name, option, samples, run) for name, option in options.items()]


def _estimate(name: str, option: _Blocks, samples: int, run: Run) -> Estimate:
    total = math.fsum(option.sums)
    mean = total / samples
    error = math.inf
    if samples > 1:
        # Rounding can take the difference below zero where there is no spread.
        variance = max(0.0, math.fsum(option.squares) - total * mean) / (samples - 1)
        error = math.sqrt(variance / samples)
    return Estimate(
        id=name,
        price=option.certain_value + mean,
        standard_error=error,
        samples=samples,
        run=run,
    )


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as a person writes them: `1, 3-5`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def write_results(path: Path, estimates: Sequence[Estimate]) -> None:
    """Writes the results, or nothing: the file appears when it is complete."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(RESULT_COLUMNS)
            for e in estimates:
                run = (e.run.paths, e.run.sampling, e.run.seed)
                writer.writerow((e.id, e.price, e.standard_error, e.samples, *run))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_slices(directory: Path) -> Iterator[Row]:
    """The rows of every `sums-*.csv` below a directory.

    Raises:
        MergeError: There is none, or one is damaged.
    """
    files = sorted(directory.rglob("sums-*.csv"))
    if not files:
        raise MergeError([f"{directory}: has no sums-*.csv: were the outputs collected?"])
    for path in files:
        yield from read_rows(path)


def require_portfolio(path: Path, estimates: Sequence[Estimate]) -> None:
    """Refuses a portfolio file that is not the one that was priced, as a whole.

    Raises:
        MergeError: It is another, or some of its options have no sums.
    """
    content = path.read_bytes()
    if f"{zlib.crc32(content):08x}" != estimates[0].run.portfolio:
        raise MergeError([f"{path}: is not the portfolio that was priced: has it changed since?"])
    rows = csv.DictReader(content.decode("utf-8-sig").splitlines())
    missing = {row["id"] for row in rows} - {estimate.id for estimate in estimates}
    if missing:
        raise MergeError([f"{name}: has no sums: a slice is cut off" for name in sorted(missing)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; the exit status comes back."""
    parser = argparse.ArgumentParser(description="Adds up the slices of a simulation.")
    parser.add_argument("directory", type=Path, help="with the tasks' sums-*.csv at any depth")
    parser.add_argument("--portfolio", type=Path, required=True, help="the CSV that was priced")
    parser.add_argument("--output", type=Path, required=True, help="CSV of prices to write")
    given = parser.parse_args(arguments)
    try:
        estimates = merge(read_slices(given.directory))
        require_portfolio(given.portfolio, estimates)
        write_results(given.output, estimates)
    except (MergeError, OSError) as error:
        for line in str(error).splitlines():
            print(f"merge: {line}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
