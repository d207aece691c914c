"""The workbook's content: charts of nodes, tasks, queue and cost, as Azure Monitor has it.

Pure: a list of sections, each a few charts, is turned into the document that the portal
reads. https://learn.microsoft.com/azure/azure-monitor/visualize/workbooks-overview
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from infra import queries
from infra.estate import Estate
from infra.sizes import PRICE_CURRENCY, PRICES_AS_OF

_BATCH: Final = "microsoft.batch/batchaccounts"
_WORKSPACE: Final = "microsoft.operationalinsights/workspaces"
_AVERAGE, _COUNT = 4, 7
_TIME_RANGE: Final = "TimeRange"
_HOUR_MS: Final = 3_600_000
_NODE_STATES: Final = (
    "RunningNodeCount",
    "IdleNodeCount",
    "StartingNodeCount",
    "WaitingForStartTaskNodeCount",
    "PreemptedNodeCount",
    "UnusableNodeCount",
    "StartTaskFailedNodeCount",
)
_TASK_EVENTS: Final = ("TaskStartEvent", "TaskCompleteEvent", "TaskFailEvent")

Item = dict[str, Any]


def content(estate: Estate, *, account_id: str, workspace_id: str) -> str:
    """The document, as text.

    Args:
        estate: Whose pools are charted.
        account_id: Resource id of the Batch account, whose metrics are charted.
        workspace_id: Resource id of the workspace that is asked.
    """

    def metrics(title: str, names: Sequence[str], aggregation: int) -> Item:
        return _metric_chart(title, names, aggregation, account_id)

    def query(title: str, text: str, visualization: str = "timechart") -> Item:
        return _query_chart(title, text, visualization, workspace_id)

    sections: list[tuple[str, list[Item]]] = [
        (
            "Nodes",
            [
                metrics("Nodes by state", _NODE_STATES, _AVERAGE),
                metrics("vCPUs", ["CoreCount", "LowPriorityCoreCount"], _AVERAGE),
                query("Resizes that failed", queries.FAILED_RESIZES, "table"),
                query("Formulas that failed", queries.FAILED_FORMULAS, "table"),
            ],
        ),
        (
            "Tasks",
            [
                metrics("Tasks that started, ended, failed", _TASK_EVENTS, _COUNT),
                query("Tasks by pool", queries.ENDED_TASKS, "barchart"),
                query("Tasks that began again", queries.REQUEUED_TASKS, "table"),
            ],
        ),
        ("Queue", [query("Tasks that wait or run, by pool", queries.QUEUE)]),
        (
            f"Cost (list prices in {PRICE_CURRENCY} as of {PRICES_AS_OF}, nodes alone)",
            [query("Price per hour, by pool", queries.cost(estate.pools), "barchart")],
        ),
    ]
    if estate.config.monitoring.node_telemetry.enabled:
        charts = [
            ("Processor, %", "CpuPercent"),
            ("GPU, %", "GpuPercent"),
            ("Memory, MiB", "MemoryUsedMib"),
            ("Disk, % full", "DiskUsedPercent"),
            ("Disk writes, bytes/s", "DiskWriteBytesPerS"),
            ("Network received, bytes/s", "NetworkReceivedBytesPerS"),
            ("InfiniBand received, bytes/s", "InfinibandReceivedBytesPerS"),
        ]
        spare = queries.spare_nodes(estate.pools)
        sections.append(
            (
                "What nodes do (mean by pool)",
                [query(title, queries.node_chart(column)) for title, column in charts]
                + [query("Nodes that cost and do nothing", spare, "table")],
            )
        )
    items = [_text(f"# {estate.stack}: nodes, tasks, queue, cost"), _time_range()]
    for title, charts_of_section in sections:
        items += [_text(f"## {title}"), *charts_of_section]
    return json.dumps(
        {
            "version": "Notebook/1.0",
            "items": _named(items),
            "fallbackResourceIds": [account_id],
            "$schema": "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master"
            "/schema/workbook.json",
        },
        indent=1,
    )


def _named(items: Iterable[Item]) -> list[Item]:
    """Items must have names of their own."""
    return [{**item, "name": f"item-{index}"} for index, item in enumerate(items)]


def _text(markdown: str) -> Item:
    return {"type": 1, "content": {"json": markdown}}


def _time_range() -> Item:
    choices = [{"durationMs": hours * _HOUR_MS} for hours in (1, 4, 24, 72, 168, 720)]
    return {
        "type": 9,
        "content": {
            "version": "KqlParameterItem/1.0",
            "parameters": [
                {
                    "id": "5b0c1a2e-6f5b-4c8e-9f0a-1d6f0f3f7a01",
                    "version": "KqlParameterItem/1.0",
                    "name": _TIME_RANGE,
                    "label": "Time range",
                    "type": 4,
                    "isRequired": True,
                    "value": {"durationMs": 24 * _HOUR_MS},
                    "typeSettings": {"selectableValues": choices, "allowCustom": True},
                }
            ],
            "style": "pills",
        },
    }


def _metric_chart(title: str, names: Sequence[str], aggregation: int, account_id: str) -> Item:
    return {
        "type": 10,
        "customWidth": "50",
        "content": {
            "version": "MetricsItem/2.0",
            "chartId": f"workbook-{names[0]}",
            "title": title,
            "size": 0,
            "chartType": 2,
            "resourceType": _BATCH,
            "metricScope": 0,
            "resourceIds": [account_id],
            "timeContext": {"durationMs": 24 * _HOUR_MS},
            "timeContextFromParameter": _TIME_RANGE,
            "metrics": [
                {"namespace": _BATCH, "metric": f"{_BATCH}--{name}", "aggregation": aggregation}
                for name in names
            ],
        },
    }


def _query_chart(title: str, text: str, visualization: str, workspace_id: str) -> Item:
    return {
        "type": 3,
        "customWidth": "50",
        "content": {
            "version": "KqlItem/1.0",
            "title": title,
            "query": text,
            "size": 0,
            "queryType": 0,
            "resourceType": _WORKSPACE,
            "crossComponentResources": [workspace_id],
            "visualization": visualization,
            "timeContext": {"durationMs": 24 * _HOUR_MS},
            "timeContextFromParameter": _TIME_RANGE,
        },
    }
