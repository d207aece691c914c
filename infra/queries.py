"""Queries over the stack's workspace, in KQL: what alerts and the workbook ask.

A workspace is a stack's own, so no query filters by account. Columns of Batch's events
exist once the first event of a kind came, so they are asked for by `column_ifexists`: an
alert must be there before something fails. Pools are told by their logical names, which
`Pool` columns hold; a pool's id in Azure ends in 8 more digits.
Events and their members: https://learn.microsoft.com/azure/batch/monitor-batch-reference
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from infra.pools import PoolPlan
from telemetry.columns import TABLE

EVENTS: Final = """\
AzureDiagnostics
| where ResourceProvider == "MICROSOFT.BATCH" and Category == "ServiceLog\""""
"""Batch's events."""

_LOGICAL_NAME: Final = 'replace_regex({id}, @"-[0-9a-f]{{8}}$", "")'
_NODE_POOL: Final = 'column_ifexists("nodeInfo_poolId_s", "")'


def logical_name(column: str) -> str:
    """The expression of a pool's logical name, from a column with its id."""
    return _LOGICAL_NAME.format(id=column)


def pools_table(pools: Iterable[PoolPlan]) -> str:
    """`let pools = …;`: what is known of pools before anything runs."""
    rows = "\n".join(f"    {', '.join(_row(pool))}," for pool in pools)
    return (
        "let pools = datatable(Pool: string, Series: string, Vcpus: long, Keeps: long, "
        f"DedicatedPrice: real, SpotPrice: real) [\n{rows}\n];\n"
    )


def _row(pool: PoolPlan) -> tuple[str, ...]:
    size = pool.size
    return (
        f'"{pool.name}"',
        f'"{size.series if size else ""}"',
        str(size.vcpus if size else 0),
        str(pool.scale.min_nodes),
        _real(size.dedicated_price_per_hour if size else None),
        _real(size.spot_price_per_hour if size else None),
    )


def _real(value: float | None) -> str:
    return "real(null)" if value is None else f"{float(value)!r}"


FAILED_TASKS: Final = f"""\
{EVENTS}
| where OperationName in ("TaskCompleteEvent", "TaskFailEvent")
| extend Pool = {logical_name(_NODE_POOL)}
| summarize Ended = countif(OperationName == "TaskCompleteEvent"),
    Failed = countif(OperationName == "TaskFailEvent") by Pool
| where Failed >= 10
| extend FailedPercent = 100.0 * Failed / max_of(Ended, Failed)"""
"""A failed task has both events; a pool is told once ten of its tasks failed."""

FAILED_START_TASKS: Final = f"""\
{EVENTS}
| where column_ifexists("taskType_s", "") contains "start"
| where column_ifexists("executionInfo_result_s", "") =~ "failure"
| extend Pool = {logical_name(_NODE_POOL)}, Node = column_ifexists("nodeInfo_nodeId_s", "")
| summarize Nodes = dcount(Node) by Pool"""

REQUEUED_TASKS: Final = f"""\
{EVENTS}
| where OperationName startswith "TaskRequeue"
| extend Pool = {logical_name(_NODE_POOL)}
| summarize Requeued = count() by Pool"""

_RESIZED: Final = f"""\
{EVENTS}
| where OperationName == "PoolResizeCompleteEvent"
| extend Id = column_ifexists("id_s", ""),
    Dedicated = column_ifexists("currentDedicatedNodes_d", real(null)),
    Spot = column_ifexists("currentLowPriorityNodes_d", real(null))"""

FAILED_RESIZES: Final = f"""\
{_RESIZED}
| where column_ifexists("resultCode_s", "") !~ "Success"
| extend Pool = {logical_name("Id")}
| summarize Failed = count(), Codes = make_set(column_ifexists("resultCode_s", "")) by Pool"""

FAILED_FORMULAS: Final = f"""\
{EVENTS}
| where OperationName == "PoolAutoScaleEvent" and isnotempty(column_ifexists("error_code_s", ""))
| extend Pool = {logical_name('column_ifexists("id_s", "")')}
| summarize Failed = count(), Codes = make_set(column_ifexists("error_code_s", "")) by Pool"""


def used_quota(pools: Iterable[PoolPlan], quota: dict[str, int]) -> str:
    """Percent of each series' dedicated vCPU quota, by the newest size of each pool."""
    rows = "\n".join(f'    "{series}", {vcpus},' for series, vcpus in sorted(quota.items()))
    return f"""\
{pools_table(pools)}let quota = datatable(Series: string, Quota: long) [
{rows}
];
{_RESIZED}
| summarize arg_max(TimeGenerated, Dedicated) by Id
| extend Pool = {logical_name("Id")}
| lookup kind=inner pools on Pool
| summarize Used = sum(Dedicated * Vcpus) by Series
| lookup kind=inner quota on Series
| extend UsedPercent = 100.0 * Used / Quota
| project Series, Used, Quota, UsedPercent"""


def spare_nodes(pools: Iterable[PoolPlan]) -> str:
    """Nodes that did next to nothing all hour, beyond those that pools keep, and their price.

    Batch calls a node running as long as a task is on it; this tells work from waiting.
    """
    return f"""\
{pools_table(pools)}{TABLE}
| summarize Cpu = avg(CpuPercent), Gpu = avg(GpuPercent),
    Seen = dcount(bin(TimeGenerated, 5m)) by Pool, Node
| where Seen >= 11 and Cpu < 5 and coalesce(Gpu, 0.0) < 5
| extend Pool = {logical_name("Pool")}
| summarize Idle = count() by Pool
| lookup kind=inner pools on Pool
| extend Spare = Idle - Keeps
| where Spare > 0
| project Pool, Spare, PricePerHour = Spare * DedicatedPrice"""


FULL_DISKS: Final = f"""\
{TABLE}
| extend Pool = {logical_name("Pool")}
| summarize UsedPercent = max(DiskUsedPercent) by Pool"""


ENDED_TASKS: Final = f"""\
{EVENTS}
| where OperationName in ("TaskCompleteEvent", "TaskFailEvent")
| extend Pool = {logical_name(_NODE_POOL)}
| summarize Ended = countif(OperationName == "TaskCompleteEvent"),
    Failed = countif(OperationName == "TaskFailEvent")
    by bin(TimeGenerated, {{TimeRange:grain}}), Pool
| extend Succeeded = max_of(Ended - Failed, 0)
| project TimeGenerated, Pool, Succeeded, Failed"""

QUEUE: Final = f"""\
{EVENTS}
| where OperationName == "PoolAutoScaleEvent"
| extend Pool = {logical_name('column_ifexists("id_s", "")')},
    Tasks = toreal(extract(@"(?:^|;)\\s*tasks=([0-9.]+)", 1, column_ifexists("results_s", "")))
| where isnotnull(Tasks)
| summarize Tasks = max(Tasks) by bin(TimeGenerated, {{TimeRange:grain}}), Pool"""
"""Tasks that wait or run, as `follow-pending` formulas counted them."""


def cost(pools: Iterable[PoolPlan]) -> str:
    """Price of the nodes of each hour, by pool, from the sizes that pools had."""
    return f"""\
{pools_table(pools)}{_RESIZED}
| make-series Dedicated = avg(Dedicated) default=real(null), Spot = avg(Spot) default=real(null)
    on TimeGenerated from {{TimeRange:start}} to {{TimeRange:end}} step 1h by Id
| extend Dedicated = series_fill_const(series_fill_forward(Dedicated), 0.0),
    Spot = series_fill_const(series_fill_forward(Spot), 0.0)
| mv-expand TimeGenerated to typeof(datetime), Dedicated to typeof(real), Spot to typeof(real)
| extend Pool = {logical_name("Id")}
| lookup kind=inner pools on Pool
| summarize Price = sum(Dedicated * coalesce(DedicatedPrice, 0.0)
    + Spot * coalesce(SpotPrice, 0.0)) by TimeGenerated, Pool"""


def node_chart(column: str) -> str:
    """The mean of a column of what nodes report, by pool."""
    return f"""\
{TABLE}
| extend Pool = {logical_name("Pool")}
| summarize {column} = avg({column}) by bin(TimeGenerated, {{TimeRange:grain}}), Pool"""
