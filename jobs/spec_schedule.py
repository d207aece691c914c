"""The `schedule` of a workload file: when Batch makes a job of it, and how often.

Batch counts recurrences from an instant, in UTC, whatever the clocks of a country do. It
has no cron expression, so that there is none here. Limits are the service's
(`BatchJobScheduleConfiguration` of azure-batch).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from jobs.durations import iso_duration, spoken
from jobs.spec_values import Duration, Model

SHORTEST = timedelta(minutes=1)
"""Of an interval and of a start window."""


def _moment(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic's protocol
            "should be a date or a time in quotes or as YAML text, like 2026-12-01T06:00Z"
        )
    try:
        moment = datetime.fromisoformat(value)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{value!r} is no date or time: write it like 2026-12-01, 2026-12-01T06:00Z or "
            "2026-12-01T06:00+01:00; without an offset it is UTC"
        ) from error


def _with_unit(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic's protocol
            "should be a length of time with its unit, like 30m, 6h or 1d"
        )
    return value


def _long_enough(value: timedelta) -> timedelta:
    if value < SHORTEST:
        raise ValueError(f"is shorter than the service's shortest, {spoken(60)}")
    return value


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "examples": ["2026-12-01", "2026-12-01T06:00Z"]}),
]
Span = Annotated[
    Duration,
    BeforeValidator(_with_unit),
    AfterValidator(_long_enough),
    WithJsonSchema({"type": "string", "examples": ["30m", "6h", "1d", "7d"]}),
]


class Schedule(Model):
    """When Batch makes a job of the workload. At least one of `every` and `start`."""

    every: Span | None = Field(
        default=None,
        description="From the beginning of one job to that of the next, a minute at least; a "
        "job that is not over by then delays the next. Without it there is one job.",
    )
    start: Moment | None = Field(
        default=None,
        description="No job before this date or time (UTC without an offset), from which "
        "recurrences are counted, also when it has passed; without it, from when the schedule is "
        "submitted.",
    )
    until: Moment | None = Field(
        default=None, description="No job after this; without it, until the schedule is deleted."
    )
    start_window: Span | None = Field(
        default=None,
        description="How late a job may begin, a minute at least, before its turn is lost; "
        "without it, until the next one's turn.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.every is None and self.start is None:
            raise ValueError("says neither how often (`every`) nor when (`start`)")
        if self.every is None and self.until is not None:
            raise ValueError("until ends what recurs, and there is no `every`")
        if self.start is not None and self.until is not None and self.until <= self.start:
            raise ValueError("until is not after start: there would be no job")
        if None not in {self.every, self.start_window} and self.start_window > self.every:  # type: ignore[operator] # neither is None
            raise ValueError(
                "start_window is longer than every, which the service takes for no window at "
                "all: shorten it, or leave it out"
            )
        return self

    @property
    def recurs_from_start(self) -> bool:
        """Whether it recurs, and its turns are counted from an instant of its own."""
        return self.every is not None and self.start is not None

    def due_from(self, now: datetime) -> datetime:
        """When the first job is due of a schedule that is submitted now.

        One that recurs keeps its turns, also when its `start` has passed; where there is one
        job, it is due at once.

        Raises:
            OverflowError: Not before the year 10000.
        """
        if self.start is None or (self.every is None and self.start < now):
            return now
        if self.every is None or self.start >= now:
            return self.start
        return self.start + -((self.start - now) // self.every) * self.every

    def wire(self, now: datetime | None = None) -> dict[str, Any]:
        """The schedule as the service takes it.

        Args:
            now: When it is sent; None: as it is written. Where `doNotRunUntil` has passed, the
                service may make a job at once, and it is documented nowhere that it counts from
                there: so it is told the first turn in place of a `start` in the past.
        """
        until = self.due_from(now) if now and self.recurs_from_start else self.start
        members = {
            "doNotRunUntil": None if until is None else wire_moment(until),
            "doNotRunAfter": None if self.until is None else wire_moment(self.until),
            "startWindow": None if self.start_window is None else iso_duration(self.start_window),
            "recurrenceInterval": None if self.every is None else iso_duration(self.every),
        }
        return {name: value for name, value in members.items() if value is not None}


def wire_moment(moment: datetime) -> str:
    """An instant as the service takes it: RFC 3339, UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def schedule_short_form(value: object) -> object:
    """`schedule: 1d` is short for a mapping with `every`."""
    return {"every": value} if isinstance(value, str) else value
