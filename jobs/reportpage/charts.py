"""Charts as inline SVG: no text in them is stretched, whatever the width of the page.

A plot is three pieces: labels of the y axis, the plot itself, which stretches
(`preserveAspectRatio="none"`), and labels of the x axis, placed by per cent. Each has a
sentence that says what it shows, for those who do not see it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from jobs.durations import spoken, spoken_apart
from jobs.reportpage.series import Curve, Histogram, States, Timeline

_WIDTH = 1000
_HEIGHT = 180
_LANE = 14
_TICKS = 4
_DOING = {"again": "earlier attempts (estimated)"}

Words = Callable[[float], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve of a chart: its class in the style, its name, and where it leads.

    In pieces where it is not known in between, the first piece first.
    """

    kind: str
    name: str
    curves: tuple[Curve, ...]


def number(value: float) -> str:
    """A count for an axis: `0`, `250`, `1.5k`, `2M`."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def states_chart(data: States) -> str:
    """Tasks by state over time, one state on the other."""
    parts = [
        ("succeeded", "succeeded", data.succeeded),
        ("failed", "failed", data.failed),
        ("running", "running", data.running),
        ("waiting", "waiting", data.waiting),
    ]
    below = [0.0] * len(data.times)
    most = max(map(sum, zip(*(values for _, _, values in parts), strict=True)), default=0)
    top = nice(float(most), whole=True)
    paths = []
    for kind, name, values in parts:
        above = [b + v for b, v in zip(below, values, strict=True)]
        edge = [*_points(data.times, above, top), *reversed(_points(data.times, below, top))]
        paths.append(
            f'<path class="fill {kind}" d="M{"L".join(edge)}Z"><title>{name}</title></path>'
        )
        below = above
    said = (
        f"Tasks by state over {spoken(data.times[-1])}: at most {max(data.running):,} ran at "
        f"once; at the end {data.succeeded[-1]:,} had succeeded, {data.failed[-1]:,} failed and "
        f"{data.waiting[-1]:,} waited."
    )
    return _figure(
        "Tasks by state", said, "".join(paths), top, data.times[-1], number,
        legend=[(kind, name) for kind, name, _ in parts],
    )  # fmt: skip


def lines_chart(
    title: str, lines: Sequence[Line], words: Words, said: str, *, counts: bool = False
) -> str:
    """Curves over the same time.

    Args:
        title: Above them.
        lines: The curves.
        words: What a value is called.
        said: The whole in a sentence.
        counts: Whether they count things: then each value holds until the next.
    """
    span = max(curve.times[-1] for line in lines for curve in line.curves)
    top = nice(max(max(curve.values) for line in lines for curve in line.curves), whole=counts)
    paths = []
    for line in lines:
        drawn = "".join(
            f"M{'L'.join(_points(times, values, top, span))}"
            for times, values in (
                _steps(curve) if counts else (curve.times, curve.values) for curve in line.curves
            )
        )
        name = f"<title>{escape(line.name)}</title>"
        paths.append(f'<path class="line {line.kind}" d="{drawn}">{name}</path>')
    legend = [(line.kind, line.name) for line in lines] if len(lines) > 1 else []
    return _figure(title, said, "".join(paths), top, span, words, legend=legend)


def _steps(curve: Curve) -> tuple[list[float], list[float]]:
    """A curve that holds each value until the next, by its corners."""
    times, values = list(curve.times[:1]), list(curve.values[:1])
    for time, value in zip(curve.times[1:], curve.values[1:], strict=True):
        if value != values[-1]:
            times += [time, time]
            values += [values[-1], value]
    return [*times, curve.times[-1]], [*values, values[-1]]


def histogram_chart(title: str, data: Histogram, kind: str, what: str) -> str:
    """Bars; `what` names the values, such as `run time`."""
    top = nice(float(max(data.counts)), whole=True)
    width = _WIDTH / len(data.counts)
    edges = spoken_apart(data.edges)
    bars = []
    for n, count in enumerate(data.counts):
        if count:
            height = max(1.5, count / top * _HEIGHT)
            bars.append(
                f'<rect class="bar {kind}" x="{n * width + 1:.1f}" y="{_HEIGHT - height:.1f}" '
                f'width="{width - 2:.1f}" height="{height:.1f}">'
                f"<title>{edges[n]} to {edges[n + 1]}: {count:,}</title></rect>"
            )
    most = max(range(len(data.counts)), key=data.counts.__getitem__)
    said = (
        f"{title}: from {edges[0]} to {edges[-1]}"
        f"{' (logarithmic axis)' if data.logarithmic else ''}; most often between "
        f"{edges[most]} and {edges[most + 1]}, "
        f"{data.counts[most]:,} tasks."
    )
    marks = _marks([data.edges[n * len(data.counts) // _TICKS] for n in range(_TICKS + 1)])
    caption = f"{what}{', logarithmic' if data.logarithmic else ''}"
    return _figure(title, said, "".join(bars), top, 0, number, marks=marks, caption=caption)


def lanes_chart(data: Timeline, span: float, name: Callable[[str], str] = str) -> str:
    """What each slot did, a lane each; `name` gives what a person calls a task by its id."""
    height = max(1, len(data.lanes)) * _LANE
    parts = []
    names = []
    for n, lane in enumerate(data.lanes):
        y = n * _LANE
        parts.append(
            f'<rect class="track" x="0" y="{y + 2}" width="{_WIDTH}" height="{_LANE - 4}"/>'
        )
        for piece in lane.segments:
            x, wide = piece.start / span * _WIDTH, (piece.stop - piece.start) / span * _WIDTH
            thin = piece.kind == "waiting"
            tasks = escape(name(piece.example)) if piece.tasks == 1 else f"{piece.tasks:,} tasks"
            parts.append(
                f'<rect class="bar {piece.kind}" x="{x:.2f}" y="{y + (6 if thin else 2)}" '
                f'width="{max(wide, 0.8):.2f}" height="{2 if thin else _LANE - 4}">'
                f"<title>{tasks}: {_DOING.get(piece.kind, piece.kind)} {spoken(piece.start)} "
                f"to {spoken(piece.stop)}"
                "</title></rect>"
            )
        if lane.slot == 0:
            names.append(f'<text x="100%" y="{y + 11}">{escape(short(lane.node))}</text>')
    left = data.total - len(data.lanes)
    again = any(piece.kind == "again" for lane in data.lanes for piece in lane.segments)
    said = f"What {len(data.lanes)} task slots did over {spoken(span)}" + (
        f"; {left:,} more are not drawn." if left > 0 else "."
    )
    return _figure(
        "Timeline, a lane a slot", said, "".join(parts), 0, span, number,
        legend=[
            ("succeeded", "run"), ("failed", "run that failed"),
            *([("again", _DOING["again"])] if again else []),
            ("waiting", "wait"), ("uploading", "upload"),
        ],
        height=height, rows="".join(names),
        caption=f"{left:,} more lanes are not drawn" if left > 0 else "",
    )  # fmt: skip


def outcome_bar(parts: Sequence[tuple[str, str, int]]) -> str:
    """Kinds, names and counts as one bar."""
    total = sum(count for _, _, count in parts) or 1
    x = 0.0
    drawn, legend = [], []
    for kind, name, count in parts:
        if count:
            share = 100 * count / total
            drawn.append(
                f'<rect class="bar {kind}" x="{x:.3f}%" width="{share:.3f}%" height="100%">'
                f"<title>{count:,} {name}</title></rect>"
            )
            legend.append(f'<li><span class="key {kind}"></span><b>{count:,}</b> {name}</li>')
            x += share
    said = ", ".join(f"{count:,} {name}" for _, name, count in parts if count) or "no tasks"
    return (
        f'<svg class="outcome" role="img" aria-label="{said}" width="100%" height="26">'
        f'{"".join(drawn)}</svg><ul class="legend">{"".join(legend)}</ul>'
    )


def nice(value: float, *, whole: bool = False) -> float:
    """A round number not below a value, for an axis of four parts.

    Args:
        value: What must fit.
        whole: Whether a fourth of it is to be a whole number, too.
    """
    least = max(value, 4.0) if whole else value
    if least <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(least))
    steps = (step * size for step in (1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0, 12.0))
    return next(
        step for step in steps if step >= least * 0.9999 and (not whole or round(step) % 4 == 0)
    )


def _points(
    times: Sequence[float], values: Sequence[float], top: float, span: float | None = None
) -> list[str]:
    whole = span or times[-1] or 1.0
    return [
        f"{t / whole * _WIDTH:.1f},{_HEIGHT - v / top * _HEIGHT:.1f}"
        for t, v in zip(times, values, strict=True)
    ]


def _figure(
    title: str,
    said: str,
    drawing: str,
    top: float,
    span: float,
    words: Words,
    *,
    legend: Sequence[tuple[str, str]] = (),
    marks: Sequence[tuple[float, str]] | None = None,
    caption: str = "",
    height: int = _HEIGHT,
    rows: str = "",
) -> str:
    """A chart with its axes; `rows` replaces the labels of the y axis."""
    if marks is None:
        marks = _marks([span * n / _TICKS for n in range(_TICKS + 1)])
    grid = "".join(_grid(height, across=not rows))
    labels = rows or "".join(
        f'<text x="100%" y="{height - height * n / _TICKS + 4:.1f}">'
        f"{escape(words(top * n / _TICKS))}</text>"
        for n in range(_TICKS + 1)
    )
    below = "".join(
        f'<text class="{_anchor(at)}" x="{at:.1f}%" y="13">{escape(text)}</text>'
        for at, text in marks
    )
    keys = "".join(
        f'<li><span class="key {kind}"></span>{escape(name)}</li>' for kind, name in legend
    )
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        + (f'<ul class="legend">{keys}</ul>' if keys else "")
        + f'<div class="plot"><svg class="y" aria-hidden="true" width="100%" height="{height}">'
        f'{labels}</svg><svg class="area" role="img" aria-label="{escape(said)}" '
        f'viewBox="0 0 {_WIDTH} {height}" preserveAspectRatio="none" width="100%" '
        f'height="{height}">{grid}{drawing}</svg>'
        f'<svg class="x" aria-hidden="true" width="100%" height="18">{below}</svg></div>'
        + (f'<p class="hint">{escape(caption)}</p>' if caption else "")
        + "</figure>"
    )


def _grid(height: int, *, across: bool) -> Iterator[str]:
    for n in range(_TICKS + 1):
        if across:
            y = height * n / _TICKS
            yield f'<path class="grid" d="M0,{y:.1f}H{_WIDTH}"/>'
        x = _WIDTH * n / _TICKS
        yield f'<path class="grid" d="M{x:.1f},0V{height}"/>'


def _anchor(at: float) -> str:
    return "first" if at <= 0 else "last" if at >= 100 else "middle"  # noqa: PLR2004 - per cent


def _marks(seconds: Sequence[float]) -> list[tuple[float, str]]:
    """Ticks at equal distances, by per cent, each with its time."""
    texts = [
        "0" if not at else text for at, text in zip(seconds, spoken_apart(seconds), strict=True)
    ]
    return [(100 * n / _TICKS, text) for n, text in enumerate(texts)]


def short(node: str) -> str:
    """A node's id as far as there is room: `tvmps_1a2b…_d` by its ends."""
    return node if len(node) <= 13 else f"{node[:8]}…{node[-4:]}"  # noqa: PLR2004 - a label's width
