"""One request and its answer, between the ASGI application and the handlers.

A handler takes a `Call` and gives a `Reply`; neither knows of ASGI. What a handler asks
of the account's driver is the `Host`. One that touches files gives `Work` instead: all
else would wait for the disk, and for what a task may have made of its directory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, Concatenate, ParamSpec, Protocol, TypeVar
from urllib.parse import quote

import orjson

from emulator.applications.catalogue import Catalogue
from emulator.clock import TICKS_PER_SECOND, from_datetime
from emulator.engine.core import Core
from emulator.engine.refusal import Refused
from emulator.engine.world import Job, Node, Pool, Schedule, Task, World
from emulator.service import odata, versions
from emulator.service.schema import Check, malformed
from emulator.service.values import etag

P = ParamSpec("P")
R = TypeVar("R")


class Host(Protocol):
    """The driver of one account, as handlers see it."""

    name: str

    @property
    def world(self) -> World:
        """What there is; to be read only."""
        ...

    def run(
        self, command: Callable[Concatenate[Core, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Executes a command of the engine now."""
        ...

    @property
    def applications(self) -> Catalogue:
        """The account's applications."""
        ...

    def task_directory(self, task: Task) -> Path:
        """Of a task on its node."""
        ...

    def node_directory(self, node: Node) -> Path:
        """The node's root."""
        ...

    def upload_logs(
        self,
        node: Node,
        container_url: str,
        identity: Mapping[str, Any] | None,
        prefix: str,
        span: tuple[int, int | None],
    ) -> int:
        """Begins to upload what a node logged in a span of time; how many files those are."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBody:
    """So many bytes of an open file, from where it stands; whoever sends them closes it."""

    stream: BinaryIO
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered.

    Attributes:
        status: HTTP status.
        body: Members of the JSON answer; None for none.
        context: What `odata.metadata` says of the body, after the `#`.
        modified: When the entity was modified: ETag and Last-Modified.
        service_id: Whether DataServiceId tells the request's URL, or another one.
        location: URL of what was created.
        headers: Further ones.
        file: Sent instead of a JSON body.
    """

    status: int = 200
    body: Mapping[str, Any] | None = None
    context: str = ""
    modified: int | None = None
    service_id: bool | str = False
    location: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    file: FileBody | None = None

    def close(self) -> None:
        """Closes what an answer that is not sent holds."""
        if self.file is not None:
            self.file.stream.close()


def changed(entity: Pool | Job | Task | Schedule, status: int = 200) -> Reply:
    """The answer to what changed an entity."""
    return Reply(status=status, modified=entity.modified, service_id=True)


Work = Callable[[], Reply]
"""The rest of a handler, done in a thread: it looks at files and not at the world."""


@dataclass(slots=True, kw_only=True)
class Call:
    """A request that is authenticated and routed.

    Attributes:
        host: Of the account that asks.
        method: Upper case.
        base: Scheme and authority by which the client reached the service.
        raw_path: Of the URL, still percent-encoded.
        path: What the route's placeholders stand for, decoded.
        pairs: Query names and values, decoded, in the request's order.
        headers: Lower-case names.
        request_id: Which the answer tells.
        content: The body.
        fails_item: A fault: whether the next task of a collection is to fail.
    """

    host: Host
    method: str
    base: str
    raw_path: str
    path: Mapping[str, str]
    pairs: list[tuple[str, str]]
    headers: Mapping[str, str]
    request_id: str
    content: bytes = b""
    fails_item: Callable[[], bool] | None = None
    query: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.query = {name.lower(): value for name, value in self.pairs}

    def body(self, check: Check) -> Any:
        """The JSON body, checked and normalised; an absent one counts as an empty object.

        Raises:
            Refused: It is not JSON, or the check refuses it.
        """
        try:
            value = orjson.loads(self.content) if self.content else {}
        except orjson.JSONDecodeError as error:
            raise malformed(f"The body is not valid JSON: {error}") from None
        return check(value, "")

    def check_conditions(self, modified: int) -> Reply | None:
        """Holds the conditional headers against what they are about.

        Returns:
            304 for a read whose caller has the present version; None to go on.

        Raises:
            Refused: `ConditionNotMet`, `InvalidHeaderValue`.
        """
        tag, reads = etag(modified), self.method in {"GET", "HEAD"}
        if not _matches(self.headers.get("if-match"), tag, absent=True):
            raise Refused("ConditionNotMet")
        if _matches(self.headers.get("if-none-match"), tag, absent=False):
            return _unchanged(reads)
        whole = modified // TICKS_PER_SECOND
        unmodified_since = self._date("if-unmodified-since")
        if unmodified_since is not None and whole > unmodified_since:
            raise Refused("ConditionNotMet")
        modified_since = self._date("if-modified-since")
        if modified_since is not None and whole <= modified_since:
            return _unchanged(reads)
        return None

    def _date(self, header: str) -> int | None:
        text = self.headers.get(header)
        if text is None:
            return None
        try:
            return from_datetime(parsedate_to_datetime(text)) // TICKS_PER_SECOND
        except (TypeError, ValueError):
            raise Refused(
                "InvalidHeaderValue", {"HeaderName": header, "HeaderValue": text[:64]}
            ) from None

    @property
    def version(self) -> str:
        """The api-version asked for."""
        return self.query.get("api-version", versions.NEWEST)

    def flag(self, name: str) -> bool:
        """Whether a query parameter says `true`."""
        return self.query.get(name, "").lower() == "true"

    # Answers

    def entity(
        self,
        context: str,
        members: tuple[str, ...],
        render: Callable[[frozenset[str] | None], dict[str, Any]],
        modified: int | None = None,
    ) -> Reply:
        """One entity, with `$select`."""
        if modified is not None and (unchanged := self.check_conditions(modified)):
            return unchanged
        dialect = versions.dialect(context, self.version)
        names = self._select((*members, *dialect.names) if dialect else members)
        body = render(names)
        if dialect is not None:
            body = dialect.write(body, names)
        return Reply(body=body, context=f"{context}/@Element", modified=modified)

    def listing(
        self,
        context: str,
        members: tuple[str, ...],
        keys: Callable[[str], Iterator[str]],
        render: Callable[[str, frozenset[str] | None], dict[str, Any]],
        choose: Callable[[odata.Filter], Callable[[str], Iterator[str]]] | None = None,
    ) -> Reply:
        """A page of a list, with `$filter`, `$select` and `maxresults`.

        Args:
            context: Of `odata.metadata`.
            members: Of an element.
            keys: Keys of the elements after a key, in order.
            render: An element by its key, limited to some members.
            choose: What gives fewer keys than `keys` for a filter, from an index.
        """
        dialect = versions.dialect(context, self.version)
        names = self._select((*members, *dialect.names) if dialect else members)
        known = frozenset(members)
        most = odata.parse_max_results(self.query.get("maxresults"))
        after = odata.parse_skip_token(self.query.get("$skiptoken"))
        chosen = keys(after)
        source = self.query.get("$filter", "").strip()
        found = odata.parse_filter(source, known) if source else None
        if found is not None and choose is not None:
            chosen = choose(found)(after)
        page: list[dict[str, Any]] = []
        last = ""
        for key in chosen:
            if found is not None and not found.test(render(key, found.names)):
                continue
            if len(page) == most:
                return Reply(body={"value": page, **self._next(last)}, context=context)
            element = render(key, names)
            page.append(dialect.write(element, names) if dialect else element)
            last = key
        return Reply(body={"value": page}, context=context)

    def _next(self, last: str) -> dict[str, str]:
        pairs = [(name, value) for name, value in self.pairs if name.lower() != "$skiptoken"]
        query = "&".join(f"{quote(n, safe='$-')}={quote(v, safe='')}" for n, v in pairs)
        token = quote(odata.skip_token(last), safe="/:=$")
        return {"odata.nextLink": f"{self.base}{self.raw_path}?{query}&$skiptoken={token}"}

    def _select(self, members: tuple[str, ...]) -> frozenset[str] | None:
        source = self.query.get("$select", "").strip()
        return odata.parse_select(source, frozenset(members)) if source else None


def sorted_keys(found: Mapping[str, Any]) -> Callable[[str], Iterator[str]]:
    """Pages through a dictionary by its keys (see `Call.listing`); for what is never many."""
    return lambda after: iter(sorted(key for key in found if key > after))


def _matches(header: str | None, tag: str, *, absent: bool) -> bool:
    if header is None:
        return absent
    tags = {part.strip().removeprefix("W/").strip('"') for part in header.split(",")}
    return "*" in tags or tag in tags


def _unchanged(reads: bool) -> Reply:
    if reads:
        return Reply(status=304)
    raise Refused("ConditionNotMet")
