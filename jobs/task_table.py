"""One row a task: what a report's page links to, and what spreadsheets and programs read.

A task chose its own words: a spreadsheet takes a cell that begins with `=` for a formula,
so such a cell gets an apostrophe before it (https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from jobs.errors import InputError, shown
from jobs.looks import TaskEnd
from jobs.prices import Shares
from jobs.report import UNNAMED
from jobs.rerun import Ends
from jobs.stale import NOTHING_STALE, Stale
from jobs.task_names import TaskNames, Values
from jobs.templates import shown_value
from jobs.whole_files import replacing

COLUMNS = (
    "task",
    "stage",
    "attempt",
    "outcome",
    "exit_code",
    "failure",
    "reason",
    "retries",
    "requeues",
    "node",
    "kind",
    "slots",
    "created",
    "started",
    "ended",
    "waited_s",
    "ran_s",
    "uploading_s",
    "cpu_s",
    "cost",
    "name",
    "nodes",
    "earlier_s",
    "earlier_is",
    "stale",
)
"""Columns of every table; one a parameter follows them, as `parameter.NAME`."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRows:
    """The rows of a job's tasks: iterating gives the cells of each, texts as in `columns`.

    Attributes:
        ends: How they ended.
        reasons: Why failed ones did, by task.
        rates: What they cost.
        names: What people call the tasks, and what they were given.
        stale: Tasks whose answer is of outputs that were replaced since.
    """

    ends: Ends
    reasons: Mapping[str, str]
    rates: Shares
    names: TaskNames = UNNAMED
    stale: Stale = NOTHING_STALE

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the cells."""
        return (*COLUMNS, *(f"parameter.{name}" for name in self.names.parameters))

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """A row for each end, by task; earlier attempts after the latest of all tasks."""
        for attempt, ends in (("latest", self.ends.latest), ("earlier", self.ends.earlier)):
            ordered = sorted(ends, key=lambda end: end.id)
            given = self.names.each(end.id for end in ordered)
            for end, values in zip(ordered, given, strict=True):
                yield self._row(end, attempt, values)

    def _row(self, end: TaskEnd, attempt: str, values: Values) -> tuple[str, ...]:
        cost = self.rates.of(end)
        return (
            end.id,
            _cell(self.names.stage(end.id)),
            attempt,
            "succeeded" if end.succeeded else "failed",
            "" if end.exit_code is None else str(end.exit_code),
            _cell(end.failure),
            _cell(self.reasons.get(end.id, "")),
            str(end.retries),
            str(end.requeues),
            end.node_id,
            "" if not end.node_id else "spot" if end.on_spot else "dedicated",
            str(end.slots),
            _moment(end.created),
            _moment(end.started),
            _moment(end.ended),
            f"{end.wait_s:.3f}",
            f"{end.run_s:.3f}",
            f"{end.upload_s:.3f}",
            "" if end.cpu_s is None else f"{end.cpu_s:.3f}",
            "" if cost is None else f"{cost:.9f}",
            _cell(self.names.name(end.id)),
            str(end.instances),
            f"{end.earlier_s:.3f}",
            "" if not end.earlier_s else "estimated" if end.estimated else "counted",
            _cell(self.stale.source(end.id)) if attempt == "latest" else "",
            *(
                _cell(shown_value(values[name])) if name in values else ""
                for name in self.names.parameters
            ),
        )


class Rows(Protocol):
    """Rows of a table: iterating gives the cells of each, texts as in `columns`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the cells."""
        ...

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """Each row."""
        ...


def write_csv(path: Path, rows: Rows) -> None:
    """Replaces a file in one step.

    Raises:
        InputError: It cannot be written.
    """
    try:
        with replacing(path, newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(rows.columns)
            writer.writerows(rows)
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be written: {error.strerror or error}") from error


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _moment(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
