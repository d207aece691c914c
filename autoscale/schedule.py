"""Hours of a week in a named time zone, as a condition in UTC.

The language knows UTC only and has no time zones, so the zone's changes between standard
and summer time are written into the formula, for the years that the schedule names. They
are parameters, not today's date: a text that changed by itself would be a change to every
deployment. Behind the last year the formula stays at the last offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from autoscale.errors import PolicyError

_DAY = 24
_WEEK = range(1, 8)
_MOST_YEARS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepWarm:
    """Nodes that are kept during some hours of some days.

    Attributes:
        nodes: How many dedicated nodes.
        zone: Name of the time zone, such as `Europe/Berlin`.
        from_hour: First hour, 0 to 23, local time.
        to_hour: Hour in which it ends, 1 to 24; at or before `from_hour` it is the next
            day's, and the day is that on which the time begins.
        days: Days of the week, 1 for Monday to 7 for Sunday.
        first_year: First year whose changes of the clock are known to the formula.
        last_year: Last such year.

    Raises:
        PolicyError: the parameters are no schedule; all reasons at once.
    """

    nodes: int = 1
    zone: str = "UTC"
    from_hour: int = 8
    to_hour: int = 18
    days: tuple[int, ...] = (1, 2, 3, 4, 5)
    first_year: int
    last_year: int

    def __post_init__(self) -> None:
        wrong = list(self._contradictions())
        if wrong:
            raise PolicyError("\n".join(f"KeepWarm.{reason}" for reason in wrong))

    def render(self) -> Iterator[str]:
        """Lines that set `warm` to 1 in the hours and to 0 outside."""
        yield f"// Warm from {self.from_hour:02}:00 to {self.to_hour:02}:00, {self.zone}."
        yield f"utcOffset = {self._offset()};"
        yield (
            "begun = time() + utcOffset * TimeInterval_Minute"
            f" + (-{self.from_hour} * TimeInterval_Hour);"
        )
        conditions = [f"begun.hour < {self._hours}"] if self._hours < _DAY else []
        if set(self.days) != set(_WEEK):
            conditions.append(self._on_days())
        yield f"warm = {' && '.join(conditions)};"

    @property
    def _hours(self) -> int:
        """How long it lasts, 1 to 24."""
        return (self.to_hour - self.from_hour - 1) % _DAY + 1

    def _on_days(self) -> str:
        runs: list[list[int]] = []
        for day in sorted(set(self.days)):
            if runs and runs[-1][-1] == day - 1:
                runs[-1].append(day)
            else:
                runs.append([day])
        parts = [
            f"begun.weekday == {run[0]}"
            if len(run) == 1
            else f"begun.weekday >= {run[0]} && begun.weekday <= {run[-1]}"
            for run in runs
        ]
        return parts[0] if len(parts) == 1 else f"({' || '.join(f'({part})' for part in parts)})"

    def _offset(self) -> str:
        """Minutes ahead of UTC, as a condition over the changes of the clock."""
        *changes, (_, last) = self._changes()
        text = str(last)
        for until, minutes in reversed(changes):
            text = f'time() < time("{until:%Y-%m-%dT%H:%M:%SZ}") ? {minutes} : ({text})'
        return text

    def _changes(self) -> list[tuple[datetime, int]]:
        """Each offset in minutes with the moment until which it holds; the last for ever."""
        zone = ZoneInfo(self.zone)
        moment = datetime(self.first_year, 1, 1, tzinfo=UTC)
        end = datetime(self.last_year + 1, 1, 1, tzinfo=UTC)
        found: list[tuple[datetime, int]] = []
        while moment < end:
            after = moment + timedelta(days=1)
            if _minutes(zone, after) != _minutes(zone, moment):
                low, high = moment, after
                while high - low > timedelta(minutes=1):
                    middle = low + (high - low) / 2
                    middle = middle.replace(second=0, microsecond=0)
                    if _minutes(zone, middle) == _minutes(zone, moment):
                        low = middle
                    else:
                        high = middle
                found.append((high, _minutes(zone, moment)))
            moment = after
        return [*found, (end, _minutes(zone, end))]

    def _contradictions(self) -> Iterator[str]:
        if self.nodes < 1:
            yield f"nodes is {self.nodes}: give 1 at least"
        if not 0 <= self.from_hour <= 23:  # noqa: PLR2004 - the hours of a day
            yield f"from_hour is {self.from_hour}: give 0 to 23"
        if not 1 <= self.to_hour <= 24:  # noqa: PLR2004 - the hours of a day
            yield f"to_hour is {self.to_hour}: give 1 to 24"
        if not self.days or not set(self.days) <= set(_WEEK):
            yield f"days is {self.days}: give days from 1 for Monday to 7 for Sunday"
        elif self._hours == _DAY and set(self.days) == set(_WEEK):
            yield "the hours are all hours of all days: set min_dedicated_nodes instead"
        if not 0 <= self.last_year - self.first_year < _MOST_YEARS:
            yield f"last_year must follow first_year within {_MOST_YEARS} years"
        if not 2000 <= self.first_year <= 2100:  # noqa: PLR2004 - a century is enough
            yield f"first_year is {self.first_year}: give a year from 2000 to 2100"
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield (
                f"zone {self.zone!r} is unknown: give a name such as Europe/Berlin"
                " (a system without zone data needs the package tzdata)"
            )


def _minutes(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset() or timedelta()
    return int(offset.total_seconds() // 60)
