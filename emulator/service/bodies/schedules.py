"""Bodies about job schedules."""

from __future__ import annotations

from emulator.clock import MAX_TICKS, seconds
from emulator.service.bodies.jobs import job_specification
from emulator.service.bodies.parts import answered, display_name, identifier, metadata
from emulator.service.schema import REQUIRED, Member, duration, moment, partial, record

_MINUTE = seconds(60)
_timing = record(
    "Schedule",
    Member("doNotRunUntil", moment),
    Member("doNotRunAfter", moment),
    Member("startWindow", duration(least=_MINUTE, most=MAX_TICKS)),
    Member("recurrenceInterval", duration(least=_MINUTE, most=MAX_TICKS)),
)
_changeable = (
    Member("schedule", _timing),
    Member("jobSpecification", job_specification),
    Member("metadata", metadata),
)
schedule = record(
    "JobScheduleAddParameter",
    Member("id", identifier, REQUIRED),
    Member("displayName", display_name),
    Member("schedule", _timing, {}),
    Member("jobSpecification", job_specification, REQUIRED),
    Member("metadata", metadata),
)
schedule_patch = partial("JobSchedulePatchParameter", *_changeable)
schedule_put = record(
    "JobScheduleUpdateParameter",
    Member("schedule", _timing, {}),
    Member("jobSpecification", job_specification, REQUIRED),
    Member("metadata", metadata),
    *answered(),
)
