"""A file of exchanges with the Batch service: one JSON object a line.

Members: `source`, `test` (what was recorded), `n` (its place in the test), `api_version`,
`method`, `path` (with its query, without host and api-version), `request_headers`,
`request_body`, `status`, `response_headers`, `response_body`; perhaps `recorded` or `date`,
and `truncated` where a list was cut. Others are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulator.errors import EmulatorError

_MOST_FINDINGS = 20


class RecordingError(EmulatorError):
    """A file is not a recording."""


class Exchange(BaseModel):
    """One request to the service, and its answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str = ""
    test: str
    n: int | None = None
    api_version: str
    method: str
    path: str = Field(pattern="^/")
    request_headers: Mapping[str, str] = Field(default_factory=dict)
    request_body: Any = None
    status: int
    response_headers: Mapping[str, str] = Field(default_factory=dict)
    response_body: Any = None
    truncated: Any = None

    @property
    def sequence(self) -> tuple[str, str, str]:
        """What tells the tests of a file apart."""
        return self.source, self.test, self.api_version


Sequence = tuple[Exchange, ...]


def read(path: Path) -> list[Sequence]:
    """The tests of a file, each with its exchanges in order.

    Raises:
        RecordingError: The file cannot be read, or has lines that are no exchange; all of
            them are told.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error
    found: list[Exchange] = []
    findings: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(Exchange.model_validate_json(line))
        except ValidationError as error:
            findings += [
                f"{path}:{number}: {'.'.join(map(str, e['loc'])) or 'line'}: {e['msg']}"
                for e in error.errors()
            ]
    if findings:
        left = len(findings) - _MOST_FINDINGS
        more = [f"… and {left} more"] if left > 0 else []
        raise RecordingError("\n".join([*findings[:_MOST_FINDINGS], *more]))
    if not found:
        raise RecordingError(f"{path} holds no exchange: give a file with one a line")
    return sequences(found)


def sequences(exchanges: Iterable[Exchange]) -> list[Sequence]:
    """Exchanges by the test that they are of, in the order of the first of each."""
    order: dict[tuple[str, str, str], int] = {}
    every = list(exchanges)
    for exchange in every:
        order.setdefault(exchange.sequence, len(order))
    every.sort(key=lambda exchange: (order[exchange.sequence], exchange.n or 0))
    return [tuple(group) for _, group in groupby(every, key=lambda exchange: exchange.sequence)]
