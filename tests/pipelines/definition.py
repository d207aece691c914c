"""`azure-pipelines.yml` as Azure Pipelines would compile it, as far as this file needs.

Parameters are replaced by their defaults or given values, and step templates are put in
their place. Conditions and tasks are data: nothing here knows what they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "azure-pipelines.yml"

_PARAMETER = re.compile(r"\$\{\{\s*parameters\.(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a job, its templates resolved."""

    stage: str
    body: Mapping[str, Any]

    @property
    def script(self) -> str | None:
        """The command line that the step runs, or None if it is a task of its own kind."""
        if "script" in self.body:
            return str(self.body["script"])
        if self.body.get("task") == "AzureCLI@2":
            return str(self.body["inputs"]["scriptPath"])
        return None


def raw() -> dict[str, Any]:
    """The file as it stands."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def compiled(**given: str) -> dict[str, Any]:
    """The file with its parameters filled in; an undeclared one is an error."""
    declared = {p["name"]: p["default"] for p in raw()["parameters"]}
    assert given.keys() <= declared.keys()
    values = declared | given

    def fill(node: Any) -> Any:
        match node:
            case str():
                return _PARAMETER.sub(lambda match: values[match[1]], node)
            case list():
                return [fill(item) for item in node]
            case dict():
                return {key: fill(value) for key, value in node.items()}
        return node

    pipeline = fill({key: value for key, value in raw().items() if key != "parameters"})
    assert isinstance(pipeline, dict)
    return pipeline


def steps(pipeline: Mapping[str, Any]) -> Iterator[Step]:
    """Every step in the order of the file, those of templates in their place."""
    for stage in pipeline["stages"]:
        for job in stage["jobs"]:
            bodies = job.get("steps") or job["strategy"]["runOnce"]["deploy"]["steps"]
            for body in bodies:
                if "template" in body:
                    template = yaml.safe_load((ROOT / body["template"]).read_text("utf-8"))
                    yield from (Step(stage=stage["stage"], body=b) for b in template["steps"])
                else:
                    yield Step(stage=stage["stage"], body=body)


def strings(node: Any) -> Iterator[str]:
    """Every text in a document, keys included."""
    match node:
        case str():
            yield node
        case list():
            for item in node:
                yield from strings(item)
        case dict():
            for key, value in node.items():
                yield str(key)
                yield from strings(value)
