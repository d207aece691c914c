"""Spans of time as clients and the service write them: ISO 8601 durations.

The service normalises them to days, hours, minutes and seconds (years count 365 days,
months 30: `P3Y6M4DT12H30M5S` comes back as `P1279DT12H30M5S`); unlimited is .NET's
`TimeSpan.MaxValue`. Bodies of pools and jobs are kept as they were written, so that the
engine reads them, too.
"""

from __future__ import annotations

import re

from emulator.clock import MAX_TICKS, TICKS_PER_SECOND

UNLIMITED = "P10675199DT2H48M5.4775807S"
_SECONDS_PER_DAY = 86_400
_DURATION = re.compile(
    r"(-)?P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?"
    r"(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,9}))?S)?)?",
)


def span(ticks: int) -> str:
    """The canonical duration."""
    sign = "-" if ticks < 0 else ""
    whole, fraction = divmod(abs(ticks), TICKS_PER_SECOND)
    days, rest = divmod(whole, _SECONDS_PER_DAY)
    hours, rest = divmod(rest, 3600)
    minutes, second = divmod(rest, 60)
    clock = f"{hours}H" if hours else ""
    clock += f"{minutes}M" if minutes else ""
    if fraction:
        clock += f"{second}.{fraction:07d}".rstrip("0") + "S"
    elif second:
        clock += f"{second}S"
    if not days and not clock:
        return "PT0S"
    return sign + "P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")


def parse_span(text: str) -> int:
    """The ticks of a duration that a client wrote.

    Raises:
        ValueError: It is none, or longer than the longest.
    """
    match = _DURATION.fullmatch(text)
    if match is None or text.rstrip("-") in {"P", "PT"} or text.endswith("T"):
        raise ValueError(f"not a duration: {text}")
    sign, years, months, weeks, days, hours, minutes, second, fraction = match.groups()
    whole_days = (
        int(years or 0) * 365 + int(months or 0) * 30 + int(weeks or 0) * 7 + int(days or 0)
    )
    total = whole_days * _SECONDS_PER_DAY + int(hours or 0) * 3600
    total += int(minutes or 0) * 60 + int(second or 0)
    ticks = total * TICKS_PER_SECOND + int(f"{fraction or '0':0<7}"[:7])
    if ticks > MAX_TICKS:
        raise ValueError(f"longer than {UNLIMITED}: {text}")
    return -ticks if sign else ticks
