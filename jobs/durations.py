"""Durations as people write them (`90s`, `1h30m`, `2d`) and as the service does (ISO 8601)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import timedelta

_WORDS = re.compile(
    r"(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?"
)
_ISO = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_ISO_TIME = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII)
_MOST_MORE_DIGITS = 4
_LONGEST = timedelta(days=10_675_199)


def parse_duration(text: str) -> timedelta:
    """Reads `45s`, `10m`, `1h30m`, `2d`, or `PT10M`.

    Raises:
        ValueError: The text is no duration, names no unit, or is longer than the
            service's longest (10,675,199 days).
    """
    match = _WORDS.fullmatch(text) or _ISO.fullmatch(text)
    parts = {} if match is None else {k: int(v) for k, v in match.groupdict().items() if v}
    if not parts:
        raise ValueError(f"{text!r} is no duration: write it like 45s, 10m, 1h30m, 2d or PT10M")
    try:
        duration = timedelta(**parts)
    except OverflowError:
        duration = timedelta.max
    if duration > _LONGEST:
        raise ValueError(f"{text!r} is longer than the service can count")
    return duration


def parse_seconds(text: str) -> float:
    """Seconds of a duration as the service writes it, fractions too: `PT1M2.5S`.

    Raises:
        ValueError: The text is none.
    """
    match = _ISO_TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no ISO 8601 duration of days, hours, minutes and seconds")
    sizes = (86_400, 3_600, 60, 1)
    return sum(size * float(part or 0) for size, part in zip(sizes, match.groups(), strict=True))


def iso_duration(duration: timedelta) -> str:
    """ISO 8601 with days, hours, minutes and seconds, as Batch takes it: `P1DT2H3M4S`."""
    rest = duration.seconds
    date = f"{duration.days}D" if duration.days else ""
    clock = "".join(
        f"{value}{unit}"
        for value, unit in ((rest // 3600, "H"), (rest % 3600 // 60, "M"), (rest % 60, "S"))
        if value
    )
    if not date and not clock:
        return "PT0S"
    return f"P{date}T{clock}" if clock else f"P{date}"


def spoken(seconds: float) -> str:
    """A length of time for a person: `0.4s`, `12s`, `3m05s`, `2h10m`, `3d04h`."""
    if seconds < 10:  # noqa: PLR2004 - below ten a tenth is worth seeing
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for unit, size, lower, small in (
        ("d", 86400, 3600, "h"),
        ("h", 3600, 60, "m"),
        ("m", 60, 1, "s"),
    ):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // lower:02d}{small}"
    return f"{whole}s"


def spoken_apart(seconds: Sequence[float]) -> list[str]:
    """Lengths of time as `spoken`, in as many digits as it takes to tell neighbours apart.

    Args:
        seconds: In ascending order, as the ticks of an axis.
    """
    texts: list[str] = []
    for more in range(_MOST_MORE_DIGITS):
        texts = [_spoken_to(value, _gap(seconds, at), more) for at, value in enumerate(seconds)]
        if len(set(texts)) == len(set(seconds)):
            break
    return texts


def _gap(seconds: Sequence[float], at: int) -> float:
    """How far a value is from the nearest one beside it that differs."""
    beside = (*seconds[max(0, at - 1) : at], *seconds[at + 1 : at + 2])
    return min((abs(other - seconds[at]) for other in beside if other != seconds[at]), default=1e9)


def _spoken_to(seconds: float, gap: float, more: int) -> str:
    finest = 0.1 if seconds < 10 else 1 if seconds < 3600 else 60 if seconds < 86400 else 3600  # noqa: PLR2004 - what `spoken` tells
    if not more and gap >= finest * (1 - 1e-9):
        return spoken(seconds)
    digits = max(0, math.ceil(-math.log10(gap) - 1e-9)) + more
    return f"{seconds:.{digits}f}s"
