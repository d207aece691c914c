"""One evaluation under way: the variables, the samples, the time.

This is what compiled formulas run on (`autoscale.compiler`). It knows how samples are
found in a window; it does not know the tree.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from autoscale.errors import ErrorCode
from autoscale.language import SAMPLE_PERIOD_S
from autoscale.semantics import Semantics
from autoscale.values import Interval, Timestamp, Value

Samples = Mapping[str, Sequence[tuple[float, float]]]

# Sample times are seconds in floats; two that differ by less are the same instant.
_SAME_S = 1e-6
_when = itemgetter(0)
_what = itemgetter(1)


class Failure(Exception):  # noqa: N818 - control flow inside the package; `evaluate` ends it
    """The formula cannot be evaluated further; `evaluate` makes the service's error of it."""

    def __init__(self, offset: int, text: str, code: ErrorCode = ErrorCode.EVALUATION) -> None:
        super().__init__(text)
        self.offset = offset
        self.text = text
        self.code = code


class Stopped(Exception):  # noqa: N818 - control flow inside the package; `evaluate` ends it
    """The formula called `stop()`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a ranged call found: how many samples of how many, as its percentage counts."""

    available: int
    expected: int

    @property
    def percent(self) -> float:
        """0 to 100."""
        return min(100.0, 100.0 * self.available / self.expected)


class Run:
    """The state of one evaluation.

    Attributes:
        variables: Name to value, the targets among them.
        observed: Where values of sub-expressions are noted, by `id` of the node; None
            when nobody watches.
    """

    __slots__ = (
        "_random",
        "assigned_at",
        "deallocation",
        "now",
        "now_s",
        "observed",
        "samples",
        "semantics",
        "task_slots_per_node",
        "variables",
        "visible_s",
        "windows",
    )

    def __init__(
        self,
        *,
        variables: dict[str, Value],
        samples: Samples,
        now: Timestamp,
        semantics: Semantics,
        deallocation: str,
        task_slots_per_node: float = 1.0,
        observed: dict[int, Value] | None = None,
    ) -> None:
        self.variables = variables
        self.samples = samples
        self.now = now
        self.now_s = now.epoch_s
        self.visible_s = self.now_s - semantics.sample_delay_s + _SAME_S
        self.semantics = semantics
        self.deallocation = deallocation
        self.task_slots_per_node = task_slots_per_node
        self.assigned_at: dict[str, int] = {}
        self.observed = observed
        self.windows: dict[int, Window] = {}
        self._random: random.Random | None = None

    def rand(self) -> float:
        """Uniform in 0 to 1; the same evaluation gives the same numbers every time."""
        if self._random is None:
            self._random = random.Random(self.now.ticks)  # noqa: S311 - no secret hangs on it
        return self._random.random()

    def latest(self, variable: str) -> float:
        """The value of the latest visible sample; 0 when there is none."""
        series = self.samples.get(variable, ())
        end = bisect_right(series, self.visible_s, key=_when)
        if end:
            return float(series[end - 1][1])
        # The slots are a property of the pool, known before any sample is taken.
        return self.task_slots_per_node if variable == "$TaskSlotsPerNode" else 0.0

    def count(self, variable: str) -> int:
        """How many samples are visible."""
        return bisect_right(self.samples.get(variable, ()), self.visible_s, key=_when)

    def begin(self, variable: str) -> Timestamp:
        """When the oldest visible sample was taken; now when there is none."""
        if not self.count(variable):
            return self.now
        past_s = self.now_s - self.samples[variable][0][0]
        return Timestamp(ticks=self.now.ticks - Interval.of(past_s * 1e7).ticks)

    def newest(self, variable: str, count: float) -> tuple[float, ...]:
        """The most recent `count` samples, however old."""
        series = self.samples.get(variable, ())
        end = bisect_right(series, self.visible_s, key=_when)
        start = 0 if count >= end else end - int(count)
        return self._values(series, start, end)

    def window(self, variable: str, first_s: float, last_s: float) -> tuple[float, ...]:
        """Samples after `first_s` up to `last_s`, in seconds since 1970."""
        series = self.samples.get(variable, ())
        last_s = min(last_s + _SAME_S, self.visible_s)
        start = bisect_right(series, first_s + _SAME_S, key=_when)
        end = bisect_right(series, last_s, lo=start, key=_when)
        return self._values(series, start, end)

    def available(self, variable: str, first_s: float, last_s: float) -> Window:
        """How full a window is, for a sample every 30 seconds."""
        series = self.samples.get(variable, ())
        visible_s = min(last_s + _SAME_S, self.visible_s)
        start = bisect_right(series, first_s + _SAME_S, key=_when)
        end = bisect_right(series, visible_s, lo=start, key=_when)
        expected = max(1, math.floor((last_s - first_s) / SAMPLE_PERIOD_S + 0.5))
        return Window(available=end - start, expected=expected)

    def _values(
        self, series: Sequence[tuple[float, float]], start: int, end: int
    ) -> tuple[float, ...]:
        values = tuple(map(_what, series[start:end]))
        return values[::-1] if self.semantics.newest_first else values
