"""Handlers of jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulator.clock import MAX_TICKS
from emulator.engine import jobs
from emulator.engine.refusal import Refused
from emulator.engine.world import Job, Node
from emulator.service import bodies, render, statistics
from emulator.service.call import Call, Reply, changed, sorted_keys
from emulator.spans import parse_span


def find(call: Call) -> Job:
    """The job that the path names."""
    return call.host.run(jobs.get, call.path["jobId"])


def to_change(call: Call) -> Job:
    """The job that the path names, if the conditional headers allow to change it."""
    job = find(call)
    call.check_conditions(job.modified)
    return job


def add_job(call: Call) -> Reply:
    """POST /jobs. The service tells the URL of `job-1`, whatever the job's id is."""
    body = call.body(bodies.job)
    job_id = body.pop("id")
    wall_clock = parse_span(body["constraints"]["maxWallClockTime"])
    manager = body.get("jobManagerTask")
    retention = parse_span(manager["constraints"]["retentionTime"]) if manager else MAX_TICKS
    job = call.host.run(jobs.add, job_id, body, wall_clock=wall_clock, retention=retention)
    url = f"{call.base}/jobs/job-1"
    return Reply(status=201, modified=job.modified, service_id=url, location=url)


def list_jobs(call: Call) -> Reply:
    """GET /jobs: those of schedules come after the others."""
    found = call.host.world.jobs

    def keys(last: str) -> Iterator[str]:
        return iter(sorted((key for key in found if _turn(key) > _turn(last)), key=_turn))

    return call.listing(
        "jobs",
        render.JOB_MEMBERS,
        keys,
        lambda key, names: _expanded(call, found[key], names),
    )


def _turn(key: str) -> tuple[bool, str]:
    return ":" in key, key


def _expanded(call: Call, job: Job, names: render.Names) -> dict[str, Any]:
    entity = render.job(call.base, job, names)
    return statistics.expand(call, entity, names, statistics.job(call.base, job))


def get_job(call: Call) -> Reply:
    """GET /jobs/{jobId}."""
    job = find(call)
    return call.entity(
        "jobs",
        render.JOB_MEMBERS,
        lambda names: _expanded(call, job, names),
        job.modified,
    )


def patch_job(call: Call) -> Reply:
    """PATCH /jobs/{jobId}: members given are replaced, each whole."""
    members = call.body(bodies.job_patch)
    job = to_change(call)
    constraints = members.get("constraints")
    wall_clock = parse_span(constraints["maxWallClockTime"]) if constraints else None
    call.host.run(jobs.change, job, members, wall_clock)
    return changed(job)


def put_job(call: Call) -> Reply:
    """PUT /jobs/{jobId}: what is not given falls back to its default, or goes."""
    members = call.body(bodies.job_put)
    job = to_change(call)
    if "metadata" not in members and "metadata" in job.body:
        members["metadata"] = None
    wall_clock = parse_span(members["constraints"]["maxWallClockTime"])
    call.host.run(jobs.change, job, members, wall_clock)
    return changed(job)


def delete_job(call: Call) -> Reply:
    """DELETE /jobs/{jobId}."""
    call.host.run(jobs.delete, to_change(call))
    return Reply(status=202)


def disable_job(call: Call) -> Reply:
    """POST /jobs/{jobId}/disable."""
    body = call.body(bodies.job_disable)
    job = to_change(call)
    call.host.run(jobs.disable, job, body["disableTasks"])
    return changed(job, 202)


def enable_job(call: Call) -> Reply:
    """POST /jobs/{jobId}/enable."""
    job = to_change(call)
    call.host.run(jobs.enable, job)
    return changed(job, 202)


def terminate_job(call: Call) -> Reply:
    """POST /jobs/{jobId}/terminate."""
    body = call.body(bodies.job_terminate)
    job = to_change(call)
    call.host.run(jobs.terminate, job, body.get("terminateReason", "UserTerminate"))
    return changed(job, 202)


def get_job_task_counts(call: Call) -> Reply:
    """GET /jobs/{jobId}/taskcounts."""
    return Reply(body=render.task_counts(find(call)), context="taskcountsresult/@Element")


def list_job_preparation_and_release_task_status(call: Call) -> Reply:
    """GET /jobs/{jobId}/jobpreparationandreleasetaskstatus."""
    job = find(call)
    if not {"jobPreparationTask", "jobReleaseTask"} & job.body.keys():
        raise Refused("JobPreparationTaskOrReleaseTaskNotSpecified")
    nodes: dict[str, Node] = {}
    pool = call.host.world.pools.get(job.pool_key)
    for node in pool.nodes.values() if pool else ():
        if job.key in node.preparations or job.key in node.releases:
            nodes[node.id] = node

    return call.listing(
        "jobpreparationandreleasetaskstatuslist",
        render.PREPARATION_MEMBERS,
        sorted_keys(nodes),
        lambda key, _names: render.preparation_status(call.base, job, nodes[key]),
    )
