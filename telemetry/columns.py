"""The table that rows of the collector land in, derived from the row itself.

The fields of `collector.NodeMetrics` are the one declaration: names and types of the
table's columns and of the stream that fills it follow from them.
https://learn.microsoft.com/azure/azure-monitor/essentials/data-collection-rule-structure
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType, NoneType
from typing import Final, Literal

from telemetry.collector import NodeMetrics, column_name

ColumnType = Literal["datetime", "long", "real", "string"]

TABLE: Final = "HpcNodeMetrics_CL"
"""Custom tables end with `_CL`."""

STREAM: Final = f"Custom-{TABLE}"
"""Custom streams begin with `Custom-`."""

_TYPES: Final[Mapping[type, ColumnType]] = MappingProxyType(
    {datetime: "datetime", int: "long", float: "real", str: "string"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its name, and its type as streams call it."""

    name: str
    type: ColumnType


def _type(annotation: object) -> ColumnType:
    (kind,) = {*(typing.get_args(annotation) or (annotation,))} - {NoneType}
    return _TYPES[kind]


COLUMNS: Final = tuple(
    Column(name=column_name(field), type=_type(annotation))
    for field, annotation in typing.get_type_hints(NodeMetrics).items()
)
"""In the order of the row's fields; the time comes first."""
