"""Jobs that Batch has no more, of which only the result tree is left.

One that `clean` removed is noted as such in its manifest, so that nobody needs to be asked, nor
needs its stack to be there. Another may have been deleted with its schedule, or by somebody
else: that is known once Batch says so, and storage may still have what it left.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

from jobs.costs import kept_report
from jobs.errors import CleanedError, InputError, JobsError, NotFoundError, shown
from jobs.following import go_on
from jobs.report import FailureGroup, Report
from jobs.results import Manifest, ResultTree
from jobs.stale import Stale, stale_of
from jobs.terminal import counted
from jobs.usage import NodeUse, SlowTask, Spread, StageUse

_T = TypeVar("_T")


def is_gone(error: JobsError) -> bool:
    """Whether an error says that Batch has no such job."""
    return isinstance(error, CleanedError) or (
        isinstance(error, NotFoundError) and error.code == "JobNotFound"
    )


def require_there(tree: ResultTree) -> None:
    """Refuses a job that was cleaned.

    Raises:
        CleanedError: It was, with when, where its results are, and how to report on it.
    """
    manifest = tree.read_manifest()
    if manifest.cleaned:
        raise CleanedError(f"job {manifest.job_id} {_what(manifest, tree)}{_report_way(tree)}")


def _report_way(tree: ResultTree) -> str:
    return f"; its last report: {go_on('report', tree)}" if tree.report_file.exists() else ""


def _what(manifest: Manifest, tree: ResultTree) -> str:
    """What became of it, and where its results are."""
    how = (
        f"was cleaned on {manifest.cleaned[:10]}"
        if manifest.cleaned
        else "is no longer in Batch: it was deleted there"
    )
    return f"{how}; its results are in {shown(tree.root)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A job that Batch has no more.

    Attributes:
        tree: Its results.
        manifest: What was submitted.
        report: Its last report as JSON, of its end or before it; None if there is none.
    """

    tree: ResultTree
    manifest: Manifest
    report: Mapping[str, Any] | None

    @classmethod
    def of(cls, tree: ResultTree) -> Gone:
        """By its result tree.

        Raises:
            InputError: That cannot be read.
        """
        return cls(
            tree=tree,
            manifest=tree.read_manifest(),
            report=kept_report(tree, unfinished=True),
        )

    @property
    def text(self) -> str:
        """What became of it, with how its tasks fared where a report says so."""
        found, told = self.report, ""
        if found is not None:
            failed = f", {found['failed']:,} failed" if found["failed"] else ""
            tasks = counted(self.manifest.tasks, "task")
            told = f"; {found['succeeded']:,} of {tasks} succeeded{failed}"
        return f"{_what(self.manifest, self.tree)}{told}"

    def as_json(self) -> dict[str, Any]:
        """The same for a program; the counts are those of its last report, if there is one."""
        found = self.report
        told: dict[str, Any] = {
            "job_id": self.manifest.current,
            "state": "cleaned" if self.manifest.cleaned else "deleted",
            "over": True,
            "cleaned": self.manifest.cleaned or None,
            "results": str(self.tree.root),
        }
        if found is None:
            return told
        return told | {
            "total": self.manifest.tasks,
            "succeeded": found["succeeded"],
            "failed": found["failed"],
            "never_ran": found["unfinished"],
            "cost": found["cost"],
            "currency": found["currency"],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReport:
    """The last report of a job, as its result tree has it; in the manner of `Reported`.

    Attributes:
        report: The figures.
        tree: The job's results.
        stale: Tasks whose answer is of outputs that were replaced since.
        at_end: Whether it is of the job's end; else something may have come later.
    """

    report: Report
    tree: ResultTree
    stale: Stale
    at_end: bool

    @classmethod
    def read(cls, tree: ResultTree) -> KeptReport:
        """Reads it.

        Raises:
            InputError: None was made before the job went, or it is damaged.
        """
        manifest = tree.read_manifest()
        found = kept_report(tree, unfinished=True)
        if found is None:
            raise InputError(
                f"job {manifest.job_id} {_what(manifest, tree)}, without a report: none was made "
                "before"
            )
        try:
            report = report_of(found)
        except (TypeError, LookupError, AttributeError) as error:
            raise InputError(f"{shown(tree.report_file)} is damaged: {error}") from error
        return cls(
            report=report,
            tree=tree,
            stale=stale_of(manifest),
            at_end=kept_report(tree) is not None,
        )

    @property
    def text(self) -> str:
        """What became of the job, and of when the report is."""
        manifest = self.tree.read_manifest()
        late = "" if self.at_end else ", before its end"
        return f"job {manifest.job_id} {_what(manifest, self.tree)}; as last reported{late}:"

    def page(self, *, csv: str = "") -> str:
        """The report as HTML; `csv` is the address of the table of all tasks, if there is one.

        Raises:
            InputError: It cannot be read.
        """
        page = _read(self.tree.page_file)
        own = f'<a href="{self.tree.tasks_file.name}">'
        return page.replace(own, f'<a href="{csv}">') if csv else page

    def rows(self) -> KeptRows:
        """A row a task; iterating gives tuples of texts.

        Raises:
            InputError: They cannot be read.
        """
        lines = csv.reader(StringIO(_read(self.tree.tasks_file), newline=""))
        columns = tuple(next(lines, ()))
        return KeptRows(columns=columns, rows=tuple(map(tuple, lines)))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRows:
    """The rows of a table that was kept.

    Attributes:
        columns: The names of the cells.
        rows: A row a task.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """Each row."""
        return iter(self.rows)


def report_of(found: Mapping[str, Any]) -> Report:
    """A report by what `Report.as_json` made of it; members that are not known are left out.

    Raises:
        TypeError: A member is missing, or is not what it should be.
    """

    def stage(values: Mapping[str, Any]) -> StageUse:
        spreads = {name: _made(Spread, values[name]) for name in ("waited", "ran")}
        return _made(StageUse, {**values, **spreads})

    lists: dict[str, Any] = {
        "failures": tuple(_made(FailureGroup, one) for one in found["failures"]),
        "stages": tuple(stage(one) for one in found.get("stages", ())),
        "slowest": tuple(_made(SlowTask, one) for one in found.get("slowest", ())),
        "by_node": tuple(_made(NodeUse, one) for one in found.get("by_node", ())),
    }
    spreads = {name: _made(Spread, found.get(name, {})) for name in ("waited", "ran")}
    return _made(Report, {**found, **lists, **spreads})


def _made(kind: type[_T], values: Mapping[str, Any]) -> _T:
    known = {member.name for member in fields(kind)}  # type: ignore[arg-type] # a dataclass
    return kind(**{name: value for name, value in values.items() if name in known})


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read: {error.strerror or error}") from error
