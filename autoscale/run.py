"""One evaluation under way: the variables, the samples, the time.

This is what compiled formulas run on (`autoscale.compiler`). It knows how samples are
found in a window; it does not know the tree.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter

from autoscale.errors import ErrorCode
from autoscale.language import (
    DEALLOCATION,
    DEDICATED,
    DEFAULT_DEALLOCATION,
    LOW_PRIORITY,
    SAMPLE_PERIOD_S,
)
from autoscale.semantics import Semantics
from autoscale.values import Timestamp, Value

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


# Samples from a place up to another, and how many percent of the expected ones they are.
Window = tuple[int, int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What was seen of an evaluation, by `id` of the node: values, beginnings, windows."""

    values: dict[int, Value] = field(default_factory=dict)
    entered: set[int] = field(default_factory=set)
    windows: dict[int, str] = field(default_factory=dict)


class Run:
    """The state of one evaluation.

    Attributes:
        variables: Name to value, the targets and the deallocation option among them.
        observed: Where values of sub-expressions are noted; None when nobody watches.
    """

    __slots__ = (
        "_found",
        "_looked_at",
        "_random",
        "assigned_at",
        "moment",
        "now_s",
        "observed",
        "samples",
        "semantics",
        "task_slots_per_node",
        "variables",
        "visible_s",
    )

    def __init__(
        self,
        samples: Samples,
        now: datetime,
        semantics: Semantics,
        *,
        dedicated: float = 0.0,
        low_priority: float = 0.0,
        task_slots_per_node: int = 1,
        observed: Observed | None = None,
    ) -> None:
        self.variables: dict[str, Value] = {
            DEDICATED: float(dedicated),
            LOW_PRIORITY: float(low_priority),
            DEALLOCATION: DEFAULT_DEALLOCATION,
        }
        self.samples = samples
        self.moment = now
        self.now_s = now.timestamp()
        self.visible_s = self.now_s - semantics.sample_delay_s + _SAME_S
        self.semantics = semantics
        self.task_slots_per_node = float(task_slots_per_node)
        self.assigned_at: dict[str, int] = {}
        self.observed = observed
        self._random: random.Random | None = None
        self._looked_at: tuple[str, float, float] | None = None
        self._found: Window = (0, 0, 0.0)

    @property
    def now(self) -> Timestamp:
        """The time of the evaluation, as `time()` gives it."""
        return Timestamp.of(self.moment)

    def rand(self) -> float:
        """Uniform in 0 to 1; the same evaluation gives the same numbers every time."""
        if self._random is None:
            self._random = random.Random(self.now.ticks)  # noqa: S311 - no secret hangs on it
        return self._random.random()

    def latest(self, variable: str) -> float:
        """The value of the latest visible sample; 0 when there is none."""
        series = self.samples.get(variable, ())
        end = self._visible(series)
        if end:
            return float(series[end - 1][1])
        # The slots are a property of the pool, known before any sample is taken.
        return self.task_slots_per_node if variable == "$TaskSlotsPerNode" else 0.0

    def count(self, variable: str) -> int:
        """How many samples are visible."""
        return self._visible(self.samples.get(variable, ()))

    def begin(self, variable: str) -> Timestamp:
        """When the oldest visible sample was taken; now when there is none."""
        if not self.count(variable):
            return self.now
        return Timestamp.near(self.samples[variable][0][0])

    def newest(self, variable: str, count: float) -> tuple[float, ...]:
        """The most recent `count` samples, however old."""
        end = self.count(variable)
        return self.values(variable, 0 if count >= end else end - int(count), end)

    def window(self, variable: str, first_s: float, last_s: float, key: int) -> Window:
        """Samples after `first_s` up to `last_s`, in seconds since 1970.

        A plain tuple, as one is made at every look at samples; `key` is the node's that looks.
        """
        looked_at = (variable, first_s, last_s)
        if looked_at != self._looked_at:
            # A guard and the call behind it look at the same window.
            self._looked_at = looked_at
            self._found = self._find(variable, first_s, last_s)
        if self.observed is not None:
            start, end, _ = self._found
            wanted = _expected(first_s, last_s)
            self.observed.windows[key] = f"{end - start} of {wanted} samples"
        return self._found

    def _find(self, variable: str, first_s: float, last_s: float) -> Window:
        series = self.samples.get(variable, ())
        end = len(series)
        if end and (series[-1][0] > self.visible_s or last_s < self.now_s):
            end = bisect_right(series, min(self.visible_s, last_s + _SAME_S), key=_when)
        start = bisect_right(series, first_s + _SAME_S, hi=end, key=_when)
        found, wanted = end - start, _expected(first_s, last_s)
        return start, end, 100.0 * found / wanted if found < wanted else 100.0

    def values(self, variable: str, start: int, end: int) -> tuple[float, ...]:
        """The values of some samples, in the order of `Semantics.newest_first`."""
        if start == end:
            return ()
        # Unpacking is half again as fast as tuple(): this line is most of an evaluation.
        found = (*map(_what, self.samples[variable][start:end]),)
        return found[::-1] if self.semantics.newest_first else found

    def _visible(self, series: Sequence[tuple[float, float]]) -> int:
        """How many samples are old enough to be seen; mostly that is all of them."""
        if not series or series[-1][0] <= self.visible_s:
            return len(series)
        return bisect_right(series, self.visible_s, key=_when)


def _expected(first_s: float, last_s: float) -> int:
    """How many samples a window should have."""
    return int((last_s - first_s) / SAMPLE_PERIOD_S + 0.5) or 1
