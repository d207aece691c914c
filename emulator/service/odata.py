"""`$filter`, `$select` and paging, as much of OData as the service has.

filter     := or
or         := and { "or" and }
and        := unary { "and" unary }
unary      := "not" unary | primary
primary    := "(" or ")" | "startswith" "(" path "," string ")" | path operator literal
operator   := "eq" | "ne" | "gt" | "ge" | "lt" | "le"
literal    := string | number | "true" | "false" | "null" | datetime'...' | duration'...'
path       := name { "/" name }
string     := "'" { character | "''" } "'"
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from emulator.engine.refusal import Refused
from emulator.service.errors import query_refused
from emulator.service.values import instant, parse_instant
from emulator.spans import parse_span, span

MAX_RESULTS = 1000
MAX_FILTER = 8192
MAX_NESTING = 50
MAX_DIGITS = 64
"""Of a number: more than any property has."""

Entity = Mapping[str, Any]
Test = Callable[[Entity], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<typed>(?:datetime|duration)'[^']*')|(?P<string>'(?:[^']|'')*')"
    r"|(?P<number>-?\d+(?:\.\d+)?)(?![\w])|(?P<word>[A-Za-z_][\w/]*)|(?P<mark>[(),]))",
    re.IGNORECASE,
)
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": eq, "ne": ne, "gt": gt, "ge": ge, "lt": lt, "le": le,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A parsed filter.

    Attributes:
        test: Whether an entity, as rendered, passes.
        names: Top-level members that it looks at.
        equals: Paths that must equal a literal for anything to pass: what an index can use.
        after: Paths of instants that must not lie before these ticks.
    """

    test: Test
    names: frozenset[str]
    equals: Mapping[str, Any]
    after: Mapping[str, int]


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = self._tokens()
        self.at = 0
        self.depth = 0
        self.names: set[str] = set()

    def _tokens(self) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        at, end = 0, len(self.source.rstrip())
        while at < end:
            match = _TOKEN.match(self.source, at)
            if match is None or match.end() == at:
                raise self.refused(f"Syntax error at position {at}")
            kind = match.lastgroup or ""
            tokens.append((kind, match.group(kind)))
            at = match.end()
        return tokens

    def refused(self, reason: str) -> Refused:
        return query_refused("$filter", self.source[:256], reason)

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def word(self, word: str) -> bool:
        kind, text = self.peek()
        if kind == "word" and text.lower() == word:
            self.at += 1
            return True
        return False

    def mark(self, mark: str) -> None:
        if self.take() != ("mark", mark):
            raise self.refused(f"'{mark}' expected")

    def parse(self) -> tuple[Test, dict[str, Any], dict[str, int]]:
        parsed = self.either()
        if self.peek()[0] != "end":
            raise self.refused(f"Unexpected '{self.peek()[1]}'")
        return parsed

    def either(self) -> tuple[Test, dict[str, Any], dict[str, int]]:
        first = self.both()
        tests = [first[0]]
        while self.word("or"):
            tests.append(self.both()[0])
        if len(tests) == 1:
            return first
        return (lambda entity: any(test(entity) for test in tests)), {}, {}

    def both(self) -> tuple[Test, dict[str, Any], dict[str, int]]:
        first = self.unary()
        tests, equals, after = [first[0]], dict(first[1]), dict(first[2])
        while self.word("and"):
            test, more, later = self.unary()
            tests.append(test)
            equals |= more
            after |= {path: max(ticks, after.get(path, ticks)) for path, ticks in later.items()}
        if len(tests) == 1:
            return first
        return (lambda entity: all(test(entity) for test in tests)), equals, after

    def unary(self) -> tuple[Test, dict[str, Any], dict[str, int]]:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.refused("The filter is nested too deeply")
        try:
            if self.word("not"):
                test = self.unary()[0]
                return (lambda entity: not test(entity)), {}, {}
            return self.primary()
        finally:
            self.depth -= 1

    def primary(self) -> tuple[Test, dict[str, Any], dict[str, int]]:
        kind, text = self.take()
        if (kind, text) == ("mark", "("):
            inner = self.either()
            self.mark(")")
            return inner
        if kind != "word":
            raise self.refused(f"Unexpected '{text}'" if text else "The filter ends too early")
        if text.lower() == "startswith" and self.peek() == ("mark", "("):
            return self.startswith()
        return self.comparison(text)

    def startswith(self) -> tuple[Test, dict[str, Any], dict[str, int]]:
        self.mark("(")
        kind, path = self.take()
        if kind != "word":
            raise self.refused("A property is expected in startswith")
        value = self.path(path)
        self.mark(",")
        prefix = self.literal()
        if not isinstance(prefix, str):
            raise self.refused("A string is expected in startswith")
        self.mark(")")
        return (lambda entity: str(value(entity) or "").startswith(prefix)), {}, {}

    def comparison(self, path: str) -> tuple[Test, dict[str, Any], dict[str, int]]:
        value = self.path(path)
        kind, text = self.take()
        operator = text.lower()
        if kind != "word" or operator not in _OPERATORS:
            raise self.refused(f"An operator is expected after '{path}'")
        compare = _OPERATORS[operator]
        dated = self.peek()[1].lower().startswith("datetime'")
        literal = self.literal()

        def test(entity: Entity) -> bool:
            found = value(entity)
            if literal is None or found is None:
                return (
                    (found is None) is (literal is None)
                    if operator == "eq"
                    else (operator == "ne" and (found is None) is not (literal is None))
                )
            try:
                if isinstance(literal, _Ticks):
                    return compare(literal.of(found), literal.of(literal.text))
                return compare(found, literal)
            except (TypeError, ValueError):
                return operator == "ne"

        equals = {path: literal} if operator == "eq" and isinstance(literal, str) else {}
        after = {}
        if dated and operator in {"gt", "ge", "eq"} and isinstance(literal, _Ticks):
            after[path] = literal.ticks
        return test, equals, after

    def path(self, path: str) -> Callable[[Entity], Any]:
        first, *rest = path.split("/")
        self.names.add(first)

        def value(entity: Entity) -> Any:
            found = entity.get(first)
            for name in rest:
                found = found.get(name) if isinstance(found, Mapping) else None
            return found

        return value

    def literal(self) -> Any:
        kind, text = self.take()
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            if len(text) > MAX_DIGITS:
                raise self.refused(f"A number has at most {MAX_DIGITS} digits")
            return float(text) if "." in text else int(text)
        if kind == "typed":
            name, _, quoted = text.partition("'")
            try:
                if name.lower() == "datetime":
                    ticks = _parse_date(quoted[:-1])
                    return _Ticks(ticks, instant(ticks), _comparable)
                ticks = parse_span(quoted[:-1])
                return _Ticks(ticks, span(ticks), parse_span)
            except ValueError as error:
                raise self.refused(str(error)) from None
        words = {"true": True, "false": False, "null": None}
        if kind == "word" and text.lower() in words:
            return words[text.lower()]
        raise self.refused(f"A value is expected instead of '{text}'")


@dataclass(frozen=True, slots=True)
class _Ticks:
    ticks: int
    text: str
    of: Callable[[str], Any]


def _parse_date(text: str) -> int:
    """An instant as the wire writes it, or by RFC 1123, as the service's pages allow, too.

    Raises:
        ValueError: It is none of both.
    """
    if text[:1].isdigit():
        return parse_instant(text)
    return parse_instant(parsedate_to_datetime(text).isoformat())


def _comparable(moment: str) -> str:
    """What the service writes of an instant, without its `Z`, is in order as text."""
    return moment[:-1]


def parse_filter(source: str, known: frozenset[str]) -> Filter:
    """Parses a `$filter`.

    Args:
        source: Its text.
        known: Top-level members of the entity.

    Raises:
        Refused: `InvalidQueryParameterValue`, with the reason.
    """
    if len(source) > MAX_FILTER:
        raise query_refused("$filter", source[:64], "The filter is too long")
    parser = _Parser(source)
    test, equals, after = parser.parse()
    unknown = sorted(parser.names - known)
    if unknown:
        raise parser.refused(f"The property '{unknown[0]}' cannot be used in a filter")
    return Filter(test=test, names=frozenset(parser.names), equals=equals, after=after)


def parse_select(source: str, known: frozenset[str]) -> frozenset[str]:
    """The members that a `$select` names, of which only the first step of a path counts.

    Raises:
        Refused: `InvalidQueryParameterValue` for one that the entity does not have.
    """
    names = frozenset(name.strip().split("/")[0] for name in source.split(",") if name.strip())
    unknown = sorted(names - known)
    if unknown:
        raise query_refused("$select", source[:256], f"There is no property '{unknown[0]}'")
    return names


def parse_max_results(source: str | None) -> int:
    """How many elements a page may have.

    Raises:
        Refused: `InvalidQueryParameterValue`.
    """
    if source is None:
        return MAX_RESULTS
    if not re.fullmatch(r"-?\d{1,9}", source):
        raise query_refused("maxresults", source[:64], "MaxResults must be an integer")
    if int(source) < 1:
        raise query_refused("maxresults", source, "MaxResults cannot be less than 1")
    return min(int(source), MAX_RESULTS)


def skip_token(key: str) -> str:
    """The token of a page that begins after a key, in the look of the service's."""
    return f"WATV2:{base64.urlsafe_b64encode(key.encode()).decode()}:1$1"


def parse_skip_token(source: str | None) -> str:
    """The key after which a page begins; empty for the first.

    Raises:
        Refused: `InvalidQueryParameterValue`.
    """
    if not source:
        return ""
    match = re.fullmatch(r"WATV2:([A-Za-z0-9_=-]*):1\$1", source)
    try:
        return base64.urlsafe_b64decode(match[1]).decode() if match else _bad_token(source)
    except ValueError:
        return _bad_token(source)


def _bad_token(source: str) -> str:
    raise query_refused("$skiptoken", source[:64], "The skip token is not one of this service's")
