"""The result tree: the one place that knows what is where under `results/JOBID/`.

    job.json                 what was submitted, so that later verbs find everything
    plan.json, rows.bin      digests of what its tasks were made from, and of what each was given
    outputs/TASKID/…         what tasks left, as their `outputs` name it
    logs/TASKID/stdout.txt   and stderr.txt
    attempts/N/…             outputs and logs of tasks that were run again, from attempt N
    report.json              the last report; report.html is it as a page, tasks.csv a row a task
    history.json             what was seen while somebody watched
    .collected.json          what was downloaded already (name → etag, size)

A manifest holds names and digests; no credential and no environment.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from jobs.errors import InputError, shown
from jobs.job_ids import ALL, LAST, NUMBERS, again_id, folder_of, is_job_id
from jobs.whole_files import replacing

MANIFEST_VERSION = 1
DEFAULT_ROOT = Path("results")
_ATTEMPT = re.compile(r"(.+)-r(\d{1,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Tasks of a job that were run again, in a job of their own.

    Attributes:
        job_id: That job.
        tasks: Their positions, as `jobs.selection` writes them.
        created: When, UTC, ISO 8601.
        plan: Digest of the plan; empty in trees of before that was noted.
        after: What stages waited for when these were sent (`jobs.waiting.noted`).
        never: Positions of tasks that had never ended by then and are not among these.
        made: As of a manifest.
    """

    job_id: str
    tasks: str
    created: str
    plan: str = ""
    after: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    never: str = ""
    made: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was submitted.

    Attributes:
        job_id: The job.
        workload: Absolute path of the workload file.
        overrides: `NAME=VALUE` texts of `--set`.
        attempts: What was run again, the latest last.
        stack: Name given by `--stack`, or None.
        outputs: Absolute path given by `--outputs`, or None.
        plan: Digest of the plan.
        tasks: Number of tasks.
        created: When, UTC, ISO 8601.
        stages: Tasks of each stage, in order; empty for a workload without stages.
        tags: What it is to be found and counted by.
        account: Id of the Batch account that it is in; empty in trees of before that was noted.
        made: Whether Batch has taken the job, which is then never made again: false from just
            before the first request on. Trees of before that was noted count as true.
        cleaned: When it was removed from Batch and from storage by `clean`, UTC, ISO 8601; empty:
            it was not.
        version: Of this file.
    """

    job_id: str
    workload: str
    stack: str | None
    outputs: str | None
    plan: str
    tasks: int
    created: str
    overrides: tuple[str, ...] = field(default=())
    attempts: tuple[Attempt, ...] = field(default=())
    stages: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    account: str = ""
    made: bool = True
    cleaned: str = ""
    version: int = MANIFEST_VERSION

    @property
    def current(self) -> str:
        """The job that is watched: the latest attempt's, else the first."""
        return self.attempts[-1].job_id if self.attempts else self.job_id

    @property
    def job_ids(self) -> tuple[str, ...]:
        """Every job of the tree, the first one first."""
        return (self.job_id, *(attempt.job_id for attempt in self.attempts))

    @property
    def current_made(self) -> bool:
        """Whether Batch has taken the current job."""
        return self.attempts[-1].made if self.attempts else self.made

    def as_made(self) -> Manifest:
        """The same, now that Batch has taken the current job."""
        if not self.attempts:
            return replace(self, made=True)
        *before, last = self.attempts
        return replace(self, attempts=(*before, replace(last, made=True)))


@dataclass(frozen=True, slots=True)
class ResultTree:
    """The results of one job.

    Attributes:
        root: Its directory.
        stack: With `outputs_file`, what to read in place of the stack that its manifest names;
            both None for that one (`jobs.elsewhere`).
        outputs_file: See `stack`.
    """

    root: Path
    stack: str | None = None
    outputs_file: str | None = None

    @property
    def manifest_file(self) -> Path:
        """What was submitted."""
        return self.root / "job.json"

    @property
    def outputs(self) -> Path:
        """A directory for each task with its outputs."""
        return self.root / "outputs"

    @property
    def logs(self) -> Path:
        """A directory for each task with stdout.txt and stderr.txt."""
        return self.root / "logs"

    def attempt(self, number: int) -> Path:
        """What tasks had left before they were run again, after the attempt of this number."""
        return self.root / "attempts" / str(number)

    @property
    def report_file(self) -> Path:
        """The last report, as JSON."""
        return self.root / "report.json"

    @property
    def page_file(self) -> Path:
        """The last report, as a page."""
        return self.root / "report.html"

    @property
    def tasks_file(self) -> Path:
        """The last report's tasks, a row each."""
        return self.root / "tasks.csv"

    @property
    def history_file(self) -> Path:
        """What was seen while somebody watched."""
        return self.root / "history.json"

    @property
    def collected_file(self) -> Path:
        """What was downloaded already."""
        return self.root / ".collected.json"

    def make(self) -> None:
        """Makes its directory, if there is none.

        Raises:
            InputError: It cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.root, error.strerror or str(error)) from error

    def write_manifest(self, manifest: Manifest) -> None:
        """Replaces the manifest.

        Raises:
            InputError: It cannot be written.
        """
        write_json(self.manifest_file, asdict(manifest))

    def note_cleaned(self, when: str) -> None:
        """Notes that its jobs were cleaned, at a moment in ISO 8601.

        The file keeps its time, which says what was submitted last and whether the report is
        newer.

        Raises:
            InputError: The manifest cannot be read or written.
        """
        own = ResultTree(self.root)  # the stack stays as it was noted
        manifest = own.read_manifest()
        before = self.manifest_file.stat()
        own.write_manifest(replace(manifest, cleaned=when))
        os.utime(self.manifest_file, ns=(before.st_atime_ns, before.st_mtime_ns))

    def read_manifest(self) -> Manifest:
        """The manifest.

        Raises:
            InputError: There is none, or it is damaged or of another version.
        """
        values = read_json(self.manifest_file)
        try:
            manifest = Manifest(
                **{
                    **values,
                    "overrides": tuple(values.get("overrides", ())),
                    "attempts": tuple(Attempt(**item) for item in values.get("attempts", ())),
                }
            )
        except TypeError as error:
            raise InputError(f"{shown(self.manifest_file)} is damaged: {error}") from error
        if manifest.version != MANIFEST_VERSION:
            raise InputError(
                f"{shown(self.manifest_file)} has version {manifest.version}, this checkout "
                f"reads {MANIFEST_VERSION}"
            )
        if self.stack is None and self.outputs_file is None:
            return manifest
        return replace(manifest, stack=self.stack, outputs=self.outputs_file)


def tree_of(job_id: str, root: Path) -> ResultTree:
    """The tree of a job under a root.

    Raises:
        InputError: The id is no job id, and so no name of a directory either.
    """
    if not is_job_id(job_id):
        raise InputError(
            f"{job_id!r} is no job id: letters, digits, `-` and `_`, 64 at most; of a job that a "
            "schedule made: SCHEDULE:job-N"
        )
    return ResultTree(root / folder_of(job_id))


def find_tree(job: str, root: Path) -> ResultTree:
    """The tree that a user means: a job id, its unique beginning, or `last`.

    Raises:
        InputError: Nothing or more than one job fits.
    """
    known = _known(root)
    if job == LAST:
        if not known:
            raise InputError(f"no job was submitted from here: {shown(root)} has none")
        return ResultTree(known[-1])
    exact = tree_of(job, root)
    if exact.manifest_file.exists():
        return exact
    if NUMBERS.fullmatch(job) and 1 <= (number := int(job.partition("-")[0])) <= len(known):
        if "-" not in job:
            return ResultTree(known[-number])
        raise InputError(f"{job!r} may be several jobs, and this takes one")
    if again := _ATTEMPT.fullmatch(job):
        first = [path for path in known if again_id(path.name, int(again[2])) == job]
        if len(first) == 1:
            return ResultTree(first[0])
    fitting = [path for path in known if path.name.startswith(job)]
    if len(fitting) == 1:
        return ResultTree(fitting[0])
    if fitting:
        names = ", ".join(path.name for path in fitting)
        raise InputError(f"{job!r} begins the ids of several jobs: {names}")
    latest = f"; the latest one there is {known[-1].name}" if known else ", nor any other job"
    raise InputError(
        f"{job!r} was not submitted from here: {shown(root)} does not have it{latest}. "
        "Name another place with --out DIR"
    )


def find_trees(jobs: str, root: Path) -> list[ResultTree]:
    """The trees that a user means: `all`, ids and beginnings, or numbers, with commas.

    Numbers count from the job that was submitted last: `1` is that one, `1-3` the last
    three, `1-9:2` every second of the last nine. An id goes before a number.

    Raises:
        InputError: A part fits nothing or more than one job.
    """
    known = _known(root)
    if jobs == ALL and known:
        return [ResultTree(path) for path in known]
    found: dict[Path, ResultTree] = {}
    for part in jobs.split(","):
        span = NUMBERS.fullmatch(part)
        if span is None or (":" not in part and tree_of(part, root).manifest_file.exists()):
            tree = find_tree(part, root)
            found[tree.root] = tree
            continue
        first = int(span["first"])
        last, step = int(span["last"] or first), int(span["step"] or 1)
        numbers = range(max(first, 1), min(last, len(known)) + 1, step) if step else ()
        if not numbers:
            raise InputError(
                f"{part!r} selects no job: {shown(root)} has {len(known)}, counted from the "
                "last one, 1"
            )
        found |= {known[-n]: ResultTree(known[-n]) for n in numbers}
    return list(found.values())


def names_several(jobs: str, root: Path) -> bool:
    """Whether it means any number of jobs: `all`, a range, or a list with commas; no id does."""
    if jobs == ALL or "," in jobs:
        return True
    span = NUMBERS.fullmatch(jobs)
    ranges = span is not None and span["last"] is not None
    return ranges and not (":" not in jobs and tree_of(jobs, root).manifest_file.exists())


def _known(root: Path) -> list[Path]:
    """Every result tree, the latest submitted last.

    One that goes in this moment, as by `clean --local`, is none.
    """
    found: list[tuple[float, Path]] = []
    for path in root.glob("*/job.json"):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, path.parent))
    return [path for _, path in sorted(found)]


def require_writable(root: Path) -> None:
    """Finds out before any work is done whether results can be written; makes nothing.

    Raises:
        InputError: They cannot.
    """
    place = root.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise _unwritable(root, f"{shown(place)} is no directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise _unwritable(root, f"{shown(place)} is not yours to write to")


def _unwritable(path: Path, why: str) -> InputError:
    return InputError(
        f"results cannot be written to {shown(path)}: {why}. Make it so that they can, or name "
        "another place: --out DIR"
    )


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of the tree.

    Raises:
        InputError: It cannot be read, or holds no object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{shown(path)} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{shown(path)} is damaged: it holds no object")
    return value


def write_json(path: Path, value: object) -> None:
    """Replaces a file in one step.

    Raises:
        InputError: It cannot be written.
    """
    try:
        with replacing(path) as stream:
            json.dump(value, stream, indent=2)
            stream.write("\n")
    except OSError as error:
        raise _unwritable(path.parent, error.strerror or str(error)) from error
