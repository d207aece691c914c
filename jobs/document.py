"""Reads a YAML file into plain values, and remembers on which line each stood.

Not PyYAML's own loader, for four reasons:

* errors found later (an unknown key, a number out of range) must name a line;
* YAML 1.1 reads `no` as false, `1:30` as 90, `010` as 8 and `1e5` as text; a file that
  says how long something runs must not be read so. Scalars follow the core schema of
  YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema);
* a key written twice is an error, not the last one;
* a file is hostile until read: size, depth and the number of values after aliases are
  expanded are bounded (the "billion laughs"), and no tag makes an object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from jobs.errors import Finding, WorkloadError, shown

MAX_BYTES = 4 << 20
MAX_DEPTH = 40
MAX_VALUES = 400_000

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A YAML mapping and where its parts stand.

    Attributes:
        path: The file.
        values: The mapping: str, int, float, bool, None, list, dict.
        lines: 1-based line of each value, by its location; of a mapping's member,
            the line of its key.
    """

    path: Path
    values: dict[str, Any]
    lines: dict[Location, int] = field(default_factory=dict)

    def finding(self, location: Location, message: str) -> Finding:
        """A finding at a location, or at the nearest one around it that the file has."""
        line = None
        for end in range(len(location), -1, -1):
            line = self.lines.get(location[:end])
            if line is not None:
                break
        return Finding(message=message, where=shown(self.path), line=line, path=written(location))


def written(location: Location) -> str:
    """`tasks.sweep.x[2]` for `("tasks", "sweep", "x", 2)`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(path: Path) -> Document:
    """Reads a file.

    Raises:
        WorkloadError: It cannot be read, is no YAML, is no mapping, repeats a key, or
            is larger than any sane file.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WorkloadError(
            [Finding(where=shown(path), message=f"cannot be read: {reason}")]
        ) from error
    if len(data) > MAX_BYTES:
        raise _refused(path, None, f"is larger than {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused(path, line, "is not UTF-8 text") from error
    return parse_document(text, path)


def parse_document(text: str, path: Path) -> Document:
    """Parses the text of a file; `path` is for messages.

    Raises:
        WorkloadError: As `read_document`.
    """
    try:
        _check_depth(text, path)
        node = yaml.compose(text, Loader=_CoreLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise _refused(path, mark.line + 1 if mark else None, f"is not YAML: {what}") from error
    except yaml.YAMLError as error:
        raise _refused(path, None, f"is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(node, yaml.MappingNode):
        raise _refused(path, 1, "is not a mapping of keys to values (`name: …`)")
    return _Reader(path).document(node)


class _CoreLoader(yaml.CSafeLoader):
    """Resolves plain scalars by the core schema of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own mutable class attribute, replaced and not shared


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$",
        list("-+.0123456789"),
    ),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def _check_depth(text: str, path: Path) -> None:
    """Refuses deep nesting before anything recursive sees it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark = event.start_mark
                raise _refused(
                    path,
                    mark.line + 1 if mark else None,
                    f"is nested deeper than {MAX_DEPTH} levels",
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Reader:
    """Turns nodes into values, counting them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[Location, int] = {}
        self._findings: list[Finding] = []
        self._seen = 0

    def document(self, node: yaml.MappingNode) -> Document:
        self._lines[()] = node.start_mark.line + 1
        values = self._mapping(node, ())
        if self._findings:
            raise WorkloadError(self._findings)
        return Document(path=self._path, values=values, lines=self._lines)

    def _value(self, node: yaml.Node, location: Location) -> Any:
        self._seen += 1
        line = node.start_mark.line + 1
        if self._seen > MAX_VALUES or len(location) > MAX_DEPTH:
            raise _refused(
                self._path, line, f"has more than {MAX_VALUES} values once aliases are expanded"
            )
        self._lines.setdefault(location, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*location, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, location)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._find(line, location, "a key must be text")
                continue
            key = key_node.value
            here = (*location, key)
            if key in values:
                self._find(line, here, f"is given twice (first on line {self._lines[here]})")
                continue
            self._lines[here] = line
            values[key] = self._value(value_node, here)
        return values

    def _scalar(self, node: yaml.Node, location: Location) -> Any:
        text: str = node.value
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str":
                return text
            case "int":
                return int(text, 0) if text[:2] in {"0x", "0o"} else _decimal(text)
            case "float":
                return float(text)
            case "bool":
                return text.lower() == "true"
            case "null":
                return None
            case tag:
                self._find(
                    node.start_mark.line + 1, location, f"the tag {tag!r} means nothing here"
                )
                return None

    def _find(self, line: int, location: Location, message: str) -> None:
        self._findings.append(
            Finding(message=message, where=shown(self._path), line=line, path=written(location))
        )


def _decimal(text: str) -> int | str:
    """The number; an absurdly long one stays text, which no numeric member takes."""
    return int(text) if len(text) <= 40 else text  # noqa: PLR2004 - beyond any 128-bit number


def _refused(path: Path, line: int | None, what: str) -> WorkloadError:
    return WorkloadError([Finding(where=shown(path), line=line, message=what)])
