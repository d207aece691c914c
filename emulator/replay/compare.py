"""What tells two answers apart: status, headers, members, their order, forms and values.

Instants, ETags, generated ids and hosts are compared by their form; everything else by
its value. A path such as `value[].executionInfo.startTime` names where.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

Kind = Literal["status", "header", "missing", "added", "order", "length", "value"]

HEADERS = (
    "etag", "last-modified", "location", "dataserviceid", "dataserviceversion", "content-type",
    "x-content-type-options", "ocp-batch-file-isdirectory", "ocp-batch-file-url",
    "ocp-batch-file-mode", "ocp-creation-time", "retry-after",
)  # fmt: skip
"""Headers whose presence is compared; of `dataserviceid` also the path."""

_FORMS = {
    "an instant": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z"),
    "an ETag": re.compile(r"0x8D[0-9A-F]{13}"),
    "a GUID": re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"),
    "a guid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "an address": re.compile(r"\d{1,3}(\.\d{1,3}){3}"),
}
NODE = re.compile(r"tvm(?:ps_[0-9a-f]{16,}_[dp]|-\d+_[\w-]+)")
"""An id of a node, of both forms that the service has had."""
_SANITISED = re.compile(
    r"redacted|sanitized|<guid>|^fakevalue$|^https?://(sanitized|example\.com|fake)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing in which an answer differs from the recorded one."""

    kind: Kind
    where: str
    recorded: Any = None
    answered: Any = None

    def __str__(self) -> str:
        match self.kind:
            case "missing":
                return f"{self.where}: recorded {_short(self.recorded)}, not answered"
            case "added":
                return f"{self.where}: answered {_short(self.answered)}, not recorded"
        return (
            f"{self.where}: {self.kind} recorded {_short(self.recorded)},"
            f" answered {_short(self.answered)}"
        )


def _short(value: Any, most: int = 160) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"


def form(value: Any) -> Any:
    """A value, with what differs from run to run replaced by what it is."""
    if not isinstance(value, str):
        return value
    text = value.partition("\nRequestId:")[0]
    if text.startswith(("http://", "https://")):
        parts = urlsplit(text)
        return NODE.sub("NODE", unquote(parts.path + "#" + parts.fragment))
    for name, pattern in _FORMS.items():
        if pattern.fullmatch(text):
            return name
    return NODE.sub("NODE", text)


def bodies(recorded: Any, answered: Any, where: str = "") -> Iterator[Difference]:
    """In what two bodies differ."""
    if isinstance(recorded, Mapping) and isinstance(answered, Mapping):
        yield from _objects(recorded, answered, where)
    elif isinstance(recorded, list) and isinstance(answered, list):
        if len(recorded) != len(answered):
            yield Difference(
                kind="length", where=f"{where}[]", recorded=len(recorded), answered=len(answered)
            )
        for one, other in zip(recorded, answered, strict=False):
            yield from bodies(one, other, f"{where}[]")
    elif form(recorded) != form(answered) and not _SANITISED.search(str(recorded)):
        yield Difference(
            kind="value", where=where or "(body)", recorded=recorded, answered=answered
        )


def _objects(
    recorded: Mapping[str, Any], answered: Mapping[str, Any], where: str
) -> Iterator[Difference]:
    for name in recorded:
        path = f"{where}.{name}".lstrip(".")
        if name in answered:
            yield from bodies(recorded[name], answered[name], path)
        else:
            yield Difference(kind="missing", where=path, recorded=recorded[name])
    for name in answered:
        if name not in recorded:
            path = f"{where}.{name}".lstrip(".")
            yield Difference(kind="added", where=path, answered=answered[name])
    ours = [name for name in answered if name in recorded]
    theirs = [name for name in recorded if name in answered]
    if ours != theirs:
        yield Difference(kind="order", where=where or "(body)", recorded=theirs, answered=ours)


def headers(recorded: Mapping[str, str], answered: Mapping[str, str]) -> Iterator[Difference]:
    """In which headers two answers differ; recordings leave headers out, so few are held."""
    known = {name.lower(): value for name, value in recorded.items()}
    if not known:
        return
    for name in HEADERS:
        if (name in known) != (name in answered):
            yield Difference(
                kind="header", where=name, recorded=known.get(name), answered=answered.get(name)
            )
    told = known.get("dataserviceid")
    ours = answered.get("dataserviceid")
    if told and ours and form(told) != form(ours) and not _SANITISED.search(told):
        yield Difference(kind="header", where="dataserviceid", recorded=told, answered=ours)
