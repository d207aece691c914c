"""Feeds random and mutated formulas to the package and looks for what must not happen.

    python benchmarks/autoscale_fuzz.py --count 1000000 --seed 1 --seconds 600

Each input is parsed; every tenth is also checked, and evaluated if it parses. Anything but
the package's own errors is a bug and ends the run with the input. The slowest input per
character is kept, as quadratic time would show there first. `tests/autoscale/test_fuzz.py`
runs the same with a few thousand inputs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from autoscale import FormulaError, Targets, check, evaluate, explain, parse
from autoscale.language import FUNCTIONS, INTERVAL_CONSTANTS, METHODS, SERVICE_VARIABLES
from autoscale.syntax import PRECEDENCE, Formula, render

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
SAMPLES = {
    "$PendingTasks": [(NOW.timestamp() - 30 * age, float(age % 7)) for age in range(40, -1, -1)],
    "$RunningTasks": [(NOW.timestamp() - 30 * age, 1.0) for age in range(20, 10, -1)],
}
PIECES = [
    *sorted(FUNCTIONS),
    *sorted(METHODS),
    *sorted(INTERVAL_CONSTANTS),
    *sorted(SERVICE_VARIABLES),
    *PRECEDENCE,
    *"=?:;,.()!-{}[]%^&|\\'\"#$@~`\n\r\t\0",
    *("a = ", "//", "/*", "*/", "${x}", "{{", "1e9", "0.5", "9" * 320, '"2025-01-06"', "é", "🙂"),
    *("taskcompletion", ".hour", "time()", "stop()", "(((", ")))", "? 1 : 0", "\ud800"),
]


@dataclass(slots=True, kw_only=True)
class Figures:
    """What a run came to."""

    inputs: int = 0
    parsed: int = 0
    checked: int = 0
    evaluated: int = 0
    characters: int = 0
    slowest_us_per_character: float = 0.0
    slowest: str = ""
    seconds: float = 0.0


def corpus() -> list[str]:
    """Formulas to mutate: those that people run, and those that cover the language."""
    data = ROOT / "tests" / "autoscale" / "data"
    return [
        entry["formula"]
        for name in ("corpus.json", "vectors.json", "compliance.json")
        for entry in json.loads((data / name).read_text(encoding="utf-8"))
    ]


def made(chance: random.Random, seeds: list[str]) -> str:
    """One input: pieces in any order, or a formula that was damaged some times."""
    if chance.randrange(5) == 0:
        return "".join(chance.choices(PIECES, k=chance.randint(1, 60)))
    text = chance.choice(seeds)
    for _ in range(chance.randint(1, 6)):
        start = chance.randint(0, len(text))
        end = min(len(text), start + int(chance.expovariate(0.15)))
        match chance.randint(0, 4):
            case 0:
                text = text[:start] + text[end:]
            case 1:
                text = text[:start] + chance.choice(PIECES) + text[start:]
            case 2:
                text = text[:start] + text[start:end] * chance.randint(2, 9) + text[end:]
            case 3:
                text = text[:start] + chr(chance.randint(0, 0x2FFF)) + text[end:]
            case _:
                other = chance.choice(seeds)
                place = chance.randint(0, len(other))
                text = text[:start] + other[place : place + 80] + text[end:]
    return text[:9000]


def tried(text: str, figures: Figures, *, thoroughly: bool) -> None:
    """Puts one input through the package."""
    figures.inputs += 1
    figures.characters += len(text)
    took_s, formula = timed(text, thoroughly=thoroughly)
    figures.checked += thoroughly
    if len(text) > 1000:  # noqa: PLR2004 - a short input measures the clock
        limit_s = figures.slowest_us_per_character * len(text) / 1e6
        if took_s > limit_s:
            # Slow because of the input, or of what else the machine did? Look again.
            took_s = min(took_s, *(timed(text, thoroughly=thoroughly)[0] for _ in range(3)))
        if took_s > limit_s:
            figures.slowest_us_per_character = took_s * 1e6 / len(text)
            figures.slowest = text
    if formula is None:
        return
    figures.parsed += 1
    if thoroughly:
        figures.evaluated += 1
        evaluate(formula, samples=SAMPLES, now=NOW, targets=Targets(dedicated=1))
        explain(formula, samples=SAMPLES, now=NOW, targets=Targets()).render()
        if parse(render(formula)).statements != formula.statements:
            raise AssertionError(f"printing changed it: {text!r}")


def timed(text: str, *, thoroughly: bool) -> tuple[float, Formula | None]:
    """Seconds that an input takes, and the formula that it is."""
    began = time.perf_counter()
    try:
        formula = parse(text)
    except FormulaError as error:
        str(error)
        formula = None
    if thoroughly:
        check(text)
    return time.perf_counter() - began, formula


def run(count: int, seed: int, seconds: float = 1e9) -> Figures:
    """Tries `count` inputs, or as many as fit into the time."""
    chance, seeds, figures = random.Random(seed), corpus(), Figures()  # noqa: S311 - no secret
    began = time.perf_counter()
    for number in range(count):
        text = made(chance, seeds)
        try:
            tried(text, figures, thoroughly=number % 10 == 0)
        except FormulaError as error:
            if "characters, the service takes" not in str(error):
                raise
        except BaseException:
            print(f"input {number} of seed {seed}: {text!r}", file=sys.stderr)
            raise
        if number % 1000 == 0 and time.perf_counter() - began > seconds:
            break
    figures.seconds = time.perf_counter() - began
    return figures


def main() -> None:
    """Runs, and prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    figures = run(options.count, options.seed, options.seconds)
    print(json.dumps({name: getattr(figures, name) for name in Figures.__slots__}))


if __name__ == "__main__":
    main()
