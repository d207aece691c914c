"""Who may talk to nodes, as data."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.security_rules import InboundPort, SecurityRule, is_everybody, pool_subnet_rules

SUBNET = IPv4Network("10.64.0.0/20")
ENDPOINTS = IPv4Network("10.64.255.224/27")


def rules(
    *,
    inter_node: bool = False,
    packages: bool = False,
    registries: bool = False,
    endpoints: IPv4Network | None = None,
    inbound: tuple[InboundPort, ...] = (),
) -> tuple[SecurityRule, ...]:
    return pool_subnet_rules(
        location="eastus",
        prefix=SUBNET,
        inter_node=inter_node,
        allow_package_sources=packages,
        allow_registries=registries,
        endpoints=str(endpoints) if endpoints else None,
        inbound=inbound,
    )


def allowed(found: tuple[SecurityRule, ...], direction: str) -> set[str]:
    return {
        rule.destination
        for rule in found
        if rule.direction == direction and rule.access == "Allow"
    }


def test_nothing_comes_in_where_no_mpi_runs() -> None:
    assert allowed(rules(), "Inbound") == set()


def test_mpi_talks_inside_its_subnet_both_ways() -> None:
    found = rules(inter_node=True)
    assert allowed(found, "Inbound") == {str(SUBNET)}
    assert str(SUBNET) in allowed(found, "Outbound")
    assert {rule.source for rule in found if rule.destination == str(SUBNET)} == {str(SUBNET)}


def test_nodes_reach_what_batch_needs_and_no_more() -> None:
    needed = {"BatchNodeManagement.eastus", "Storage.eastus", "AzureMonitor"}
    assert allowed(rules(), "Outbound") == needed
    assert allowed(rules(packages=True), "Outbound") == {*needed, "Internet"}
    assert allowed(rules(registries=True), "Outbound") == {*needed, "AzureContainerRegistry"}
    assert allowed(rules(endpoints=ENDPOINTS), "Outbound") == {*needed, str(ENDPOINTS)}


def test_node_management_is_reached_by_any_protocol() -> None:
    (rule,) = [rule for rule in rules() if rule.destination.startswith("BatchNode")]
    assert (rule.protocol, rule.ports) == ("*", ("443",))


ports = st.builds(
    InboundPort,
    name=st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True),
    protocol=st.sampled_from(["Tcp", "Udp"]),
    port=st.integers(1, 65535),
    sources=st.lists(
        st.ip_addresses(v=4).map(lambda address: f"{address}/32"), min_size=1, max_size=4
    ).map(tuple),
)


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, ENDPOINTS]),
    st.lists(ports, max_size=3).map(tuple),
)
def test_rules_are_what_azure_accepts_and_end_with_a_denial(
    inter_node: bool,
    packages: bool,
    registries: bool,
    endpoints: IPv4Network | None,
    inbound: tuple[InboundPort, ...],
) -> None:
    found = rules(
        inter_node=inter_node,
        packages=packages,
        registries=registries,
        endpoints=endpoints,
        inbound=inbound,
    )
    asked = {(source, str(port.port)) for port in inbound for source in port.sources}
    let_in = {
        (rule.source, rule.ports[0])
        for rule in found
        if rule.direction == "Inbound" and rule.access == "Allow" and rule.source != str(SUBNET)
    }
    assert let_in == asked
    for direction in ("Inbound", "Outbound"):
        ordered = [rule for rule in found if rule.direction == direction]
        priorities = [rule.priority for rule in ordered]
        assert priorities == sorted(set(priorities))
        assert all(100 <= priority <= 4096 for priority in priorities)
        last = ordered[-1]
        assert (last.access, last.source, last.destination) == ("Deny", "*", "*")
        assert all(rule.access == "Allow" for rule in ordered[:-1])
    assert len({rule.name for rule in found}) == len(found) <= 25


@pytest.mark.parametrize("rule", rules(inter_node=True, packages=True, endpoints=ENDPOINTS))
def test_a_rule_says_what_it_is_for(rule: SecurityRule) -> None:
    assert rule.description


def test_rules_of_long_names_have_names_that_azure_takes_and_that_differ() -> None:
    inbound = tuple(
        InboundPort(name="p" * 76 + end, protocol="Tcp", port=22, sources=("203.0.113.7/32",))
        for end in "ab"
    )
    names = [rule.name for rule in rules(inbound=inbound)]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 80


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["0.0.0.0/0"], True),
        (["0.0.0.0/1", "128.0.0.0/1"], True),
        (["10.0.0.0/8", "11.0.0.0/8"], True),
        (["10.0.0.0/8", "203.0.113.0/24"], False),
        ([], False),
    ],
)
def test_everybody_is_seen_in_parts_too(sources: list[str], *, expected: bool) -> None:
    assert is_everybody(map(IPv4Network, sources)) is expected
