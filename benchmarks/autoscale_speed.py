"""How fast formulas are checked and evaluated, each beside a peer in the same run.

    python benchmarks/autoscale_speed.py

Three ratios, smaller is better:
  check      parsing and checking a formula of 8 kB, over `ast.parse` of as much Python
  growth     the same per character at 8 kB, over at 1 kB: 1 is linear
  evaluate   evaluating a parsed policy over an hour of samples, over the same arithmetic
             written by hand

Of an evaluation (about 11 us where the peer takes 4.5; ratio 2.3 to 2.4) a fifth goes into
taking 120 values out of their pairs, which the peer does as well. What was to be had beside,
from a ratio of 2.7: a statement is a slot and code, not one more call; constants are known to
the code that reads them; `max` and `min` of two compare; a look at samples makes a plain
tuple. What is left is mostly calls of closures and the making of frozen answers: only
generated Python would save more.
"""

from __future__ import annotations

import ast
import json
import math
import sys
import timeit
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from autoscale import Targets, check, evaluate, parse
from autoscale.policies import FollowPending

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
ROUNDS = 25
HOUR_OF_SAMPLES = 120
GUARD_PERCENT = 70
LIMITS = {"check": 25.0, "growth": 1.5, "evaluate": 3.0}


def best_s(*acts: Callable[[], object]) -> list[float]:
    """Seconds of one call of each: the best of rounds in turn, so that noise meets them all."""
    timers = [timeit.Timer(act) for act in acts]
    counts = [max(1, timer.autorange()[0] // 8) for timer in timers]
    rounds = [
        [timer.timeit(count) / count for timer, count in zip(timers, counts, strict=True)]
        for _ in range(ROUNDS)
    ]
    return [min(column) for column in zip(*rounds, strict=True)]


def formula_of(characters: int) -> str:
    """A formula of about this length: the statements that people write, over and over."""
    lines = [
        "span = 15 * TimeInterval_Minute;",
        "known = $PendingTasks.GetSamplePercent(span);",
    ]
    length, number = sum(map(len, lines)), 0
    while True:
        line = (
            f"tasks{number} = known < 70 ? max(0, $PendingTasks.GetSample(1)) : max(tasks"
            f"{max(0, number - 1)}, avg($PendingTasks.GetSample(span))) + (known - 3.5) * 2 / 7;"
        )
        if number == 0:
            line = "tasks0 = 1;"
        if length + len(line) > characters - 60:
            break
        lines.append(line)
        length += len(line) + 1
        number += 1
    return "\n".join([*lines, f"$TargetDedicatedNodes = min(10, tasks{number - 1});"])


def python_of(characters: int) -> str:
    """As much Python of the same kind."""
    lines: list[str] = []
    while len("\n".join(lines)) < characters:
        number = len(lines)
        lines.append(
            f"tasks{number} = max(0, pending.last(1)) if known < 70 else max(tasks"
            f"{number - 1}, avg(pending.since(span))) + (known - 3.5) * 2 / 7"
        )
    return "\n".join(lines)[:characters].rpartition("\n")[0]


POLICY = FollowPending(
    max_dedicated_nodes=20, task_slots_per_node=4, idle_minutes=60, max_step_down=8
)


def by_hand(
    samples: list[tuple[float, float]], now_s: float, before: float
) -> tuple[float, dict[str, float]]:
    """What the policy computes, as a person would write it in Python."""
    end = bisect_right(samples, now_s, key=itemgetter(0))
    start = bisect_right(samples, now_s - 60 * 60, key=itemgetter(0))
    known = min(100.0, 100.0 * (end - start) / 120)
    last = max(0.0, samples[end - 1][1])
    if known < GUARD_PERCENT:
        tasks = last
    else:
        window = [value for _, value in samples[start:end]]
        tasks = max(last, sum(window) / len(window))
    nodes = float(math.ceil(tasks / 4))
    nodes = min(nodes, 20.0)
    nodes = max(nodes, before - 8)
    nodes = max(0.0, min(nodes, 20.0))
    return nodes, {"known": known, "last": last, "tasks": tasks, "nodes": nodes, "before": before}


def evaluate_ratio() -> float:
    """The evaluator over Python by hand, for one policy and an hour of samples."""
    formula = parse(POLICY.render())
    now_s = NOW.timestamp()
    series = [
        (now_s - 30 * (HOUR_OF_SAMPLES - 1 - place), float(place % 17))
        for place in range(HOUR_OF_SAMPLES)
    ]
    samples, targets = {"$PendingTasks": series}, Targets(dedicated=2)
    answer = evaluate(formula, samples=samples, now=NOW, targets=targets)
    if answer.targets.dedicated != by_hand(series, now_s, 2.0)[0]:
        raise AssertionError(f"the two disagree: {answer}")
    machine, hand = best_s(
        lambda: evaluate(formula, samples=samples, now=NOW, targets=targets),
        lambda: by_hand(series, now_s, 2.0),
    )
    print(f"evaluate: {machine * 1e6:.1f} us, by hand {hand * 1e6:.1f} us", file=sys.stderr)
    return machine / hand


def main() -> None:
    """Measures, prints the ratios as JSON, and fails where one is above its limit."""
    small, large = formula_of(1024), formula_of(8192)
    python = python_of(len(large))
    checking, checking_small, parsing = best_s(
        lambda: check(large), lambda: check(small), lambda: ast.parse(python)
    )
    print(
        f"check: {len(large)} characters in {checking * 1e3:.1f} ms,"
        f" ast.parse of {len(python)} in {parsing * 1e3:.1f} ms",
        file=sys.stderr,
    )
    ratios = {
        "check": checking / parsing,
        "growth": (checking / len(large)) / (checking_small / len(small)),
        "evaluate": evaluate_ratio(),
    }
    print(json.dumps({name: round(value, 2) for name, value in ratios.items()}))
    wrong = [name for name, limit in LIMITS.items() if ratios[name] > limit]
    if wrong:
        sys.exit(f"above the limit: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
