"""Cases: what a formula is evaluated with, as a file says it.

    {"samples": {"$PendingTasks": [4, 4, null, 5], "$RunningTasks": {"repeat": 2, "n": 30}},
     "latency_s": 30, "targets": [1, 0], "now": "2025-01-06T12:00:00Z"}

Samples stand oldest first, one every 30 seconds; the newest was taken `latency_s` seconds
before `now`, and null is a sample that never came. Everything may be left out: no samples,
no latency, targets of 0, and Monday 6 January 2025 at noon, so that a case gives the same
answer every day. Fields that are not known are ignored, as a test vector is a case; those
that are nearly known are mistakes.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from autoscale.errors import CaseError
from autoscale.evaluation import Targets
from autoscale.language import SAMPLE_PERIOD_S, SAMPLED
from autoscale.source import quoted

DEFAULT_NOW = datetime(2025, 1, 6, 12, tzinfo=UTC)
_MOST_SAMPLES = 1_000_000
_FIELDS = ("samples", "latency_s", "targets", "now", "task_slots_per_node")
_ALIKE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a formula is evaluated with; the fields are those of `evaluate`."""

    samples: Mapping[str, list[tuple[float, float]]] = field(default_factory=dict)
    now: datetime = DEFAULT_NOW
    targets: Targets = field(default_factory=Targets)
    task_slots_per_node: int = 1


def read_case(text: str) -> Case:
    """The case of a JSON text.

    Raises:
        CaseError: with every reason why it is none, each with its field.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CaseError(f"the case is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise CaseError('the case is not an object: write {"samples": {...}, "targets": [0, 0]}')
    return _Reader(found).case()


class _Reader:
    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.wrong: list[str] = []

    def case(self) -> Case:
        self.misspelt()
        now = self.now()
        newest_s = now.timestamp() - self.latency_s()
        case = Case(
            samples=self.samples(newest_s),
            now=now,
            targets=self.targets(),
            task_slots_per_node=self.slots(),
        )
        if self.wrong:
            raise CaseError("\n".join(self.wrong))
        return case

    def misspelt(self) -> None:
        """An unknown field says nothing about the case, unless it is nearly a known one."""
        for name in self.found:
            alike = difflib.get_close_matches(name, _FIELDS, n=1, cutoff=_ALIKE)
            if alike and name not in _FIELDS:
                self.wrong.append(f"{quoted(name)}: not a field of a case; write {alike[0]}")

    def now(self) -> datetime:
        value = self.found.get("now")
        if value is None:
            return DEFAULT_NOW
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return moment.astimezone(UTC)
        except (ValueError, TypeError, OverflowError):
            self.wrong.append('now: not a time: write "2025-01-06T12:00:00Z"')
            return DEFAULT_NOW

    def latency_s(self) -> float:
        value = self.found.get("latency_s", 0)
        if _number(value) and value >= 0:
            return float(value)
        self.wrong.append("latency_s: not a number of seconds, 0 or more")
        return 0.0

    def targets(self) -> Targets:
        value = self.found.get("targets", [0, 0])
        fits = isinstance(value, list) and len(value) == 2  # noqa: PLR2004 - the two kinds
        if fits and all(_number(item) for item in value):
            return Targets(dedicated=float(value[0]), low_priority=float(value[1]))
        self.wrong.append("targets: not two numbers: write [dedicated, low priority]")
        return Targets()

    def slots(self) -> int:
        value = self.found.get("task_slots_per_node", 1)
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 256:  # noqa: PLR2004 - the service's most
            return value
        self.wrong.append("task_slots_per_node: not a whole number from 1 to 256")
        return 1

    def samples(self, newest_s: float) -> dict[str, list[tuple[float, float]]]:
        value = self.found.get("samples", {})
        if not isinstance(value, dict):
            self.wrong.append('samples: not an object: write {"$PendingTasks": [4, 4, 5]}')
            return {}
        return {
            name: self.series(name, series, newest_s)
            for name, series in value.items()
            if self.is_sampled(name)
        }

    def is_sampled(self, name: str) -> bool:
        if name in SAMPLED:
            return True
        self.wrong.append(f"samples.{quoted(name)}: not a variable of the service with samples")
        return False

    def series(self, name: str, found: Any, newest_s: float) -> list[tuple[float, float]]:
        values = self.values(name, found)
        first_s = newest_s - SAMPLE_PERIOD_S * (len(values) - 1)
        return [
            (first_s + SAMPLE_PERIOD_S * place, float(value))
            for place, value in enumerate(values)
            if value is not None
        ]

    def values(self, name: str, found: Any) -> list[Any]:
        if isinstance(found, dict):
            count, value = found.get("n"), found.get("repeat")
            whole = isinstance(count, int) and not isinstance(count, bool)
            if whole and _number(value) and count in range(_MOST_SAMPLES + 1):
                return [value] * int(count or 0)
            self.wrong.append(f'samples.{name}: write {{"repeat": 4, "n": 30}}, n from 0')
            return []
        if isinstance(found, list) and all(item is None or _number(item) for item in found):
            return found
        self.wrong.append(f'samples.{name}: write numbers, [4, 4, 5], or {{"repeat": 4, "n": 30}}')
        return []


def _number(value: Any) -> bool:
    """A number that a double can hold; JSON readers take NaN and integers of any length."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
