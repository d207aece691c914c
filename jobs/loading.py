"""Loads a workload file: YAML, `--set`, the model, and findings with lines for all of it.

The model's own errors speak of Python; here they become findings at the place in the
file that a person would mend, in the file's own words.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from jobs.document import Document, Location, read_document
from jobs.errors import Finding, WorkloadError
from jobs.shapes import said
from jobs.spec import MODELS, Workload, keys_of

_WHOLE_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SHORT_FORMS = {
    "tasks": "a number, a factory or ",
    **dict.fromkeys(("command", "merge", "check", "coordination"), "one line of text or "),
}
_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}
_KEYS = frozenset(key for model in MODELS for key in keys_of(model))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedWorkload:
    """A workload, and where its parts stand in its file.

    Attributes:
        document: The file as it was read.
        spec: What it says.
    """

    document: Document
    spec: Workload

    @property
    def path(self) -> Path:
        """The file."""
        return self.document.path

    @property
    def directory(self) -> Path:
        """The directory that relative paths in the file start from."""
        return self.document.path.absolute().parent

    def finding(self, message: str, *location: str | int) -> Finding:
        """A finding at a member of the file."""
        return self.document.finding(location, message)

    def without_schedule(self) -> LoadedWorkload:
        """The same as one job, now."""
        return replace(self, spec=self.spec.model_copy(update={"schedule": None}))


def load_workload(path: Path, overrides: Iterable[str] = ()) -> LoadedWorkload:
    """Reads and checks a workload file.

    Args:
        path: The file, or a directory that holds a `job.yaml`.
        overrides: `NAME=VALUE` texts that replace variables of the file.

    Raises:
        WorkloadError: With every finding.
    """
    document, values, findings = _read(path, overrides)
    try:
        spec = Workload.model_validate(values)
    except ValidationError as error:
        findings.extend(_translated(error, document))
        spec = None
    if findings or spec is None:
        raise WorkloadError(sorted(findings, key=lambda finding: finding.line or 0))
    return LoadedWorkload(document=document, spec=spec)


def named_pool(path: Path, overrides: Iterable[str] = ()) -> tuple[Document, str] | None:
    """The pool that a file names, sound or not; None where that much cannot be read."""
    try:
        document, values, _ = _read(path, overrides)
    except WorkloadError:
        return None
    pool = values.get("pool")
    return (document, pool) if isinstance(pool, str) and pool else None


def _read(path: Path, overrides: Iterable[str]) -> tuple[Document, dict[str, Any], list[Finding]]:
    """A file, its values with the variables filled in, and what is wrong with these.

    Raises:
        WorkloadError: It cannot be read, or is no YAML.
    """
    document = read_document(path / "job.yaml" if path.is_dir() else path)
    values = dict(document.values)
    variables, findings = _variables(document, overrides)
    if variables:
        values["variables"] = variables
    _fill_in(values, variables)
    if isinstance(values.get("stages"), dict):
        values["stages"] = {
            name: _fill_in(dict(stage), variables) if isinstance(stage, dict) else stage
            for name, stage in values["stages"].items()
        }
    return document, values, findings


def _variables(
    document: Document, overrides: Iterable[str]
) -> tuple[dict[str, Any], list[Finding]]:
    """The file's variables with the command line's in their place."""
    written = document.values.get("variables")
    given: dict[str, Any] = written if isinstance(written, dict) else {}
    variables = dict(given)
    findings: list[Finding] = []
    for text in overrides:
        name, equals, value = text.partition("=")
        option = f"--set {text}"
        if not equals:
            findings.append(Finding(where=option, message="write it as NAME=VALUE"))
        elif name not in variables:
            known = ", ".join(variables) or "none"
            findings.append(
                Finding(
                    where=option, message=f"the file has no variable {name!r}, it has: {known}"
                )
            )
        else:
            variables[name] = _typed(value, like=variables[name])
            if type(variables[name]) is not type(given[name]) and not (
                isinstance(given[name], float) and isinstance(variables[name], int)
            ):
                kind = _KINDS.get(type(given[name]), "no plain value")
                findings.append(
                    Finding(
                        where=option, message=f"{name} is {kind} in the file, {value!r} is not"
                    )
                )
    return variables, findings


def _typed(text: str, *, like: object) -> object:
    """The text as the kind of value that it replaces, else the text."""
    if isinstance(like, bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    for kind in (int, float):
        if isinstance(like, int | float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def _fill_in(values: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    """Puts variables into the members that take numbers."""
    for key in (
        "tasks",
        "resources",
        "priority",
        "pool",
        "multi_instance",
        "container",
        "schedule",
    ):
        if key in values:
            values[key] = _substituted(values[key], variables)
    return values


def _substituted(value: Any, variables: dict[str, Any]) -> Any:
    """Puts a variable where a whole text is its placeholder, so that it keeps its type."""
    if isinstance(value, str):
        match = _WHOLE_PLACEHOLDER.fullmatch(value)
        return variables.get(match[1], value) if match else value
    if isinstance(value, list):
        return [_substituted(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: _substituted(item, variables) for key, item in value.items()}
    return value


def _translated(error: ValidationError, document: Document) -> Iterator[Finding]:
    """Pydantic's errors as findings, one for each place in the file."""
    seen: set[tuple[Location, str]] = set()
    for item in error.errors(include_url=False):
        location = _in_file(item["loc"], document, missing=item["type"] == "missing")
        message = _message(item)
        if (location, message) not in seen:
            seen.add((location, message))
            yield document.finding(location, message)


def _in_file(location: Location, document: Document, *, missing: bool) -> Location:
    """A model's location as the file has it: short forms and union branches left out."""
    place: Location = ()
    for part in location:
        if (*place, part) in document.lines:
            place = (*place, part)
    return (*place, *location[-1:]) if missing else place


def _message(error: ErrorDetails) -> str:
    location = error["loc"]
    match error["type"]:
        case "extra_forbidden" if location[:1] == ("stages",) and location[2:] == ("pool",):
            text = (
                "a stage has no pool of its own: tasks wait for each other inside one job only, "
                "and a job has one pool"
            )
        case "extra_forbidden" if location[-1] in {"cron", "recurrence"}:
            text = (
                "is no key: Batch counts from one job to the next, in UTC, and knows no cron "
                "expression. Write schedule: {every: 1d, start: 2026-12-01T06:00Z}"
            )
        case "extra_forbidden":
            close = difflib.get_close_matches(str(location[-1]), sorted(_KEYS), n=1)
            text = "is not a known key" + (f"; did you mean {close[0]!r}?" if close else "")
        case "model_type" | "dict_type" if location[-2:-1] in {("inputs",), ("outputs",)}:
            text = said(error, kind="text or a mapping of keys to values")
        case "tuple_type":
            text = said(error, kind=f"{_SHORT_FORMS.get(str(location[-1]), '')}a list")
        case _:
            text = said(error)
    return text
