"""Queries of alerts and the workbook, judged by Microsoft's own parser: `make test-clients`.

It is the parser behind Azure Monitor, and knows tables and types: a misspelt column, a wrong
argument or a measure that is no number is found here. What it cannot know is whether Batch
sends events as its documentation says; those columns are asked for by `column_ifexists`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.config import StackConfig
from infra.estate import Estate, plan_estate
from infra.log_alerts import LogAlert, log_alerts
from infra.sources import PROJECT_ROOT
from infra.workbook import content
from telemetry.columns import COLUMNS, TABLE
from tests.clients.install import kusto_parser

pytestmark = [pytest.mark.clients, pytest.mark.slow]

# Columns that every row of these tables has:
# https://learn.microsoft.com/azure/azure-monitor/reference/tables/azurediagnostics
STANDARD = [["TenantId", "string"], ["TimeGenerated", "datetime"], ["Type", "string"]]
TABLES = {
    "AzureDiagnostics": [
        *STANDARD,
        *([name, "string"] for name in ("ResourceProvider", "Category", "OperationName")),
        *(
            [name, "string"]
            for name in ("Resource", "ResourceId", "ResourceGroup", "ResourceType")
        ),
    ],
    TABLE: [*STANDARD[::2], *([column.name, column.type] for column in COLUMNS)],
}
NUMBERS = {"long", "int", "real", "decimal"}
# What a workbook puts in before it asks.
PARAMETERS = {
    "{TimeRange:grain}": "5m",
    "{TimeRange:start}": "ago(1d)",
    "{TimeRange:end}": "now()",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the parser says of a query: what is wrong, and the types of its columns by name."""

    wrong: list[str]
    columns: dict[str, str]


def judge(queries: dict[str, str]) -> dict[str, Judged]:
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("kusto_check.js"))],
        input=json.dumps({"tables": TABLES, "queries": queries}),
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "NODE_PATH": str(kusto_parser() / "node_modules")},
    )
    return {
        name: Judged(wrong=one["wrong"], columns=dict(one["columns"]))
        for name, one in json.loads(done.stdout).items()
    }


def estate(**raw: Any) -> Estate:
    config = StackConfig.model_validate(
        {
            "pools": {
                "cpu": {},
                "mpi": {"preset": "rdma"},
                "spot": {"preset": "spot"},
                "new": {"vm_size": "Standard_X9"},
            },
            "monitoring": {
                "node_telemetry": {"enabled": True},
                "workbook": True,
                "alert_emails": ["ops@lab.example"],
            },
            "batch": {"vcpu_quota_by_series": {"Dsv5": 100, "HBv3": 240}},
            **raw,
        }
    )
    return plan_estate("any", config, root=PROJECT_ROOT, today=date(2026, 1, 1))


def charts(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Title and query of each chart that asks the workspace."""
    for item in document["items"]:
        content_of_item = item.get("content", {})
        if "query" in content_of_item and "title" in content_of_item:
            query = str(content_of_item["query"])
            for parameter, value in PARAMETERS.items():
                query = query.replace(parameter, value)
            yield str(content_of_item["title"]), query


@pytest.fixture(scope="module")
def alerts() -> dict[str, LogAlert]:
    return log_alerts(estate())


@pytest.fixture(scope="module")
def judged_alerts(alerts: dict[str, LogAlert]) -> dict[str, Judged]:
    return judge({name: alert.query for name, alert in alerts.items()})


def test_every_alert_is_here(alerts: dict[str, LogAlert]) -> None:
    assert set(alerts) == {
        "pool-disk",
        "pool-failed-tasks",
        "pool-formula",
        "pool-idle",
        "pool-requeued",
        "pool-resize",
        "pool-start-task",
        "series-quota",
    }


def test_nothing_is_wrong_with_an_alert(judged_alerts: dict[str, Judged]) -> None:
    assert {name: one.wrong for name, one in judged_alerts.items() if one.wrong} == {}


def test_an_alert_measures_a_number_of_a_column_that_comes_out(
    alerts: dict[str, LogAlert], judged_alerts: dict[str, Judged]
) -> None:
    for name, alert in alerts.items():
        columns = judged_alerts[name].columns
        assert columns[alert.measure] in NUMBERS, name
        assert columns[alert.dimension] == "string", name


def test_nothing_is_wrong_with_a_chart() -> None:
    ids = {"account_id": "/subscriptions/a", "workspace_id": "/subscriptions/w"}
    found = dict(charts(json.loads(content(estate(), **ids))))
    # Of each section some, of nodes each measure.
    assert len(found) >= 12
    assert not any("{TimeRange" in query for query in found.values())
    judged = judge(found)
    assert {title: one.wrong for title, one in judged.items() if one.wrong} == {}
    for title, one in judged.items():
        assert NUMBERS & set(one.columns.values()), title


WRONG = {
    "AzureDiagnostic | count": "AzureDiagnostic",
    f"{TABLE} | summarize max(CpuPercnt)": "CpuPercnt",
    f"{TABLE} | summarise max(CpuPercent)": "summarise",
    f"{TABLE} | extend Half = Pool / 2": "operator '/'",
    'AzureDiagnostics | where column_ifexists("id_s") == ""': "column_ifexists",
    f"{TABLE} | where (CpuPercent > 5": "",
}


def test_the_parser_finds_what_is_wrong() -> None:
    judged = judge({query: query for query in WRONG})
    for query, told in WRONG.items():
        assert any(told in one for one in judged[query].wrong), (query, judged[query].wrong)
