"""The table's columns are the row's fields."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from telemetry.collector import NodeMetrics, record
from telemetry.columns import COLUMNS, STREAM, TABLE

KINDS = {"datetime": str, "long": int, "real": float, "string": str}


def test_a_full_row_has_every_column_with_its_type() -> None:
    names = {field: 1 for field in NodeMetrics._fields if field not in {"account", "pool", "node"}}
    row = NodeMetrics(
        **{
            **names,
            **{
                field: 1.0 for field in NodeMetrics._fields if field.endswith(("percent", "per_s"))
            },
            "time_generated": datetime(2026, 1, 1, tzinfo=UTC),
            "account": "a",
            "pool": "p",
            "node": "n",
        }  # type: ignore[arg-type] # values by field name, of each field's kind
    )
    told = record(row)
    assert list(told) == [column.name for column in COLUMNS]
    for column in COLUMNS:
        assert type(told[column.name]) is KINDS[column.type]


def test_names_are_those_that_azure_monitor_takes() -> None:
    reserved = {"type", "tenantid", "resource", "resourceid", "resourcename", "subscriptionid"}
    for column in COLUMNS:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,44}", column.name)
        assert column.name.lower() not in reserved
    assert (COLUMNS[0].name, COLUMNS[0].type) == ("TimeGenerated", "datetime")
    assert re.fullmatch(r"[A-Za-z]\w*_CL", TABLE)
    assert STREAM.removeprefix("Custom-") == TABLE != STREAM
