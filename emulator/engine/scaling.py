"""Autoscale: samples every 30 s of service time, evaluations at the pool's interval.

A formula thinks in service time, so a sample's age is given to it stretched by the
speed (see `emulator.clock`); its `time()` is the wall's. What a formula sees of tasks
are those of the jobs that are bound to the pool and can still run.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from emulator.clock import TICKS_PER_SECOND, to_unix
from emulator.engine import pools
from emulator.engine.core import Core, ScalingResult
from emulator.engine.refusal import Refused
from emulator.engine.world import Pool

KEPT_SAMPLES = 24 * 60 * 2
"""A day of service time."""
_RUNNABLE = frozenset({"active", "disabling", "enabling"})


def sample(core: Core, pool: Pool) -> dict[str, float]:
    """What is measured of a pool at this instant, by variable."""
    active = running = succeeded = failed = 0
    for job in core.world.jobs_of_pool.get(pool.key, {}).values():
        counts = job.counts
        if job.state in _RUNNABLE:
            # Dependents that cannot run yet are not "queued": `$ActiveTasks` leaves them out.
            active += counts.active - job.blocked
        running += counts.running
        succeeded += counts.succeeded
        failed += counts.failed
    slots = pool.slots
    usable = busy = preempted = 0
    for (_, state), number in pool.counts.items():
        usable += number if state in {"idle", "running"} else 0
        busy += number if state == "running" else 0
        preempted += number if state == "preempted" else 0
    return {
        "$ActiveTasks": active,
        "$RunningTasks": running,
        "$PendingTasks": active + running,
        "$SucceededTasks": succeeded,
        "$FailedTasks": failed,
        "$CurrentDedicatedNodes": pool.current[True],
        "$CurrentLowPriorityNodes": pool.current[False],
        "$UsableNodeCount": usable,
        "$PreemptedNodeCount": preempted,
        "$TaskSlotsPerNode": slots,
        "$CPUPercent": min(1.0, running / (usable * slots)) if usable else 0.0,
    }


def _take_sample(core: Core, pool: Pool, since: int) -> None:
    if not _current(core, pool, since):
        return
    for name, value in sample(core, pool).items():
        pool.samples.setdefault(name, deque(maxlen=KEPT_SAMPLES)).append((core.now, value))
    core.after(core.settings.sample_interval_s, _take_sample, pool, since)


def _current(core: Core, pool: Pool, since: int) -> bool:
    return pool.autoscale and pool.autoscale_enabled == since and _there(core, pool)


def _there(core: Core, pool: Pool) -> bool:
    return core.world.pools.get(pool.key) is pool and pool.state == "active"


def enable(
    core: Core, pool: Pool, formula: str | None, interval: int | None, *, asked: bool = True
) -> None:
    """Turns autoscale on, or changes its formula or interval, and evaluates.

    Args:
        core: The engine's state.
        pool: Which.
        formula: None keeps the present one.
        interval: In ticks; None keeps the present one.
        asked: Whether a client asks on an existing pool, which it may do only so often.

    Raises:
        Refused: `PoolBeingResized`, `TooManyEnableAutoScaleRequests`,
            `MissingRequiredProperty`.
    """
    if formula is None and not pool.autoscale:
        raise Refused("MissingRequiredProperty", {"PropertyName": "autoScaleFormula"})
    pause = core.settings.ticks(core.settings.enable_autoscale_interval_s)
    if asked and pool.autoscale_enabled and core.now < pool.autoscale_enabled + pause:
        raise Refused("TooManyEnableAutoScaleRequests")
    pool.formula = formula if formula is not None else pool.formula
    pool.interval = interval if interval is not None else pool.interval
    fresh = not pool.autoscale
    pool.autoscale = True
    pool.autoscale_enabled = core.now
    if asked:
        core.touch(pool)
    if fresh:
        pool.samples.clear()
    _take_sample(core, pool, core.now)
    _run(core, pool, core.now)


def resume(core: Core, pool: Pool) -> None:
    """Goes on sampling and evaluating after a restart of the emulator."""
    pool.autoscale_enabled = core.now
    _take_sample(core, pool, core.now)
    core.at(core.now + _interval(core, pool), _run, pool, core.now)


def disable(core: Core, pool: Pool) -> None:
    """Turns autoscale off; the targets stay. On a pool without it nothing changes."""
    if pool.autoscale:
        pool.autoscale = False
        pool.formula, pool.interval, pool.scale_run = "", 0, None
        pool.samples.clear()
        core.touch(pool)


def _interval(core: Core, pool: Pool) -> int:
    return core.settings.ticks(pool.interval / TICKS_PER_SECOND)


def _run(core: Core, pool: Pool, since: int) -> None:
    if not _current(core, pool, since):
        return
    core.at(core.now + _interval(core, pool), _run, pool, since)
    result = evaluate(core, pool, pool.formula)
    pool.scaled = core.now
    pool.scale_run = as_run(core, result)
    core.save(pool)
    targets = result.dedicated, result.spot
    pool.decisions.append(
        {
            "at": core.now,
            "from": (pool.target_dedicated, pool.target_spot),
            "to": targets,
            "results": result.results,
            "error": result.error,
        }
    )
    changed = targets != (pool.target_dedicated, pool.target_spot)
    if result.error is None and changed:
        pools.retarget(core, pool, targets, result.deallocation_option)


def evaluate(core: Core, pool: Pool, formula: str) -> ScalingResult:
    """What a formula gives on the pool's samples; nothing is applied."""
    visible = core.now - core.settings.ticks(core.settings.sample_delay_s)
    now_s, speed = to_unix(core.now), core.settings.speed
    samples = {
        name: [
            (now_s - (core.now - at) * speed / TICKS_PER_SECOND, value)
            for at, value in history
            if at <= visible
        ]
        for name, history in pool.samples.items()
    }
    return core.evaluate(formula, samples, now_s, (pool.target_dedicated, pool.target_spot))


def as_run(core: Core, result: ScalingResult) -> dict[str, Any]:
    """An `autoScaleRun`, its timestamp still in ticks."""
    run: dict[str, Any] = {"timestamp": core.now, "results": result.results}
    if result.error is not None:
        run["error"] = result.error
    return run
