"""Plays recorded tests, each to an emulator of its own, and tells in what it answered otherwise.

Ids are sent as they were; ids of nodes, ETags and page tokens, which the service makes,
are mapped to those that the emulator made in their place. Time stands still between two
requests. A read whose answer is not yet the recorded one is repeated while time goes on,
as the recording client waited, too.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from emulator.engine.refusal import Refused
from emulator.replay import compare, given, known
from emulator.replay.compare import Difference
from emulator.replay.recording import Exchange, Sequence
from emulator.replay.stage import ACCOUNT, Answer, Stage
from emulator.service import routes

Verdict = Literal["same", "named", "different", "not played"]

_TOKEN = re.compile(r"\$skiptoken=([^&]*)")
_CLAIMED = re.compile(r"GetProperties for the account (\w+)\.")
_WAITS_S = (0.02, 0.2, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0)
_BETWEEN_S = 0.01
_BETWEEN_CHANGES_S = 0.05
"""From a change until the next request: a read may still see a state pass by, a second
change finds done what the service does at once."""
_FORWARDED = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since",
              "ocp-range", "client-request-id", "return-client-request-id")  # fmt: skip
_NEED_A_BODY = frozenset({
    "create_pool", "create_job", "create_job_schedule", "create_task", "create_task_collection",
    "enable_pool_auto_scale", "evaluate_pool_auto_scale", "update_pool", "update_job",
    "replace_job", "replace_pool_properties", "resize_pool", "remove_nodes", "disable_job",
    "replace_task", "update_job_schedule", "replace_job_schedule", "create_node_user",
    "replace_node_user", "upload_node_logs",
})  # fmt: skip
_MOVING = re.compile(
    r"tate|[cC]ount|Nodes$|executionInfo|nodeInfo|recent|resizeErrors|value\[\]$|lastBoot|nodeAgent"
    r"|currentNode|totalTasks|previous|autoScaleRun|Info$"
)
"""Members that change as time goes on."""
_STATE = re.compile(r"(^|\.)(state|allocationState)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How one exchange went.

    Attributes:
        exchange: What was recorded.
        verdict: `same`; `named` where each difference has a known reason; `different`;
            `not played`.
        differences: Those without a known reason.
        reasons: Known reasons, of differences or of why it was not played.
    """

    exchange: Exchange
    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    reasons: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Names:
    """What the service made up, and what the emulator made up in its place."""

    nodes: dict[str, str] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def path(self, path: str, stage: Stage) -> str:
        """A path with the emulator's ids."""
        pool = next((at for kind, at in given.entity_of(path) if kind == "pools"), "")
        path = compare.NODE.sub(lambda match: self._node(match[0], pool, stage), path)
        return _TOKEN.sub(
            lambda match: f"$skiptoken={quote(self.tokens.get(match[1], match[1]), safe=':=$')}",
            path,
        )

    def body(self, body: Any, pool: str, stage: Stage) -> Any:
        """A body with the emulator's ids."""
        if isinstance(body, str):
            return compare.NODE.sub(lambda match: self._node(match[0], pool, stage), body)
        if isinstance(body, list):
            return [self.body(element, pool, stage) for element in body]
        if isinstance(body, dict):
            return {name: self.body(value, pool, stage) for name, value in body.items()}
        return body

    def _node(self, recorded: str, pool: str, stage: Stage) -> str:
        if recorded not in self.nodes:
            there = stage.server.host(ACCOUNT).world.pools.get(pool.rpartition("/")[2].lower())
            spot = recorded.endswith("_p")
            taken = set(self.nodes.values())
            free = [
                node.id
                for node in (there.nodes.values() if there else ())
                if node.dedicated is not spot and node.id not in taken
            ]
            if not free:
                return recorded
            self.nodes[recorded] = free[0]
        return self.nodes[recorded]

    def learn(self, exchange: Exchange, answer: Answer) -> None:
        """Notes what stands for what."""
        theirs = {n.lower(): v for n, v in exchange.response_headers.items()}.get("etag")
        if theirs and "etag" in answer.headers:
            self.etags[theirs] = answer.headers["etag"]
        recorded, answered = exchange.response_body, answer.body
        if isinstance(recorded, dict) and isinstance(answered, dict):
            links = [b.get("odata.nextLink", "") for b in (recorded, answered)]
            found = [_TOKEN.search(str(link)) for link in links]
            if found[0] and found[1]:
                self.tokens[found[0][1]] = found[1][1]


async def play(sequence: Sequence) -> list[Played]:
    """Plays one test to an emulator of its own."""
    with tempfile.TemporaryDirectory(prefix="replay-") as directory:
        async with Stage.open(Path(directory)) as stage:
            failed = await given.provide(stage, sequence)
            seeded = {path.lower() for _, path in given.wanted(sequence)}
            play = _Play(stage, seeded, lost=failed)
            return [await play.one(exchange) for exchange in sequence]


class _Play:
    """One test under way.

    Args:
        stage: The emulator.
        seeded: Paths of what was there before the recording began, in lower case.
        lost: Those of them that could not be made.
    """

    def __init__(self, stage: Stage, seeded: set[str], *, lost: set[str]) -> None:
        self._stage = stage
        self._seeded = seeded
        self._names = _Names()
        self._changed = False
        self._lost = lost
        self._blurred: set[str] = set()

    async def one(self, exchange: Exchange) -> Played:
        """Plays an exchange; what could not be done is remembered, for those that build on it."""
        target = _target(exchange)
        reason = _not_playable(exchange)
        if not reason and _within(target, self._lost):
            reason = known.FOLLOWS
        if reason:
            self._note(exchange)
            return Played(exchange=exchange, verdict="not played", reasons=frozenset({reason}))
        played = await self._play(exchange, target)
        if known.CANNOT & played.reasons or played.verdict == "different":
            self._note(exchange)
        return played

    def _note(self, exchange: Exchange) -> None:
        """Remembers what an exchange would have made or changed."""
        if exchange.method in {"GET", "HEAD"} or exchange.status >= 300:  # noqa: PLR2004
            return
        target = _target(exchange)
        body = exchange.request_body
        if exchange.status == 201:  # noqa: PLR2004 - created
            if isinstance(body, dict) and "id" in body:
                self._lost.add(f"{target}/{body['id']}".lower())
        else:
            self._blurred.update(path.lower() for _, path in given.entity_of(exchange.path))

    async def _play(self, exchange: Exchange, target: str) -> Played:
        context = known.Context(
            exchange=exchange,
            operation=routes.find(exchange.method, urlsplit(exchange.path).path)[0].name,
            given=_within(target, self._seeded)
            or (
                exchange.method == "GET" and any(p.startswith(f"{target}/") for p in self._seeded)
            ),
            blurred=_within(target, self._blurred),
        )
        waits = iter(_WAITS_S)
        if "/files/" in exchange.path and exchange.status < 300:  # noqa: PLR2004 - it was there
            self._stage.write_file(
                self._names.path(exchange.path, self._stage), exchange.response_body
            )
        if exchange.method in {"GET", "HEAD"}:
            self._changed = False
        elif self._changed:
            await self._stage.advance(_BETWEEN_CHANGES_S)
        while True:
            answer = await self._send(exchange)
            reasons, left, waiting = _judge(context, answer)
            wait_s = next(waits, None) if waiting else None
            if wait_s is None:
                break
            await self._stage.advance(wait_s)
        self._names.learn(exchange, answer)
        if exchange.method not in {"GET", "HEAD"}:
            self._changed = True
            await self._stage.advance(_BETWEEN_S)
        verdict: Verdict = "different" if left else "named" if reasons else "same"
        return Played(
            exchange=exchange,
            verdict=verdict,
            differences=tuple(left),
            reasons=frozenset(reasons),
        )

    async def _send(self, exchange: Exchange) -> Answer:
        sent = {n.lower(): v for n, v in exchange.request_headers.items()}
        headers = {name: sent[name] for name in _FORWARDED if name in sent}
        for name in ("if-match", "if-none-match"):
            if name in headers:
                headers[name] = self._names.etags.get(headers[name], headers[name])
        claimed = _CLAIMED.search(repr(exchange.response_body))
        pool = next((at for kind, at in given.entity_of(exchange.path) if kind == "pools"), "")
        recorded = given.unsanitised(exchange.request_body)
        return await self._stage.send(
            exchange.method,
            self._names.path(exchange.path, self._stage),
            self._names.body(recorded, pool, self._stage),
            version=exchange.api_version,
            headers=headers,
            account=claimed[1] if claimed else ACCOUNT,
        )


def _target(exchange: Exchange) -> str:
    return urlsplit(exchange.path).path.rstrip("/").lower()


def _within(target: str, paths: set[str]) -> bool:
    return any(target == path or target.startswith(f"{path}/") for path in paths)


def _not_playable(exchange: Exchange) -> str:
    if exchange.truncated:
        return known.CUT
    try:
        route, _ = routes.find(exchange.method, urlsplit(exchange.path).path)
    except Refused:
        return known.RETIRED
    of_clouds = "cloudServiceConfiguration" in repr(
        (exchange.request_body, exchange.response_body)
    )
    if of_clouds or route in routes.RETIRED:
        return known.RETIRED
    if route.handler is None:
        return f"{known.ABSENT}: {route.name}"
    troubled = exchange.status >= 500  # noqa: PLR2004 - the service's own trouble
    bodiless = exchange.request_body is None and route.name in _NEED_A_BODY
    return known.OUTAGE if troubled else known.NO_BODY if bodiless else ""


def _judge(context: known.Context, answer: Answer) -> tuple[set[str], list[Difference], bool]:
    """Reasons of known differences, the others, and whether time may mend any."""
    exchange = context.exchange
    found: list[Difference] = []
    if exchange.status != answer.status:
        found.append(
            Difference(
                kind="status",
                where="status",
                recorded=exchange.status,
                answered=f"{answer.status} {_told(answer)}".strip(),
            )
        )
    else:
        found += compare.headers(exchange.response_headers, answer.headers)
        if exchange.response_body is not None or "json" in answer.headers.get("content-type", ""):
            found += compare.bodies(exchange.response_body, answer.body)
    reasons: set[str] = set()
    left: list[Difference] = []
    for difference in found:
        reason = known.reason(context, difference)
        if reason:
            reasons.add(reason)
        else:
            left.append(difference)
    # What was refused changed nothing: it is asked again, as by a client that came later.
    reads = exchange.method in {"GET", "HEAD"}
    waiting = any(d.kind == "status" and answer.status >= 400 for d in left) or (  # noqa: PLR2004
        reads
        and (
            any(_MOVING.search(d.where) or d.kind == "status" for d in left)
            or any(_STATE.search(d.where) for d in found)
        )
    )
    return reasons, left, waiting


def _told(answer: Answer) -> str:
    body = answer.body
    if not isinstance(body, Mapping):
        return ""
    values = {v.get("key"): v.get("value") for v in body.get("values", ())}
    return f"{body.get('code', '')} {values}"


def summary(played: list[Played]) -> Counter[str]:
    """How many exchanges went how."""
    return Counter(one.verdict for one in played)
