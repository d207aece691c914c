"""Request bodies, declared: what a member may be, what it is if it is not given.

A `Check` takes a value and the member's name and returns the value as the service
writes it: durations canonical, choices in the service's case, defaults filled in,
members in the service's order. It raises `Refused` with the service's code and names
the member: `InvalidRequestBody` for what has the wrong shape or no such name,
`MissingRequiredProperty`, `InvalidPropertyValue` for a value that cannot be.

Plain functions rather than pydantic: a hundred thousand tasks come through here, the
errors must be the service's, and the normalised value keeps the order of its members.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from emulator.clock import MAX_TICKS
from emulator.engine.refusal import Refused, invalid
from emulator.service.values import instant, parse_instant
from emulator.spans import parse_span, span

Check = Callable[[Any, str], Any]
Rule = Callable[[dict[str, Any]], None]

ABSENT: Final = object()
"""A member that is not there unless it is given."""
REQUIRED: Final = object()
"""A member that must be given."""

_PROTOCOL = "Microsoft.Azure.Batch.Protocol.Entities.Container"
_INT32 = 2**31 - 1
_DIGITS = re.compile(r"\s*[+-]?[0-9]{1,10}\s*")


def malformed(reason: str) -> Refused:
    """A body of the wrong shape."""
    return Refused("InvalidRequestBody", {"Reason": reason})


def _literal(value: Any, kind: str) -> Refused:
    return malformed(f"Cannot convert the literal '{value}' to the expected type '{kind}'.")


def text(*, most: int | None = None, pattern: str | None = None, least: int = 0) -> Check:
    """A string."""
    compiled = re.compile(pattern) if pattern else None

    def check(value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise _literal(value, "Edm.String")
        if len(value) < least:
            raise invalid(name, value, f"{name} must not be empty")
        if most is not None and len(value) > most:
            raise invalid(name, value[:64], f"{name} is longer than {most} characters")
        if compiled is not None and not compiled.fullmatch(value):
            raise invalid(name, value, f"{name} must match {pattern}")
        return value

    return check


def integer(least: int = -_INT32 - 1, most: int = _INT32) -> Check:
    """A 32-bit integer within bounds; a string of its digits is one, too: `az batch` sends it."""

    def check(value: Any, name: str) -> int:
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _literal(value, "Edm.Int32")
        if not least <= value <= most:
            raise invalid(name, value, f"{name} must be between {least} and {most}")
        return value

    return check


def boolean(value: Any, _name: str) -> bool:
    """True or false; the words in a string are taken, too."""
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise _literal(value, "Edm.Boolean")
    return value


def choice(*values: str) -> Check:
    """One of some words, in any case; it comes back in the case given here."""
    by_lower = {value.lower(): value for value in values}

    def check(value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise _literal(value, "Edm.String")
        found = by_lower.get(value.lower())
        if found is None:
            raise invalid(name, value, f"{name} must be one of {', '.join(values)}")
        return found

    return check


@lru_cache(maxsize=4096)
def _span(value: str) -> int:
    return parse_span(value)


def duration(*, least: int = 0, most: int = MAX_TICKS) -> Check:
    """An ISO 8601 duration within bounds (ticks)."""

    def check(value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise _literal(value, "Edm.Duration")
        try:
            ticks = _span(value)
        except ValueError:
            raise _literal(value, "Edm.Duration") from None
        if not least <= ticks <= most:
            raise invalid(name, value, f"{name} must be between {span(least)} and {span(most)}")
        return span(ticks)

    return check


def moment(value: Any, _name: str) -> str:
    """An instant."""
    try:
        return instant(parse_instant(value))
    except (TypeError, ValueError):
        raise _literal(value, "Edm.DateTime") from None


def listing(item: Check, *, most: int | None = None) -> Check:
    """An array."""

    def check(value: Any, name: str) -> list[Any]:
        if not isinstance(value, list):
            raise malformed(f"An array is expected for '{name}'.")
        if most is not None and len(value) > most:
            raise invalid(name, len(value), f"{name} has more than {most} elements")
        return [item(element, name) for element in value]

    return check


def anything(value: Any, _name: str) -> Any:
    """Whatever it is, as it is."""
    return value


def unsupported(value: Any, name: str) -> Any:
    """A member that the service has and the emulator has not: refused by its name."""
    if value in (None, [], {}):
        return value
    raise Refused("NotImplemented", {"Feature": name})


class Member:
    """One member of an object.

    Args:
        name: On the wire.
        check: Of its value.
        default: What it is when it is not given or null; or ABSENT, or REQUIRED. A
            mapping is checked like a value, so that `{}` fills in an object's defaults.
        hidden: Whether it is accepted but never kept, as passwords are.
    """

    __slots__ = ("check", "default", "hidden", "name")

    def __init__(
        self, name: str, check: Check, default: Any = ABSENT, *, hidden: bool = False
    ) -> None:
        self.name = name
        self.check = check
        self.hidden = hidden
        self.default = check(default, name) if isinstance(default, Mapping) else default


def record(kind: str, *members: Member, rule: Rule | None = None) -> Check:
    """An object with these members, in this order, and no others.

    Annotations such as `odata.metadata`, which a client sends back with what it has read,
    are passed over.

    Args:
        kind: The service's name of its type, for messages.
        members: In the order in which the service writes them.
        rule: What must hold between them; it may change the object.
    """
    known = frozenset(member.name for member in members)

    def check(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise malformed(f"An object is expected for '{name or kind}'.")
        if not known.issuperset(value):
            _check_names(value, known, kind)
        result: dict[str, Any] = {}
        for member in members:
            given = value.get(member.name)
            if given is not None:
                kept = member.check(given, member.name)
                if not member.hidden:
                    result[member.name] = kept
            elif member.default is REQUIRED:
                raise Refused("MissingRequiredProperty", {"PropertyName": member.name})
            elif member.default is not ABSENT:
                result[member.name] = member.default
        if rule is not None:
            rule(result)
        return result

    return check


def _check_names(value: Mapping[str, Any], known: frozenset[str], kind: str) -> None:
    for given in value:
        if given not in known and "odata." not in given:
            raise _unknown(given, kind)


def _unknown(name: str, kind: str) -> Refused:
    return malformed(
        f"The property '{name}' does not exist on type '{_PROTOCOL}.{kind}'."
        " Make sure to only use property names that are defined by the type."
    )


def partial(kind: str, *members: Member) -> Check:
    """An object of which only the members given are checked and kept: a PATCH."""
    optional = [Member(m.name, m.check, ABSENT, hidden=m.hidden) for m in members]
    return record(kind, *optional)
