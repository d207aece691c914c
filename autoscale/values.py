"""Values of the language and how the service prints them.

A double is a `float`, a doubleVec a tuple of floats, a string a `str`; timestamps and
intervals count ticks of 100 ns, as the service does. Intervals have the range of 64 bits
and timestamps the years 1 to 9999; what leaves the range is an `OverflowError`, which the
evaluator reports as the formula's.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from autoscale.language import TICKS_PER_SECOND, Type

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
EPOCH_TICKS = int((_EPOCH - _FIRST).total_seconds()) * TICKS_PER_SECOND
_LAST_TICK = 3_155_378_975_999_999_999
_MOST_TICKS = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Interval:
    """A timeinterval, in ticks of 100 ns."""

    ticks: int

    def __post_init__(self) -> None:
        if not -_MOST_TICKS <= self.ticks <= _MOST_TICKS:
            raise OverflowError("the timeinterval is longer than 29,000 years")

    @classmethod
    def of(cls, ticks: float) -> Interval:
        """The interval nearest to a number of ticks; not a number and infinity overflow."""
        if not math.isfinite(ticks):
            raise OverflowError("the timeinterval is not a finite number")
        return cls(ticks=round(ticks))

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.ticks / TICKS_PER_SECOND

    def __str__(self) -> str:
        ticks = abs(self.ticks)
        seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
        days, seconds = divmod(seconds, 86400)
        text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        if days:
            text = f"{days}.{text}"
        if fraction:
            text += f".{fraction:07}"
        return f"-{text}" if self.ticks < 0 else text


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Timestamp:
    """A timestamp in UTC: ticks of 100 ns since the first day of the year 1."""

    ticks: int

    def __post_init__(self) -> None:
        if not 0 <= self.ticks <= _LAST_TICK:
            raise OverflowError("the timestamp is outside the years 1 to 9999")

    @classmethod
    def of(cls, moment: datetime) -> Timestamp:
        """The timestamp of a datetime, which must know its zone."""
        if moment.tzinfo is None:
            raise ValueError(f"{moment.isoformat()} has no time zone; the language knows UTC only")
        past = moment - _FIRST
        seconds = past.days * 86400 + past.seconds
        return cls(ticks=seconds * TICKS_PER_SECOND + past.microseconds * 10)

    @classmethod
    def near(cls, epoch_s: float) -> Timestamp:
        """The timestamp of seconds since 1970, or the end of the range that is nearest."""
        ticks = epoch_s * TICKS_PER_SECOND + EPOCH_TICKS
        if not 0 < ticks < _LAST_TICK:
            return cls(ticks=0 if ticks <= 0 else _LAST_TICK)
        # By microseconds: ticks since the year 1 are more than a double can count.
        return cls(ticks=round(epoch_s * 1e6) * 10 + EPOCH_TICKS)

    @property
    def moment(self) -> datetime:
        """As a datetime in UTC, to the microsecond."""
        seconds, ticks = divmod(self.ticks, TICKS_PER_SECOND)
        return _FIRST + timedelta(seconds=seconds, microseconds=ticks // 10)

    @property
    def epoch_s(self) -> float:
        """Seconds since 1970."""
        return (self.ticks - EPOCH_TICKS) / TICKS_PER_SECOND

    def member(self, name: str) -> float:
        """`year`, `month`, ... `second`; `weekday` is 1 on Monday and 7 on Sunday."""
        moment = self.moment
        return float(moment.isoweekday() if name == "weekday" else getattr(moment, name))

    def __str__(self) -> str:
        return self.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Value = float | tuple[float, ...] | str | Timestamp | Interval

_TYPES: dict[type, Type] = {
    float: Type.DOUBLE,
    tuple: Type.VECTOR,
    str: Type.STRING,
    Timestamp: Type.TIMESTAMP,
    Interval: Type.INTERVAL,
}


def type_of(value: Value) -> Type:
    """The type of a value."""
    return _TYPES[type(value)]


def format_value(value: Value) -> str:
    """A value as it stands in `results`: doubles with 6 significant digits, no blanks.

    Recorded: doubles and the targets. From the documentation: timestamps, vectors. The
    format of intervals is not published and chosen here: `d.hh:mm:ss.fffffff`.
    """
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return f"[{','.join([f'{item:g}' for item in value])}]"
    return str(value)


# W3C-DTF (https://www.w3.org/TR/NOTE-datetime) with the seven digits that ticks can hold;
# a time without a zone is read as UTC. Nine digits are refused by the live service.
_W3C = re.compile(
    r"""
    (?P<year>[0-9]{4}) (?: -(?P<month>[0-9]{2}) (?: -(?P<day>[0-9]{2})
    (?: T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})
        (?: :(?P<second>[0-9]{2}) (?: \.(?P<fraction>[0-9]{1,7}) )? )?
        (?P<zone>Z|[+-][0-9]{2}:[0-9]{2})? )? )? )?
    """,
    re.VERBOSE,
)
_RFC1123 = re.compile(
    r"(?P<weekday>Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4}"
    r" [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)


def parse_time(text: str) -> Timestamp:
    """The timestamp that `time("...")` reads: W3C-DTF or RFC 1123.

    Raises:
        ValueError: the text is neither; its words say what was expected.
    """
    if _RFC1123.fullmatch(text):
        try:
            return Timestamp.of(parsedate_to_datetime(text).replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            raise ValueError("there is no such day or time") from None
    match = _W3C.fullmatch(text)
    if match is None:
        raise ValueError(
            'expected "2026-01-31T12:00:00Z", with 7 digits at most behind the point, '
            'or "Sat, 31 Jan 2026 12:00:00 GMT"'
        )
    part = match.groupdict()
    try:
        moment = datetime(
            int(part["year"]),
            int(part["month"] or 1),
            int(part["day"] or 1),
            int(part["hour"] or 0),
            int(part["minute"] or 0),
            int(part["second"] or 0),
            tzinfo=_zone(part["zone"]),
        )
        return Timestamp(
            ticks=Timestamp.of(moment).ticks + int((part["fraction"] or "0").ljust(7, "0"))
        )
    except (ValueError, OverflowError):
        raise ValueError("there is no such day or time") from None


def wrong_weekday(text: str) -> str | None:
    """The weekday of an RFC 1123 date, if the text names another one."""
    match = _RFC1123.fullmatch(text)
    if match is None:
        return None
    true = parse_time(text).moment.strftime("%a")
    return true if true != match["weekday"] else None


def _zone(text: str | None) -> timezone:
    if text in {None, "Z"}:
        return UTC
    assert text is not None  # noqa: S101 - excluded above; mypy does not follow `in`
    sign = -1 if text[0] == "-" else 1
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(sign * offset)
