"""Instants and spans (`emulator.spans`) as the wire writes them.

The service shows at most seven digits of a second, without trailing zeros, and reads
offsets.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from emulator.clock import (
    TICKS_PER_SECOND,
    UNIX_EPOCH_TICKS,
    from_datetime,
    to_datetime,
)

LAST_INSTANT = from_datetime(datetime.max.replace(tzinfo=UTC)) + 9
"""The last tick of the year 9999: .NET's `DateTime.MaxValue`."""
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?",
)


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    # Not strftime, whose year is as short as it likes.
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds").removesuffix("+00:00")


def instant(ticks: int) -> str:
    """`2026-01-22T21:43:19.0181625Z`, the fraction without trailing zeros.

    What lies beyond the year 9999 (now, and an interval of a thousand years ten times) is
    told as its end.
    """
    second, fraction = divmod(min(ticks, LAST_INSTANT) - UNIX_EPOCH_TICKS, TICKS_PER_SECOND)
    text = _second(second)
    if fraction:
        text = f"{text}.{fraction:07d}".rstrip("0")
    return text + "Z"


def agent_instant(ticks: int) -> str:
    """An instant that a node took: at most six digits."""
    return instant(ticks - ticks % 10)


def error_instant(ticks: int) -> str:
    """An instant in an error's text: seven digits, zeros kept."""
    second, fraction = divmod(ticks - UNIX_EPOCH_TICKS, TICKS_PER_SECOND)
    return f"{_second(second)}.{fraction:07d}Z"


def etag(ticks: int) -> str:
    """The ETag of what was modified at an instant."""
    return f"0x{ticks:X}"


def http_date(ticks: int) -> str:
    """RFC 1123, cut to seconds."""
    return format_datetime(to_datetime(ticks).replace(microsecond=0), usegmt=True)


def parse_instant(text: str) -> int:
    """The ticks of an instant that a client wrote; without an offset it is UTC.

    Raises:
        ValueError: It is none.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"not a date and time: {text}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    offset = "+00:00" if zone in {None, "Z"} else zone
    moment = datetime.fromisoformat(
        f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{offset}"
    )
    ticks = from_datetime(moment) + int(f"{fraction or '0':0<7}"[:7])
    if not 0 <= ticks <= LAST_INSTANT:
        raise ValueError(f"not in the years 1 to 9999: {text}")
    return ticks
