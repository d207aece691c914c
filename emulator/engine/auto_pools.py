"""Auto pools: made for a job, or for the jobs of a schedule, and gone with it.

A pool that cannot be made does not refuse its job: the job is there, completed at once,
and its `schedulingError` says why. Codes and sentences are those of the service's
reference (Job scheduling error codes); that lifetime and members but `keepAlive` cannot
be changed on a job is there, too (`BatchJobUpdateOptions.poolInfo`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from emulator.engine import pool_specs, pools
from emulator.engine.core import Core
from emulator.engine.refusal import Refused, invalid
from emulator.engine.world import Job, Schedule

_QUOTA = ("AutoPoolCreationFailedWithQuotaReached", "The pool quota for the account is reached.")
_FORMULA = (
    "InvalidAutoScaleFormulaInAutoPool",
    "The specified auto-scaling settings are not valid.",
)
_PACKAGES = (
    "InvalidApplicationPackageReferencesInAutoPool",
    "One or more application packages specified for the pool are invalid.",
)
_OTHER = ("InvalidAutoPoolSettings", "The specified autopool settings are not valid.")
_CODES = {
    "PoolQuotaReached": _QUOTA,
    "AutoScalingFormulaSyntaxError": _FORMULA,
    "AutoScaleFormulaTooLong": _FORMULA,
    "InvalidApplicationPackageReferences": _PACKAGES,
}
"""What refuses a pool → the code and sentence of the job's scheduling error."""


def specification(info: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a `poolInfo` asks for, where it names no pool."""
    asked: Mapping[str, Any] | None = info.get("autoPoolSpecification")
    return asked


def check_lifetime(info: Mapping[str, Any]) -> None:
    """Refuses a job of its own that asks for the lifetime of a schedule.

    Raises:
        Refused: `InvalidPropertyValue`.
    """
    asked = specification(info)
    if asked is not None and asked["poolLifetimeOption"] != "job":
        raise invalid(
            "poolLifetimeOption",
            asked["poolLifetimeOption"],
            "Only the jobs of a job schedule can share an auto pool",
        )


def provide(
    core: Core, asked: Mapping[str, Any], schedule: Schedule | None
) -> tuple[str, dict[str, Any] | None]:
    """The pool of a job that asks for one; jobs of a schedule may share theirs.

    Returns:
        The pool's id, and the job's scheduling error where there is no such pool.
    """
    shares = schedule is not None and asked["poolLifetimeOption"] == "jobschedule"
    if schedule is not None and shares and schedule.pool_id.lower() in core.world.pools:
        return schedule.pool_id, None
    name = str(UUID(int=core.random.getrandbits(128), version=4)).upper()
    prefix = asked.get("autoPoolIdPrefix")
    pool_id = f"{prefix}_{name}" if prefix else name
    try:
        pool_specs.create(core, pool_id, asked["pool"])
    except Refused as refused:
        return pool_id, _error(refused)
    if schedule is not None and shares:
        schedule.pool_id = pool_id
    return pool_id, None


def _error(refused: Refused) -> dict[str, Any]:
    code, message = _CODES.get(refused.code, _OTHER)
    error: dict[str, Any] = {"category": "UserError", "code": code, "message": message}
    if refused.values:
        error["details"] = [{"name": n, "value": v} for n, v in refused.values.items()]
    return error


def check_change(job: Job, info: Mapping[str, Any]) -> None:
    """Refuses what cannot be changed of a job's auto pool.

    Raises:
        Refused: `InvalidPropertyValue`.
    """
    asked = specification(info)
    if asked is None:
        return
    present = specification(job.body["poolInfo"])
    if present is None:
        raise invalid("poolInfo", "autoPoolSpecification", "The job has a pool of its own choice")
    changed = sorted(n for n in asked.keys() | present.keys() if asked.get(n) != present.get(n))
    if changed and (changed != ["keepAlive"] or present["poolLifetimeOption"] != "job"):
        raise invalid(
            "autoPoolSpecification",
            ", ".join(changed),
            "Only keepAlive of an auto pool whose lifetime is the job's can be updated",
        )


def drop(core: Core, pool_id: str, asked: Mapping[str, Any] | None) -> None:
    """Ends a pool whose lifetime is over, unless it is to be kept alive."""
    pool = core.world.pools.get(pool_id.lower())
    if asked is None or pool is None or pool.state != "active" or asked["keepAlive"]:
        return
    pools.delete(core, pool)
