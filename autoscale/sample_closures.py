"""The closures that look at the clock and at samples; the others are `autoscale.closures`."""

from __future__ import annotations

from autoscale.closures import Code
from autoscale.errors import ErrorCode
from autoscale.language import DEFAULT_SAMPLE_PERCENT, TICKS_PER_SECOND
from autoscale.run import Failure, Run
from autoscale.source import quoted
from autoscale.values import Interval, Timestamp, Value, parse_time, type_of


def time_call(arguments: tuple[Code, ...], at: int) -> Code:
    """`time()`, or the time that a string says."""
    if not arguments:
        return lambda run: run.now
    (argument,) = arguments

    def time(run: Run) -> Value:
        text = argument(run)
        if not isinstance(text, str):
            raise Failure(at, f"time() takes a string, not a {type_of(text)}")
        if not text:
            return run.now
        try:
            return parse_time(text)
        except ValueError as error:
            raise Failure(at, f"time() cannot read {quoted(text)}: {error}") from None

    return time


def _instant(value: Value, at: int, run: Run) -> float:
    """An end of a window in seconds since 1970."""
    if type(value) is Interval:
        return run.now_s - value.ticks / TICKS_PER_SECOND
    if type(value) is Timestamp:
        return value.epoch_s
    kind = type_of(value)
    raise Failure(at, f"a window is given by timestamps or timeintervals, not a {kind}")


def _bounds(first: Value, second: Value | None, at: int, run: Run) -> tuple[float, float]:
    """The window between two instants in whatever order, or from one until now."""
    if second is None and type(first) is Interval and first.ticks >= 0:
        return run.now_s - first.ticks / TICKS_PER_SECOND, run.now_s
    first_s = _instant(first, at, run)
    last_s = run.now_s if second is None else _instant(second, at, run)
    return (first_s, last_s) if first_s <= last_s else (last_s, first_s)


def get_sample(variable: str, arguments: tuple[Code, ...], at: int, key: int) -> Code:
    """`GetSample`, whose first overload counts and whose others look back in time."""
    if len(arguments) == 1:
        return _newest_or_since(variable, arguments[0], at, key)
    first, second = arguments[:2]
    third = arguments[2] if len(arguments) > 2 else None  # noqa: PLR2004 - start, end, percent

    def get_sample(run: Run) -> Value:
        start: Value = first(run)
        end: Value | None = second(run)
        percent: Value = DEFAULT_SAMPLE_PERCENT
        if third is not None:
            percent = third(run)
        elif type(end) is float:
            percent, end = end, None
        if type(percent) is not float:
            raise Failure(at, f"a sample percent is a double, not a {type_of(percent)}")
        first_s, last_s = _bounds(start, end, at, run)
        return _between(variable, first_s, last_s, percent, at, key, run)

    return get_sample


def _newest_or_since(variable: str, argument: Code, at: int, key: int) -> Code:
    def get_sample(run: Run) -> Value:
        value = argument(run)
        if type(value) is float:
            if not value >= 0:
                raise Failure(at, "GetSample() takes a count of zero or more")
            return run.newest(variable, value)
        first_s, last_s = _bounds(value, None, at, run)
        return _between(variable, first_s, last_s, DEFAULT_SAMPLE_PERCENT, at, key, run)

    return get_sample


def _between(
    variable: str, first_s: float, last_s: float, percent: float, at: int, key: int, run: Run
) -> Value:
    start, end, available = run.window(variable, first_s, last_s, key)
    if available >= percent:
        return run.values(variable, start, end)
    raise _insufficient(variable, percent, available, at)


def _insufficient(variable: str, percent: float, received: float, at: int) -> Failure:
    if percent != percent:  # noqa: PLR0124 - not-a-number
        return Failure(at, "the sample percent of GetSample() is not a number")
    return Failure(
        at,
        f"Insufficient data from data set: {variable} "
        f"wanted {_whole(percent)}%, received {_whole(received)}%",
        ErrorCode.INSUFFICIENT_SAMPLES,
    )


def _whole(percent: float) -> str:
    return f"{percent // 1:.0f}"


def get_sample_percent(variable: str, arguments: tuple[Code, ...], at: int, key: int) -> Code:
    """`GetSamplePercent`: how many of the samples of a window there are, 0 to 100."""
    first = arguments[0]
    second = arguments[1] if len(arguments) > 1 else None

    def get_sample_percent(run: Run) -> Value:
        start, end = first(run), None if second is None else second(run)
        first_s, last_s = _bounds(start, end, at, run)
        _, _, available = run.window(variable, first_s, last_s, key)
        return available

    return get_sample_percent
