"""What the page plots, binned: of any number of tasks a few hundred numbers. Pure.

Times are seconds since the job's first task was submitted.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from jobs.looks import TaskEnd
from jobs.node_spans import Stay, busy_spans, stays
from jobs.stack import Pool

STEPS = 240
BARS = 40
LANES = 48
LANE_STEPS = 600
_LEAST_S = 1e-9
_LOG_ABOVE = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """Tasks in each state, at each of `times`."""

    times: tuple[float, ...]
    waiting: tuple[int, ...]
    running: tuple[int, ...]
    succeeded: tuple[int, ...]
    failed: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Values at each of `times`."""

    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How many values are in each bin.

    Attributes:
        edges: One more than there are bins.
        counts: Values in each; the last bin has its upper edge, too.
        logarithmic: Whether each edge is a factor, not a distance, from the one before.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    logarithmic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A time in a lane; several short ones of the same kind are one.

    Attributes:
        kind: `waiting`, `again` (attempts before the last), `succeeded`, `failed` or
            `uploading`.
        start: Where it begins.
        stop: Where it ends.
        tasks: How many are in it.
        example: One of them.
    """

    kind: str
    start: float
    stop: float
    tasks: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One slot of a node."""

    node: str
    slot: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Lanes, in the order in which their first tasks started; `total` with those left out."""

    lanes: tuple[Lane, ...]
    total: int


def start_of(ends: Collection[TaskEnd]) -> float:
    """When the first task was submitted."""
    return min((end.created for end in ends), default=0.0)


def span_of(ends: Collection[TaskEnd]) -> float:
    """Seconds from the first submission to the last task's end; never 0."""
    last = max((max(end.ended, end.completed or 0.0) for end in ends), default=0.0)
    return max(last - start_of(ends), 0.001)


def states(ends: Collection[TaskEnd], unfinished: int) -> States:
    """Tasks by state over time; those that have not ended wait throughout.

    A task that was submitted again is counted once: from then on it is its next attempt.
    """
    zero, times = start_of(ends), _times(span_of(ends))
    created: list[float] = []
    begun: list[float] = []
    well: list[float] = []
    badly: list[float] = []
    gone_well: list[float] = []
    gone_badly: list[float] = []
    for end, until in _attempts(ends):
        ended = min(end.ended, until) - zero
        created.append(end.created - zero)
        begun.append(min(ended, (end.ended if end.begun is None else end.begun) - zero))
        (well if end.succeeded else badly).append(ended)
        if until < math.inf:
            (gone_well if end.succeeded else gone_badly).append(until - zero)
    for moments in (created, begun, well, badly, gone_well, gone_badly):
        moments.sort()
    waiting, running, succeeded, failed = [], [], [], []
    for time in times:
        there, ran = bisect_right(created, time), bisect_right(begun, time)
        good, bad = bisect_right(well, time), bisect_right(badly, time)
        waiting.append(max(0, there - ran) + unfinished)
        running.append(max(0, ran - good - bad))
        succeeded.append(good - bisect_right(gone_well, time))
        failed.append(bad - bisect_right(gone_badly, time))
    return States(
        times=times,
        waiting=tuple(waiting),
        running=tuple(running),
        succeeded=tuple(succeeded),
        failed=tuple(failed),
    )


def _attempts(ends: Collection[TaskEnd]) -> Iterator[tuple[TaskEnd, float]]:
    """Each end, and when the same task was submitted again; infinite for the last one."""
    by_task: dict[str, list[TaskEnd]] = defaultdict(list)
    for end in ends:
        by_task[end.id].append(end)
    for mine in by_task.values():
        mine.sort(key=lambda end: (end.created, end.ended))
        for end, following in pairwise(mine):
            yield end, following.created
        yield mine[-1], math.inf


def busy_nodes(ends: Collection[TaskEnd], slots: int) -> Curve:
    """How many nodes of so many slots had a task, over time."""
    zero, times = start_of(ends), _times(span_of(ends))
    spans = [span for node in busy_spans(ends, slots).values() for span in node]
    starts = sorted(start - zero for start, _ in spans)
    stops = sorted(stop - zero for _, stop in spans)
    return Curve(
        times=times,
        values=tuple(float(bisect_right(starts, t) - bisect_left(stops, t)) for t in times),
    )


def watched_pieces(moments: Sequence[float], gap_s: float) -> list[range]:
    """Which of moments in order follow each other without a gap: the indexes of each piece."""
    breaks = [n for n, (a, b) in enumerate(pairwise(moments), 1) if b - a > gap_s]
    edges = [0, *breaks, len(moments)]
    return [range(a, b) for a, b in pairwise(edges) if b > a]


def cost(ends: Collection[TaskEnd], pool: Pool, total: float | None = None) -> Curve | None:
    """What the nodes had cost by then; None where a price that it takes is not known.

    Args:
        ends: The tasks.
        pool: Where they ran.
        total: What they are known to have cost, if that is more than their times tell.
    """
    times = _times(span_of(ends))
    values = [0.0] * len(times)
    for on_spot, price in (
        (False, pool.dedicated_price_per_hour),
        (True, pool.spot_price_per_hour),
    ):
        mine = [end for end in ends if end.on_spot == on_spot and end.started is not None]
        if mine and price is None:
            return None
        seconds = _seconds_by(mine, pool.task_slots_per_node, start_of(ends), times)
        values = [v + s / 3600 * (price or 0.0) for v, s in zip(values, seconds, strict=True)]
    factor = total / values[-1] if total and values[-1] else 1.0
    return Curve(times=times, values=tuple(value * factor for value in values))


def histogram(values: Sequence[float], bars: int = BARS) -> Histogram | None:
    """Bins of equal width, or of equal factor where few values are far above the others."""
    if not values:
        return None
    low, high = min(values), max(values)
    middle = sorted(values)[len(values) // 2]
    logarithmic = low > 0 and high / max(middle, _LEAST_S) > _LOG_ABOVE
    if high <= low:
        high = low + max(abs(low), 1.0) * 0.5
    if logarithmic:
        least = max(low, _LEAST_S)
        step = math.log(high / least) / bars
        edges = [low, *(least * math.exp(step * n) for n in range(1, bars)), high]
    else:
        low = 0.0 if low < high * 0.5 else low
        edges = [low + (high - low) * n / bars for n in range(bars)] + [high]
    counts = [0] * bars
    for value in values:
        counts[min(bars - 1, max(0, bisect_right(edges, value) - 1))] += 1
    return Histogram(edges=tuple(edges), counts=tuple(counts), logarithmic=logarithmic)


def timeline(ends: Collection[TaskEnd], slots: int, lanes: int = LANES) -> Timeline:
    """What each slot did: its tasks in lanes, of as many nodes as there is room for.

    A task that took several nodes is in a lane of each.

    Args:
        ends: The tasks.
        slots: Of each node.
        lanes: There is room for so many.
    """
    zero, least = start_of(ends), span_of(ends) / LANE_STEPS
    by_node: dict[str, list[Stay]] = defaultdict(list)
    for stay in sorted(stays(ends, slots), key=lambda stay: (stay.begun, stay.stop)):
        by_node[stay.node].append(stay)
    made: list[Lane] = []
    total = 0
    for node, mine in by_node.items():
        dealt = _dealt(mine)
        total += len(dealt)
        made.extend(
            Lane(node=node, slot=slot, segments=tuple(_segments(lane, zero, least)))
            for slot, lane in enumerate(dealt)
            if len(made) + slot < lanes
        )
        made = made[:lanes]
    return Timeline(lanes=tuple(made), total=total)


def _times(span: float) -> tuple[float, ...]:
    return tuple(span * n / STEPS for n in range(STEPS + 1))


def _seconds_by(
    ends: Collection[TaskEnd], slots: int, zero: float, times: Sequence[float]
) -> list[float]:
    """Node seconds that had passed by each time."""
    spans = [span for node in busy_spans(ends, slots).values() for span in node]
    total = [0.0] * len(times)
    for sign, moments in ((1, [a - zero for a, _ in spans]), (-1, [b - zero for _, b in spans])):
        moments.sort()
        sums = [0.0, *accumulate(moments)]
        for n, time in enumerate(times):
            before = bisect_right(moments, time)
            total[n] += sign * (before * time - sums[before])
    return total


def _dealt(found: Sequence[Stay]) -> list[list[Stay]]:
    """Tasks of a node, by start, each in the lane that was free longest."""
    free: list[tuple[float, int]] = []
    dealt: list[list[Stay]] = []
    for stay in found:
        if free and free[0][0] <= stay.begun:
            _, lane = heapq.heappop(free)
        else:
            lane = len(dealt)
            dealt.append([])
        dealt[lane].append(stay)
        heapq.heappush(free, (stay.stop, lane))
    return dealt


def _segments(lane: Sequence[Stay], zero: float, least: float) -> list[Segment]:
    """Waiting, running and uploading, one after the other; short ones of a kind are joined."""
    found: list[Segment] = []
    until = 0.0

    def add(kind: str, start: float, stop: float, task: str) -> None:
        if stop <= start:
            return
        same = next((n for n in (1, 2) if len(found) >= n and found[-n].kind == kind), None)
        if same is not None and start - found[-same].stop < least:
            joined = found[-same]
            del found[-same:]
            found.append(
                Segment(
                    kind=kind,
                    start=joined.start,
                    stop=stop,
                    tasks=joined.tasks + 1,
                    example=joined.example,
                )
            )
        else:
            found.append(Segment(kind=kind, start=start, stop=stop, tasks=1, example=task))

    for stay in lane:
        end = stay.end
        begun, started, stop = (at - zero for at in (stay.begun, stay.started, stay.stop))
        if begun - until >= least and stay.begun == end.begun:
            add("waiting", max(until, end.created - zero), begun, end.id)
        add("again", begun, started, end.id)
        add("succeeded" if end.succeeded else "failed", started, stop, end.id)
        if end.upload_s >= least and stay.stop >= end.ended:
            add("uploading", stop, stop + end.upload_s, end.id)
        until = max(until, stop)
    return found
