"""Whom security rules let in together: what one of them alone does not tell.

Azure's rules are a list of who may come to which ports. Two that let in one half of the
internet each are harmless to look at and let everybody in, so sources are joined wherever
ports and protocols of rules meet. Rules that deny are left out of account: what is allowed
must be harmless by itself.

Pure; rules are plain mappings under azure-native's names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from infra.security_rules import is_everybody

SecurityRules = Sequence[Mapping[str, Any]]

_EVERYBODY = frozenset({"*", "any", "internet", "<nw>/0"})
_ALL_PORTS = (0, 65535)
_ANY_PROTOCOL = "*"


def open_rules(rules: SecurityRules) -> Iterator[tuple[Mapping[str, Any], ...]]:
    """The inbound rules that let everybody in: one alone, or the fewest found together.

    Args:
        rules: Those of one group.
    """
    allowing = [
        rule
        for rule in rules
        if rule.get("direction") == "Inbound" and rule.get("access") == "Allow"
    ]
    alone = [rule for rule in allowing if _is_everybody([rule])]
    yield from ((rule,) for rule in alone)
    others = [rule for rule in allowing if rule not in alone]
    seen: list[list[Mapping[str, Any]]] = []
    # Where ranges meet, one of them begins.
    for protocol, port in sorted({door for rule in others for door in _doors(rule)}):
        there = [rule for rule in others if _opens(rule, protocol, port)]
        if there not in seen and _is_everybody(there):
            seen.append(there)
            yield tuple(there)


def nat_pool_is_open(rules: SecurityRules) -> bool:
    """Whether Batch lets everybody to a port of nodes, whose rules it judges in order.

    Without a rule that denies the rest, the rest is let in.
    Source: https://learn.microsoft.com/rest/api/batchservice/pool/add-pool
    """
    denies_the_rest = any(
        rule.get("access") == "Deny" and _names(rule) & _EVERYBODY for rule in rules
    )
    return not denies_the_rest or _is_everybody(
        [rule for rule in rules if rule.get("access") == "Allow"]
    )


def _is_everybody(rules: Iterable[Mapping[str, Any]]) -> bool:
    names = {name for rule in rules for name in _names(rule)}
    return bool(names & _EVERYBODY) or is_everybody(_networks(names))


def _names(rule: Mapping[str, Any]) -> set[str]:
    """The sources of a rule: addresses, service tags."""
    one = rule.get("sourceAddressPrefix")
    sources = [*(rule.get("sourceAddressPrefixes") or ()), *([one] if one else ())]
    return {str(source).casefold() for source in sources}


def _networks(sources: Iterable[str]) -> Iterator[IPv4Network | IPv6Network]:
    """Those of a rule's sources that are addresses, as service tags and outputs are not."""
    for source in sources:
        with suppress(ValueError):
            yield ip_network(source, strict=False)


def _doors(rule: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Protocol and first port of each range that a rule opens."""
    return ((_protocol(rule), first) for first, _ in _ranges(rule))


def _opens(rule: Mapping[str, Any], protocol: str, port: int) -> bool:
    own = _protocol(rule)
    meets = protocol == own or _ANY_PROTOCOL in {protocol, own}
    return meets and any(first <= port <= last for first, last in _ranges(rule))


def _protocol(rule: Mapping[str, Any]) -> str:
    return str(rule.get("protocol") or _ANY_PROTOCOL).casefold()


def _ranges(rule: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """The ports on this side that a rule opens; all of them where it does not say."""
    one = rule.get("destinationPortRange")
    given = [*(rule.get("destinationPortRanges") or ()), *([one] if one else ())]
    for text in given or [_ANY_PROTOCOL]:
        first, _, last = str(text).partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            yield int(first), int(last or first)
        else:
            yield _ALL_PORTS
