"""What the real service answered, replayed: statuses, headers, members, order, formats.

`data/recorded.json` holds exchanges of public test recordings of the service's clients.
Ids are sent as they were; times, hosts and generated ids are compared by their form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.emulator.service.wire import Wire

RECORDED = json.loads((Path(__file__).parent / "data" / "recorded.json").read_text())
POOL = {
    "vmSize": "Standard_D1_v2",
    "virtualMachineConfiguration": {
        "imageReference": {"publisher": "p", "offer": "o", "sku": "s"},
        "nodeAgentSKUId": "batch.node.ubuntu 22.04",
    },
}
GIVEN: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "js task in a container": [
        ("/jobs", {"id": "jssdkJob-Basicfb54", "poolInfo": {"poolId": "x"}})
    ],
    "java task": [("/jobs", {"id": "BatchUser-canCRUDTestsync", "poolInfo": {"poolId": "x"}})],
}
"""What was there before a recording began."""

COMPARED_HEADERS = {
    "etag", "last-modified", "location", "dataserviceid", "dataserviceversion", "content-type",
    "x-content-type-options",
}  # fmt: skip
FORMS = {
    "instant": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z"),
    "etag": re.compile(r"0x8D[0-9A-F]{13}"),
    "guid": re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"),
    "lower guid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}
SANITISED = re.compile(r"REDACTED|redacted|<guid>")

OLDER = {"certificateReferences", "jobDefaultOrder"}
"""Members that api-versions before 2025-06-01 show, or do not: the emulator writes the newest."""

WAITS = {"python jobs": 0.03, "java job states": 0.0}
"""Seconds from a change until the recording client looked, where a state passes by."""


def form(value: Any) -> Any:
    if isinstance(value, str):
        if value.startswith(("http://", "https://")):
            return urlsplit(value).path + "#" + urlsplit(value).fragment
        for name, pattern in FORMS.items():
            if pattern.fullmatch(value):
                return name
        if "\nRequestId:" in value:
            return value.partition("\nRequestId:")[0]
    return value


def differences(recorded: Any, answered: Any, path: str = "") -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(answered, dict):
        if list(recorded) != list(answered):
            yield f"{path}: members {list(recorded)} but {list(answered)}"
        for name in recorded.keys() & answered.keys():
            yield from differences(recorded[name], answered[name], f"{path}.{name}")
    elif isinstance(recorded, list) and isinstance(answered, list):
        if len(recorded) != len(answered):
            yield f"{path}: {len(recorded)} elements but {len(answered)}"
        for number, (one, other) in enumerate(zip(recorded, answered, strict=False)):
            yield from differences(one, other, f"{path}[{number}]")
    elif form(recorded) != form(answered) and not SANITISED.search(str(recorded)):
        yield f"{path}: {recorded!r} but {answered!r}"


def without(value: Any, known: set[str]) -> Any:
    if isinstance(value, dict):
        return {n: without(v, known) for n, v in value.items() if n not in known}
    if isinstance(value, list):
        return [without(element, known) for element in value]
    return value


@pytest.mark.parametrize("sequence", RECORDED, ids=lambda sequence: sequence["name"])
async def test_the_emulator_answers_as_the_service_did(
    sequence: dict[str, Any], tmp_path: Path
) -> None:
    wire = await Wire.start(tmp_path)
    version = sequence["api_version"]
    older = OLDER if version < "2025" else set()
    found: list[str] = []
    for path, body in GIVEN.get(sequence["name"], []):
        assert (await wire.send("POST", path, body)).status_code == 201
    for number, step in enumerate(sequence["steps"]):
        body = json.loads(json.dumps(step["request_body"]).replace('"REDACTED"', '"http://x/y"'))
        reply = await wire.send(step["method"], step["path"], body, version=version)
        wire.clock.advance(30 if step["method"] == "GET" else WAITS.get(sequence["name"], 1.0))
        where = f"{number} {step['method']} {step['path']}"
        if reply.status_code != step["status"]:
            found.append(f"{where}: {step['status']} but {reply.status_code} {reply.text}")
            continue
        recorded = COMPARED_HEADERS & set(step["headers"])
        answered = COMPARED_HEADERS & {name.lower() for name in reply.headers}
        if recorded != answered:
            found.append(f"{where}: headers differ in {sorted(recorded ^ answered)}")
        content = reply.json() if reply.content else None
        compared = without(step["response_body"], older), without(content, older)
        found += [f"{where} {line}" for line in differences(*compared)]
    await wire.close()
    assert not found, "\n".join(found)
