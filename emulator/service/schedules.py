"""Handlers of job schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.clock import MAX_TICKS
from emulator.engine import schedules
from emulator.engine.world import Schedule, Timing
from emulator.service import bodies, render, statistics
from emulator.service.call import Call, Reply, changed, sorted_keys
from emulator.service.values import etag, instant, parse_instant
from emulator.spans import parse_span

SCHEDULE_MEMBERS = (
    "id", "displayName", "url", "eTag", "lastModified", "creationTime", "state",
    "stateTransitionTime", "previousState", "previousStateTransitionTime", "schedule",
    "jobSpecification", "executionInfo", "metadata", "stats",
)  # fmt: skip


def find(call: Call) -> Schedule:
    """The job schedule that the path names."""
    return call.host.run(schedules.get, call.path["jobScheduleId"])


def to_change(call: Call) -> Schedule:
    """The same, if the conditional headers allow to change it."""
    schedule = find(call)
    call.check_conditions(schedule.modified)
    return schedule


def _parsed(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine wants of a body in ticks."""
    timing = body.get("schedule") or {}
    instants = {"until": "doNotRunUntil", "after": "doNotRunAfter"}
    spans = {"window": "startWindow", "interval": "recurrenceInterval"}
    spec = body["jobSpecification"]
    manager = spec.get("jobManagerTask")
    return {
        "timing": Timing(
            **{n: parse_instant(timing[wire]) for n, wire in instants.items() if wire in timing},
            **{n: parse_span(timing[wire]) for n, wire in spans.items() if wire in timing},
        ),
        "wall_clock": parse_span(spec["constraints"]["maxWallClockTime"]),
        "retention": parse_span(manager["constraints"]["retentionTime"]) if manager else MAX_TICKS,
    }


def rendered(base: str, schedule: Schedule, names: render.Names = None) -> dict[str, Any]:
    """A job schedule as the service writes it."""
    url = f"{base}/jobschedules/{schedule.id}"
    open_ = schedule.state not in {"terminating", "completed"}
    next_run = schedule.next_run if open_ else None
    execution: dict[str, Any] = {}
    if next_run is not None:
        execution["nextRunTime"] = instant(next_run)
    if schedule.runs:
        job_id = f"{schedule.id}:job-{schedule.runs}"
        execution["recentJob"] = {"url": f"{base}/jobs/{job_id}", "id": job_id}
    if schedule.ended is not None:
        execution["endTime"] = instant(schedule.ended)
    members = {
        **schedule.body,
        "schedule": schedule.body.get("schedule") or None,
        "id": schedule.id,
        "url": url,
        "eTag": etag(schedule.modified),
        "lastModified": instant(schedule.modified),
        "creationTime": instant(schedule.created),
        "state": schedule.state,
        "stateTransitionTime": instant(schedule.since),
        "executionInfo": execution,
    }
    if schedule.previous is not None:
        members["previousState"] = schedule.previous
        members["previousStateTransitionTime"] = instant(schedule.previous_since)
    return render.ordered(members, SCHEDULE_MEMBERS, names)


def add_schedule(call: Call) -> Reply:
    """POST /jobschedules."""
    body = call.body(bodies.schedule)
    schedule = call.host.run(schedules.add, body.pop("id"), body, **_parsed(body))
    url = f"{call.base}/jobschedules/{schedule.id}"
    return Reply(status=201, modified=schedule.modified, service_id=url, location=url)


def list_schedules(call: Call) -> Reply:
    """GET /jobschedules."""
    found = call.host.world.schedules
    return call.listing(
        "jobschedules",
        SCHEDULE_MEMBERS,
        sorted_keys(found),
        lambda key, names: _expanded(call, found[key], names),
    )


def _expanded(call: Call, schedule: Schedule, names: render.Names) -> dict[str, Any]:
    entity = rendered(call.base, schedule, names)
    return statistics.expand(call, entity, names, statistics.schedule(call, schedule))


def get_schedule(call: Call) -> Reply:
    """GET /jobschedules/{jobScheduleId}."""
    schedule = find(call)
    return call.entity(
        "jobschedules",
        SCHEDULE_MEMBERS,
        lambda names: _expanded(call, schedule, names),
        schedule.modified,
    )


def schedule_exists(call: Call) -> Reply:
    """HEAD /jobschedules/{jobScheduleId}."""
    schedule = find(call)
    return call.check_conditions(schedule.modified) or Reply(modified=schedule.modified)


def patch_schedule(call: Call) -> Reply:
    """PATCH: members given are replaced, each whole."""
    members = call.body(bodies.schedule_patch)
    schedule = to_change(call)
    body = {**schedule.body, **members}
    call.host.run(schedules.change, schedule, body, **_parsed(body))
    return changed(schedule)


def put_schedule(call: Call) -> Reply:
    """PUT: what is not given falls back to its default, or goes; the name stays."""
    members = call.body(bodies.schedule_put)
    schedule = to_change(call)
    kept = {name: schedule.body[name] for name in ("displayName",) if name in schedule.body}
    body = {**kept, **members}
    call.host.run(schedules.change, schedule, body, **_parsed(body))
    return changed(schedule)


def delete_schedule(call: Call) -> Reply:
    """DELETE, with all its jobs."""
    call.host.run(schedules.delete, to_change(call))
    return Reply(status=202)


def disable_schedule(call: Call) -> Reply:
    """POST .../disable."""
    schedule = to_change(call)
    call.host.run(schedules.disable, schedule)
    return changed(schedule, 204)


def enable_schedule(call: Call) -> Reply:
    """POST .../enable."""
    schedule = to_change(call)
    call.host.run(schedules.enable, schedule)
    return changed(schedule, 204)


def terminate_schedule(call: Call) -> Reply:
    """POST .../terminate."""
    schedule = to_change(call)
    call.host.run(schedules.terminate, schedule)
    return changed(schedule, 202)


def list_jobs(call: Call) -> Reply:
    """GET /jobschedules/{jobScheduleId}/jobs."""
    schedule = find(call)
    found = {key: j for key, j in call.host.world.jobs.items() if j.schedule == schedule.key}
    return call.listing(
        "jobs",
        render.JOB_MEMBERS,
        sorted_keys(found),
        lambda key, names: statistics.expand(
            call,
            render.job(call.base, found[key], names),
            names,
            statistics.job(call.base, found[key]),
        ),
    )
