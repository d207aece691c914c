"""Submits work to what the Pulumi program provisioned, watches it, brings it back.

One direction, one module a step:

    workload file ─► spec ─► build ─► stage ─► plan ─► submit ─► watch ─► collect ─► report

`jobs` knows the estate by its stack outputs alone (`jobs.stack`): it imports neither
Pulumi nor the packages that declare Azure, and cannot tell Azure from the emulator
except by the values of those outputs.

For programs (docs/python-api.md):

    from jobs import Client

    job = Client(stack="local").submit("job.yaml", variables={"n": 100})
    job.wait()

The names below are loaded when they are asked for: the command line starts without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.again import Again
    from jobs.build import Built
    from jobs.checking import Checked
    from jobs.clean import Leftovers
    from jobs.client import Client
    from jobs.collect import Collected
    from jobs.costs import Cost, Costs
    from jobs.doctor import Check
    from jobs.errors import (
        CleanedError,
        CredentialError,
        InputError,
        JobsError,
        ServiceError,
        StaleError,
        TaskFailureError,
        UnfinishedError,
    )
    from jobs.explain import Explanation
    from jobs.finishing import LimitReachedError
    from jobs.gone import KeptReport
    from jobs.job import Job, open_job
    from jobs.job_schedules import JobSchedule, ScheduleRow
    from jobs.listing import JobRow
    from jobs.logs import LogLine
    from jobs.looks import Look, TaskEnd
    from jobs.plan import JobPlan
    from jobs.publish import Published
    from jobs.report import Report
    from jobs.reporting import Reported
    from jobs.stage import Staged
    from jobs.stale import Stale

__all__ = [
    "Again",
    "Built",
    "Check",
    "Checked",
    "CleanedError",
    "Client",
    "Collected",
    "Cost",
    "Costs",
    "CredentialError",
    "Explanation",
    "InputError",
    "Job",
    "JobPlan",
    "JobRow",
    "JobSchedule",
    "JobsError",
    "KeptReport",
    "Leftovers",
    "LimitReachedError",
    "LogLine",
    "Look",
    "Published",
    "Report",
    "Reported",
    "ScheduleRow",
    "ServiceError",
    "Staged",
    "Stale",
    "StaleError",
    "TaskEnd",
    "TaskFailureError",
    "UnfinishedError",
    "open_job",
]

_PLACES = {
    "Built": "build",
    "Check": "doctor",
    "Leftovers": "clean",
    "Published": "publish",
    "Staged": "stage",
    "Stale": "stale",
    "Again": "again",
    "Checked": "checking",
    "Client": "client",
    "Job": "job",
    "open_job": "job",
    "Collected": "collect",
    "Cost": "costs",
    "Costs": "costs",
    "Explanation": "explain",
    "LimitReachedError": "finishing",
    "KeptReport": "gone",
    "JobRow": "listing",
    "JobSchedule": "job_schedules",
    "ScheduleRow": "job_schedules",
    "LogLine": "logs",
    "Look": "looks",
    "TaskEnd": "looks",
    "JobPlan": "plan",
    "Report": "report",
    "Reported": "reporting",
}


def __getattr__(name: str) -> Any:
    """A public name, from the module that has it."""
    if name not in __all__:
        raise AttributeError(f"module 'jobs' has no attribute {name!r}")
    return getattr(import_module(f"jobs.{_PLACES.get(name, 'errors')}"), name)
