"""Handlers of pools."""

from __future__ import annotations

from typing import Any

from emulator.clock import seconds
from emulator.engine import formulas, pool_specs, pools, scaling
from emulator.engine import statistics as figures
from emulator.engine.core import Core
from emulator.engine.refusal import Refused
from emulator.engine.world import Pool
from emulator.service import applications, bodies, render, statistics
from emulator.service.call import Call, Host, Reply, changed, sorted_keys
from emulator.service.errors import query_refused
from emulator.service.images import SUPPORTED_IMAGES
from emulator.service.values import instant, parse_instant

_USAGE_MEMBERS = ("poolId", "startTime", "endTime", "vmSize", "totalCoreHours")


def live(call: Call) -> Pool:
    """The pool that the path names, to be changed; conditional headers are held against it."""
    pool = call.host.run(pools.get_live, call.path["poolId"])
    call.check_conditions(pool.modified)
    return pool


def add_pool(call: Call) -> Reply:
    """POST /pools."""
    body = call.body(bodies.pool)
    pool = call.host.run(pool_specs.create, body["id"], body)
    url = f"{call.base}/pools/{pool.id}"
    return Reply(status=201, modified=pool.modified, service_id=url, location=url)


def list_pools(call: Call) -> Reply:
    """GET /pools."""
    found = call.host.world.pools
    return call.listing(
        "pools",
        render.POOL_MEMBERS,
        sorted_keys(found),
        lambda key, names: _expanded(call, found[key], names),
    )


def _expanded(call: Call, pool: Pool, names: render.Names) -> dict[str, Any]:
    entity = render.pool(call.base, pool, names)
    return statistics.expand(call, entity, names, statistics.pool(call.base, pool))


def get_pool(call: Call) -> Reply:
    """GET /pools/{poolId}."""
    pool = call.host.run(pools.get, call.path["poolId"])
    return call.entity(
        "pools",
        render.POOL_MEMBERS,
        lambda names: _expanded(call, pool, names),
        pool.modified,
    )


def pool_exists(call: Call) -> Reply:
    """HEAD /pools/{poolId}."""
    pool = call.host.run(pools.get, call.path["poolId"])
    return call.check_conditions(pool.modified) or Reply(modified=pool.modified)


def delete_pool(call: Call) -> Reply:
    """DELETE /pools/{poolId}."""
    call.host.run(pools.delete, live(call))
    return Reply(status=202)


def patch_pool(call: Call) -> Reply:
    """PATCH /pools/{poolId}."""
    members = call.body(bodies.pool_patch)
    applications.check_references(call.host, members)
    pool = live(call)
    call.host.run(pools.patch, pool, members)
    return changed(pool)


def resize_pool(call: Call) -> Reply:
    """POST /pools/{poolId}/resize."""
    body = call.body(bodies.pool_resize)
    pool = live(call)
    call.host.run(
        pools.resize,
        pool,
        (body.get("targetDedicatedNodes"), body.get("targetLowPriorityNodes")),
        body["nodeDeallocationOption"],
        pool_specs.resize_timeout(body),
    )
    return changed(pool, 202)


def stop_pool_resize(call: Call) -> Reply:
    """POST /pools/{poolId}/stopresize."""
    pool = live(call)
    call.host.run(pools.stop_resize, pool)
    return changed(pool, 202)


def remove_nodes(call: Call) -> Reply:
    """POST /pools/{poolId}/removenodes."""
    body = call.body(bodies.pool_remove_nodes)
    pool = live(call)
    call.host.run(pools.remove_nodes, pool, body["nodeList"], body["nodeDeallocationOption"])
    return changed(pool, 202)


def enable_autoscale(call: Call) -> Reply:
    """POST /pools/{poolId}/enableautoscale."""
    body = call.body(bodies.pool_enable_autoscale)
    formula, interval = body.get("autoScaleFormula"), body.get("autoScaleEvaluationInterval")
    pool = live(call)
    if formula is not None:
        formulas.check(formula)
    ticks = None if interval is None and pool.autoscale else pool_specs.interval(body)
    call.host.run(scaling.enable, pool, formula, ticks)
    return changed(pool)


def disable_autoscale(call: Call) -> Reply:
    """POST /pools/{poolId}/disableautoscale."""
    pool = live(call)
    call.host.run(scaling.disable, pool)
    return changed(pool)


def evaluate_autoscale(call: Call) -> Reply:
    """POST /pools/{poolId}/evaluateautoscale."""
    body = call.body(bodies.pool_evaluate_autoscale)
    pool = live(call)
    if not pool.autoscale:
        raise Refused(
            "InvalidAutoScalingSettings", {"Reason": "Autoscale is not enabled on the pool"}
        )

    def evaluate(core: Core) -> dict[str, Any]:
        result = scaling.evaluate(core, pool, body["autoScaleFormula"])
        return scaling.as_run(core, result)

    return Reply(
        body=render.scale_run(call.host.run(evaluate)),
        context="Microsoft.Azure.Batch.Protocol.Entities.AutoScaleRun",
        service_id=True,
    )


def replace_pool_properties(call: Call) -> Reply:
    """POST /pools/{poolId}/updateproperties."""
    members = call.body(bodies.pool_properties)
    applications.check_references(call.host, members)
    pool = live(call)
    call.host.run(pools.replace_properties, pool, members)
    return changed(pool, 204)


def list_pool_node_counts(call: Call) -> Reply:
    """GET /nodecounts."""
    found = call.host.world.pools
    return call.listing(
        "poolnodecounts",
        render.COUNT_MEMBERS,
        sorted_keys(found),
        lambda key, _names: render.node_counts(found[key]),
    )


def list_supported_images(call: Call) -> Reply:
    """GET /supportedimages."""
    images = {f"{index:04d}": image for index, image in enumerate(SUPPORTED_IMAGES)}
    return call.listing(
        "supportedimages",
        render.IMAGE_MEMBERS,
        sorted_keys(images),
        lambda key, _names: dict(images[key]),
    )


def list_pool_usage_metrics(call: Call) -> Reply:
    """GET /poolusagemetrics: core hours of each pool in each half hour.

    Raises:
        Refused: `startTime` or `endTime` is no instant.
    """
    metered = call.host.run(lambda core: figures.metered(core.world, core.now))
    begin, end = _query_instant(call, "starttime"), _query_instant(call, "endtime")
    found: dict[str, dict[str, Any]] = {}
    for (pool, size, half_hour), core_time in metered.items():
        over = half_hour + figures.HALF_HOUR
        if (begin is None or half_hour >= begin) and (end is None or over <= end):
            found[f"{pool}\0{half_hour:020d}\0{size}"] = {
                "poolId": pool,
                "startTime": instant(half_hour),
                "endTime": instant(over),
                "vmSize": size,
                "totalCoreHours": core_time / seconds(3600),
            }
    return call.listing(
        "poolusagemetrics",
        _USAGE_MEMBERS,
        sorted_keys(found),
        lambda key, names: render.ordered(found[key], _USAGE_MEMBERS, names),
    )


def _query_instant(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        raise query_refused(name, text or "", str(error)) from None


# What Resource Manager does to a pool


def bring_to(host: Host, pool: Pool, body: dict[str, Any]) -> None:
    """Brings an existing pool to a checked body, by the ways that clients have.

    A member that the service cannot change on a pool (its size, its machine, its network,
    its slots) is refused when it differs.

    Raises:
        Refused: One of the changes is refused.
    """
    fixed = pool_specs.without_size(body)
    live_members = ("startTask", "metadata", "applicationPackageReferences", "displayName")
    for name in sorted(fixed.keys() | pool.body.keys()):
        if name not in live_members and fixed.get(name) != pool.body.get(name):
            raise Refused(
                "InvalidPropertyValue",
                {
                    "PropertyName": name,
                    "PropertyValue": str(fixed.get(name)),
                    "Reason": f"The property {name} cannot be updated on an existing pool",
                },
            )
    if fixed.get("displayName") != pool.body.get("displayName"):
        host.run(pools.patch, pool, {"displayName": fixed.get("displayName")})
    if fixed.get("applicationPackageReferences") != pool.body.get("applicationPackageReferences"):
        applications.check_references(host, fixed)
    if any(fixed.get(name) != pool.body.get(name) for name in live_members):
        host.run(pools.replace_properties, pool, fixed)
    if body["enableAutoScale"]:
        _bring_formula(host, pool, body)
    else:
        _bring_targets(host, pool, body)


def _bring_formula(host: Host, pool: Pool, body: dict[str, Any]) -> None:
    formula = body["autoScaleFormula"]
    interval = pool_specs.interval(body)
    if pool.autoscale and (pool.formula, pool.interval) == (formula, interval):
        return
    formulas.check(formula)

    def enable(core: Core) -> None:
        core.touch(pool)
        scaling.enable(core, pool, formula, interval, asked=False)

    host.run(enable)


def _bring_targets(host: Host, pool: Pool, body: dict[str, Any]) -> None:
    targets = pool_specs.targets(body)

    def resize(core: Core) -> None:
        scaling.disable(core, pool)
        pool.resize_timeout = pool_specs.resize_timeout(body)
        if targets != (pool.target_dedicated, pool.target_spot):
            core.touch(pool)
            pools.retarget(core, pool, targets, "requeue")

    host.run(resize)
