"""Accounts that selected addresses alone reach from outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from ipaddress import IPv4Network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.arm.mocks import ProgramRun
from infra.components.storage import firewall_addresses
from infra.config import StackConfig
from infra.estate import Estate, plan_estate
from infra.sources import PROJECT_ROOT

Provision = Callable[[Estate], ProgramRun]

OFFICE = "203.0.113.0/24"


def provisioned(provision: Provision, **raw: Any) -> ProgramRun:
    config = StackConfig.model_validate({"pools": {"a": {}, "b": {}}, **raw})
    return provision(plan_estate("any", config, root=PROJECT_ROOT, today=date(2026, 1, 1)))


def rules(run: ProgramRun, account: str = "hpcanydata") -> dict[str, Any]:
    found = run.arm.one("storage:StorageAccount", account).inputs["networkRuleSet"]
    assert isinstance(found, dict)
    return found


def test_batch_is_reached_from_selected_addresses_and_by_nodes_from_anywhere(
    provision: Provision,
) -> None:
    run = provisioned(provision, batch={"allow_from": [OFFICE, "198.51.100.7/32"]})
    account = run.arm.one("batch:BatchAccount").inputs
    assert account["publicNetworkAccess"] == "Enabled"
    assert account["networkProfile"] == {
        "accountAccess": {
            "defaultAction": "Deny",
            "ipRules": [
                {"action": "Allow", "value": OFFICE},
                {"action": "Allow", "value": "198.51.100.7/32"},
            ],
        },
        "nodeManagementAccess": {"defaultAction": "Allow"},
    }


def test_an_account_that_selects_nobody_says_nothing_of_addresses(provision: Provision) -> None:
    run = provisioned(provision)
    assert "networkProfile" not in run.arm.one("batch:BatchAccount").inputs
    assert rules(run)["defaultAction"] == "Allow"
    assert not {"ipRules", "virtualNetworkRules"} & rules(run).keys()


def test_data_is_reached_from_selected_addresses_and_the_pools_subnets(
    provision: Provision,
) -> None:
    storage = {"allow_from": [OFFICE]}
    run = provisioned(provision, storage=storage, network={"subnets": "per-pool"})
    assert rules(run)["defaultAction"] == "Deny"
    assert rules(run)["ipRules"] == [{"action": "Allow", "iPAddressOrRange": OFFICE}]
    subnets = {
        one.id: one.inputs["serviceEndpoints"]
        for one in run.arm.of("network:Subnet")
        if one.inputs["subnetName"] != "endpoints"
    }
    let_in = [one["virtualNetworkResourceId"] for one in rules(run)["virtualNetworkRules"]]
    assert sorted(let_in) == sorted(str(one) for one in subnets)
    assert all(endpoints == [{"service": "Microsoft.Storage"}] for endpoints in subnets.values())
    # Batch itself reads packages, from addresses that nobody can list.
    assert rules(run, "hpcanyapps")["defaultAction"] == "Allow"


def test_nodes_that_come_by_a_private_endpoint_need_no_rule(provision: Provision) -> None:
    network = {"private_endpoints": True}
    run = provisioned(provision, storage={"allow_from": [OFFICE]}, network=network)
    assert rules(run)["defaultAction"] == "Deny"
    assert "virtualNetworkRules" not in rules(run)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32)).map(
            lambda one: IPv4Network(one, strict=False)
        ),
        max_size=5,
    )
)
def test_the_firewall_is_given_the_same_addresses_in_ranges_that_it_takes(
    networks: list[IPv4Network],
) -> None:
    given_to_it = [IPv4Network(one) for one in firewall_addresses(networks)]
    assert sum(one.num_addresses for one in given_to_it) == sum(
        one.num_addresses for one in networks
    )
    assert all(any(one.subnet_of(whole) for whole in networks) for one in given_to_it)
    assert not any(one.endswith(("/31", "/32")) for one in firewall_addresses(networks))
