"""What was there before a recording began, made from what the recording shows of it.

A test that reads a pool which it did not create shows how that pool was: its recorded
answer is sent as the body of a creation, less what the service does not take there.
So a single recorded read still says whether the emulator writes such an object alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from emulator.replay.recording import Exchange, Sequence
from emulator.replay.stage import ACCOUNT, Answer, Stage

_READ_ONLY = {"id", "url", "eTag", "lastModified", "creationTime", "state", "executionInfo"}
_CREATED = 201
_REFUSED = 300
_NOT_FOUND = 404
_TRIES = 40
_BOOT_S = 3600.0
_SANITISED = re.compile(r"redacted|sanitized|^fakevalue$", re.IGNORECASE)
_KINDS = ("pools", "jobschedules", "jobs", "tasks")
_UNKNOWN = re.compile(r"'(\w+)'")
_VM = {
    "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}
_LEAST: Mapping[str, Mapping[str, Any]] = {
    "pools": {"vmSize": "standard_d1_v2", "virtualMachineConfiguration": _VM},
    "jobs": {"poolInfo": {"poolId": "replay-pool"}},
    "tasks": {"commandLine": "cmd /c echo hello"},
    "jobschedules": {
        "schedule": {"recurrenceInterval": "P1D"},
        "jobSpecification": {"poolInfo": {"poolId": "replay-pool"}},
    },
}
"""The smallest body of each, for what a recording names and never shows."""

Target = tuple[str, str]
"""Kind and path of the entity, such as `("tasks", "/jobs/j/tasks/t")`."""


def entity_of(path: str) -> Iterator[Target]:
    """The entities that a path leads through, the outermost first."""
    steps = urlsplit(path).path.strip("/").split("/")
    at = ""
    for kind, name in zip(steps[::2], steps[1::2], strict=False):
        if kind not in _KINDS or not name:
            return
        at = f"{at}/{kind}/{name}"
        yield kind, at


def wanted(sequence: Sequence) -> dict[Target, Mapping[str, Any]]:
    """The entities that a test takes for granted, each as the test shows it first."""
    made: set[str] = set()
    found: dict[Target, Mapping[str, Any]] = {}
    for exchange in sequence:
        if exchange.status == _NOT_FOUND:
            made |= {path.lower() for _, path in entity_of(exchange.path)}
        for target in entity_of(exchange.path):
            if target[1].lower() not in made:
                found.setdefault(target, {})
        created = _created(exchange)
        if created and exchange.status < _REFUSED:
            made.add(created[0][1].lower())
        elif created and str((exchange.response_body or {}).get("code", "")).endswith("Exists"):
            found.setdefault(*created)
        for target, shown in _shown(exchange):
            if target[1].lower() not in made and not found.get(target):
                found[target] = shown
    _complete(found, made, sequence)
    return found


def _complete(found: dict[Target, Mapping[str, Any]], made: set[str], sequence: Sequence) -> None:
    """Adds what follows from what was found, and takes out what never was there."""
    for target, shown in (each for one in sequence for each in _pool_of_nodes(one)):
        if target in found and not found[target]:
            found[target] = shown
    for target in _never_there(sequence):
        found.pop(target, None)
    for path in [path.rpartition("/tasks/")[0] for kind, path in found if kind == "tasks"]:
        if path.lower() not in made:
            found.setdefault(("jobs", path), {})


def _created(exchange: Exchange) -> tuple[Target, Mapping[str, Any]] | None:
    """What a request is to create, and as what."""
    path = urlsplit(exchange.path).path.rstrip("/")
    kind, body = path.rpartition("/")[2], exchange.request_body
    if exchange.method != "POST" or kind not in _KINDS or not isinstance(body, dict):
        return None
    return ((kind, f"{path}/{body['id']}"), body) if "id" in body else None


def _never_there(sequence: Sequence) -> Iterator[Target]:
    """What a test asks for and is told, before it made anything, that there is none."""
    for at, exchange in enumerate(sequence):
        if exchange.status != _NOT_FOUND:
            continue
        before = sequence[:at]
        for target in entity_of(exchange.path):
            if not any(
                e.status == _CREATED or (e.status < _REFUSED and target in entity_of(e.path))
                for e in before
            ):
                yield target


def _shown(exchange: Exchange) -> Iterator[tuple[Target, Mapping[str, Any]]]:
    body = exchange.response_body
    if exchange.method != "GET" or not isinstance(body, dict) or "$select" in exchange.path:
        return
    path = urlsplit(exchange.path).path.rstrip("/")
    steps = path.strip("/").split("/")
    if steps[-1] in _KINDS and isinstance(body.get("value"), list):
        if steps[0] == "jobschedules" and len(steps) > 1:
            return
        for element in body["value"]:
            if isinstance(element, dict) and "id" in element and ":job-" not in element["id"]:
                yield (steps[-1], f"{path}/{element['id']}"), element
    elif len(steps) % 2 == 0 and steps[-2] in _KINDS and "id" in body:
        yield (steps[-2], path), body


def _pool_of_nodes(exchange: Exchange) -> Iterator[tuple[Target, Mapping[str, Any]]]:
    """What nodes show of their pool, for a test that never reads the pool itself."""
    steps = urlsplit(exchange.path).path.strip("/").split("/")
    body = exchange.response_body
    if steps[0] != "pools" or steps[2:3] != ["nodes"] or not isinstance(body, dict):
        return
    nodes = body.get("value", [body])
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, dict) and "vmSize" in node:
            shown = {"vmSize": node["vmSize"]}
            image = dict(node.get("virtualMachineInfo", {}).get("imageReference", {}))
            image.pop("exactVersion", None)
            if image:
                shown["virtualMachineConfiguration"] = {**_VM, "imageReference": image}
            if "startTask" in node:
                shown["startTask"] = node["startTask"]
            yield ("pools", f"/pools/{steps[1]}"), shown
            return


def nodes_of(sequence: Sequence, pool: str) -> tuple[int, int]:
    """How many dedicated and spot nodes of a pool a test shows or names at the most."""
    named: set[str] = set()
    listed = 0
    for exchange in sequence:
        path = urlsplit(exchange.path).path
        if not path.lower().startswith(f"{pool.lower()}/nodes"):
            continue
        steps = path.strip("/").split("/")
        if len(steps) > 3:  # noqa: PLR2004 - /pools/P/nodes/N
            named.add(steps[3])
        elif isinstance(exchange.response_body, dict):
            listed = max(listed, len(exchange.response_body.get("value", ())))
    spot = sum(name.endswith("_p") for name in named)
    return max(listed, len(named)) - spot, spot


async def provide(stage: Stage, sequence: Sequence) -> set[str]:
    """Makes what a test takes for granted; answers the paths of what could not be made."""
    targets = wanted(sequence)
    failed: set[str] = set()
    for kind in _KINDS:
        for (what, path), shown in targets.items():
            if what == kind:
                job = path.rpartition("/tasks/")[0].rpartition("/")[2].lower()
                if what == "tasks" and job not in stage.server.host(ACCOUNT).world.jobs:
                    continue  # the recording makes the job itself, and the task unseen
                answer = await _make(stage, what, path, shown)
                if answer.status >= _REFUSED:
                    failed.add(path.lower())
        if kind == "pools":
            await _grow(stage, sequence, targets)
    await _a_node_for_tasks(stage, sequence)
    return failed


async def _grow(stage: Stage, sequence: Sequence, targets: Mapping[Target, Any]) -> None:
    grown = False
    for kind, path in targets:
        if kind == "pools":
            dedicated, spot = nodes_of(sequence, path)
            if dedicated or spot:
                await stage.advance(_BOOT_S)
                await stage.send(
                    "POST",
                    f"{path}/resize",
                    {"targetDedicatedNodes": dedicated, "targetLowPriorityNodes": spot},
                )
                grown = True
    for exchange in sequence:
        if isinstance(exchange.response_body, dict) and "odata.nextLink" in exchange.response_body:
            steps = urlsplit(exchange.path).path.strip("/").split("/")
            if steps[-1] == "pools":
                await stage.send("POST", "/pools", {**_LEAST["pools"], "id": "zz-one-more"})
    resizing = any(shown.get("allocationState") == "resizing" for shown in targets.values())
    if grown or (targets and not resizing):
        await stage.advance(_BOOT_S if grown else 60)


async def _a_node_for_tasks(stage: Stage, sequence: Sequence) -> None:
    """A node where tasks that a test shows as ended, or whose files it reads, can run."""
    if not any(("/jobs/" in e.path and "/files" in e.path) or _ran(e) for e in sequence):
        return
    pools = {job.pool_id for job in stage.server.host(ACCOUNT).world.jobs.values()}
    for exchange in sequence:
        if exchange.method == "POST" and urlsplit(exchange.path).path == "/jobs":
            pools.add(str(((exchange.request_body or {}).get("poolInfo") or {}).get("poolId", "")))
    for pool in sorted(pools - {""}):
        path = f"/pools/{pool}"
        await stage.send("POST", "/pools", {**_LEAST["pools"], "id": pool})
        await stage.advance(60)
        await stage.send("POST", f"{path}/resize", {"targetDedicatedNodes": 1})
    await stage.advance(_BOOT_S)


def _ran(exchange: Exchange) -> bool:
    body = exchange.response_body
    read = "/tasks/" in exchange.path and isinstance(body, dict)
    return read and "startTime" in (body.get("executionInfo") or {})


async def _make(stage: Stage, kind: str, path: str, shown: Mapping[str, Any]) -> Answer:
    """Creates an entity as a recording shows it, less what is not taken in a creation."""
    collection, _, name = path.rpartition("/")
    name = unquote(name)
    body = {n: unsanitised(v) for n, v in shown.items() if n not in _READ_ONLY and "." not in n}
    body = {**_LEAST[kind], **body, "id": name}
    if body.get("enableAutoScale"):
        for member in ("targetDedicatedNodes", "targetLowPriorityNodes", "resizeTimeout"):
            body.pop(member, None)
    answer = await stage.send("POST", collection, body)
    for _ in range(_TRIES):
        if answer.status < _REFUSED:
            return answer
        if not _mend(answer, body):
            break
        answer = await stage.send("POST", collection, body)
    return await stage.send("POST", collection, {**_LEAST[kind], "id": name})


def _mend(answer: Answer, body: dict[str, Any]) -> bool:
    """Takes out of a body what an answer complains about, or puts in what it misses."""
    told = answer.body or {}
    values = {v["key"]: v["value"] for v in told.get("values", ())}
    named = values.get("PropertyName") or values.get("Feature") or ""
    if told.get("code") == "MissingRequiredProperty" and named == "password":
        # The service tells nobody a password: what is read back never has one.
        accounts = body.get("userAccounts", ())
        body["userAccounts"] = [{"password": "Replayed-1", **account} for account in accounts]
        return True
    quoted = _UNKNOWN.search(values.get("Reason", ""))
    return any(_drop(body, name) for name in filter(None, (named, quoted[1] if quoted else "")))


def _drop(value: Any, name: str) -> bool:
    """Takes a member out, at the top or at the first place below."""
    if isinstance(value, dict):
        if name in value:
            del value[name]
            return True
        return any(_drop(inner, name) for inner in value.values())
    return isinstance(value, list) and any(_drop(inner, name) for inner in value)


def unsanitised(value: Any) -> Any:
    """A body in which what a recorder made unreadable is something of the right form."""
    if isinstance(value, dict):
        return {name: _fitting(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [unsanitised(element) for element in value]
    return value


def _fitting(name: str, value: Any) -> Any:
    if isinstance(value, str) and _SANITISED.search(value) and name.lower().endswith("url"):
        return "https://storage.emulator/container?sig=x"
    return unsanitised(value)
