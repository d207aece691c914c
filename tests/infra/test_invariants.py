"""What holds of every estate: of each example stack, and of any config that may be deployed.

Each invariant looks at what Resource Manager was asked for, never at the config.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from emulator.arm.mocks import ProgramRun, Registered
from infra.checking import plan_stack
from infra.estate import Estate
from infra.file_systems import TYPES
from infra.sources import PROJECT_ROOT

Provision = Callable[[Estate], ProgramRun]

RESERVED = {"29876", "29877"}
ENDPOINT_SUBNET = "endpoints"
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def accounts(run: ProgramRun) -> list[Registered]:
    return run.arm.of("storage:StorageAccount")


def groups(run: ProgramRun) -> list[Registered]:
    return run.arm.of("network:NetworkSecurityGroup")


def rules(run: ProgramRun, direction: str) -> Iterator[dict[str, Any]]:
    for group in groups(run):
        yield from (one for one in group.inputs["securityRules"] if one["direction"] == direction)


def ports_of(rule: dict[str, Any]) -> list[str]:
    single = rule.get("destinationPortRange")
    return [*([single] if single else []), *rule.get("destinationPortRanges", [])]


def every_rule_names_its_ports_as_azure_takes_them(run: ProgramRun) -> None:
    for direction in ("Inbound", "Outbound"):
        for one in rules(run, direction):
            assert ("destinationPortRange" in one) != ("destinationPortRanges" in one)
            assert "*" not in one.get("destinationPortRanges", [])


def pools(run: ProgramRun) -> list[Registered]:
    return run.arm.of("batch:Pool")


def node_subnets(run: ProgramRun) -> list[Registered]:
    found = run.arm.of("network:Subnet")
    return [one for one in found if one.inputs["subnetName"] != ENDPOINT_SUBNET]


def is_local(run: ProgramRun) -> bool:
    account = run.arm.one("batch:BatchAccount")
    return "SharedKey" in account.inputs["allowedAuthenticationModes"]


def no_storage_account_allows_shared_keys(run: ProgramRun) -> None:
    for one in accounts(run):
        shares = [
            share.inputs["enabledProtocols"]
            for share in run.arm.of("storage:FileShare")
            if share.inputs["accountName"] == one.outputs["name"]
        ]
        # Batch mounts SMB by nothing else; nothing else is in such an account.
        needed = bool(shares) and set(shares) == {"SMB"}
        assert one.inputs["allowSharedKeyAccess"] is (needed or is_local(run)), one.name


def no_blob_is_public(run: ProgramRun) -> None:
    assert accounts(run)
    for one in accounts(run):
        assert one.inputs["allowBlobPublicAccess"] is False
    for container in run.arm.of("storage:BlobContainer"):
        assert container.inputs["publicAccess"] == "None"


def unencrypted_traffic_is_refused_but_of_nfs_shares(run: ProgramRun) -> None:
    for one in accounts(run):
        assert one.inputs["minimumTlsVersion"] == "TLS1_2"
        assert one.inputs["isLocalUserEnabled"] is False
        if not one.inputs["enableHttpsTrafficOnly"]:
            assert one.inputs["kind"] == "FileStorage"
            assert one.inputs["networkRuleSet"]["defaultAction"] == "Deny"


def what_the_network_alone_guards_is_closed_to_all_others(run: ProgramRun) -> None:
    for one in accounts(run):
        if one.inputs.get("enableNfsV3") or one.inputs["kind"] == "FileStorage":
            assert one.inputs["networkRuleSet"]["defaultAction"] == "Deny"
            assert not one.inputs["networkRuleSet"].get("ipRules")


def application_packages_are_in_no_hierarchical_account(run: ProgramRun) -> None:
    linked = run.arm.one("batch:BatchAccount").inputs["autoStorage"]["storageAccountId"]
    (one,) = [account for account in accounts(run) if account.id == linked]
    assert not one.inputs.get("isHnsEnabled")


def deleted_blobs_can_be_restored(run: ProgramRun) -> None:
    for one in run.arm.of("storage:BlobServiceProperties"):
        assert one.inputs["deleteRetentionPolicy"]["enabled"] is True
        assert one.inputs["containerDeleteRetentionPolicy"]["enabled"] is True


def nothing_comes_in_from_the_internet(run: ProgramRun) -> None:
    for group in groups(run):
        inbound = [one for one in group.inputs["securityRules"] if one["direction"] == "Inbound"]
        *allowed, last = sorted(inbound, key=lambda one: one["priority"])
        assert (last["access"], last["sourceAddressPrefix"]) == ("Deny", "*")
        assert (last["protocol"], last["destinationPortRange"]) == ("*", "*")
        for one in allowed:
            assert one["sourceAddressPrefix"] == one["destinationAddressPrefix"]
            assert IPv4Network(one["sourceAddressPrefix"]).is_private


def nothing_goes_out_that_was_not_asked_for(run: ProgramRun) -> None:
    own = {one.inputs["addressPrefix"] for one in run.arm.of("network:Subnet")}
    for group in groups(run):
        outbound = [one for one in group.inputs["securityRules"] if one["direction"] == "Outbound"]
        *allowed, last = sorted(outbound, key=lambda one: one["priority"])
        assert (last["access"], last["destinationAddressPrefix"]) == ("Deny", "*")
        for one in allowed:
            to = one["destinationAddressPrefix"]
            service = re.fullmatch(r"(BatchNodeManagement|Storage)\.[a-z0-9]+", to)
            known = to in {*own, "AzureMonitor", "AzureContainerRegistry", "VirtualNetwork"}
            assert (
                service
                or known
                or (to, one.get("destinationPortRanges")) == ("Internet", ["80", "443"])
            )


def the_ports_of_classic_communication_stay_shut(run: ProgramRun) -> None:
    for one in rules(run, "Inbound"):
        if one["sourceAddressPrefix"] != one["destinationAddressPrefix"]:
            assert one["access"] == "Deny" or not RESERVED & set(ports_of(one))


def rules_of_a_direction_have_priorities_of_their_own(run: ProgramRun) -> None:
    for group in groups(run):
        found = [(one["direction"], one["priority"]) for one in group.inputs["securityRules"]]
        assert len(set(found)) == len(found) <= 25
        assert all(100 <= priority <= 4096 for _, priority in found)


def every_subnet_of_nodes_has_rules(run: ProgramRun) -> None:
    for one in node_subnets(run):
        assert one.inputs["networkSecurityGroup"]["id"] in {group.id for group in groups(run)}


def endpoints_are_not_subject_to_network_policies(run: ProgramRun) -> None:
    used = {one.inputs["subnet"]["id"] for one in run.arm.of("network:PrivateEndpoint")}
    for one in run.arm.of("network:Subnet"):
        if one.id in used:
            assert one.inputs["privateEndpointNetworkPolicies"] == "Disabled"


def subnets_are_resources_and_never_inline_too(run: ProgramRun) -> None:
    for one in run.arm.of("network:VirtualNetwork"):
        assert not one.inputs.get("subnets")


def subnets_hold_the_most_nodes_of_their_pools(run: ProgramRun) -> None:
    members = run.outputs["pools"]
    for one in node_subnets(run):
        joined = [
            pool.name
            for pool in pools(run)
            if pool.inputs["networkConfiguration"]["subnetId"] == one.id
        ]
        wanted = sum(members[name]["max_nodes"] for name in joined)
        assert IPv4Network(one.inputs["addressPrefix"]).num_addresses - 5 >= wanted


def nodes_without_public_addresses_have_a_way_to_the_service(run: ProgramRun) -> None:
    faces = {
        group
        for one in run.arm.of("network:PrivateEndpoint")
        for connection in one.inputs["privateLinkServiceConnections"]
        for group in connection["groupIds"]
    }
    by_id = {one.id: one for one in run.arm.of("network:Subnet")}
    for pool in pools(run):
        network = pool.inputs["networkConfiguration"]
        if network["publicIPAddressConfiguration"]["provision"] == "NoPublicIPAddresses":
            subnet = by_id[network["subnetId"]]
            assert subnet.inputs.get("natGateway") or "nodeManagement" in faces
            assert not network.get("endpointConfiguration")


def a_gateway_leaves_from_a_prefix_of_its_own(run: ProgramRun) -> None:
    prefixes = {one.id for one in run.arm.of("network:PublicIPPrefix")}
    for one in run.arm.of("network:NatGateway"):
        assert {prefix["id"] for prefix in one.inputs["publicIpPrefixes"]} <= prefixes
        assert one.inputs["sku"] == {"name": "Standard"}


def every_endpoint_has_its_name_in_a_zone(run: ProgramRun) -> None:
    zones = {one.id for one in run.arm.of("privatedns:PrivateZone")}
    named = run.arm.of("network:PrivateDnsZoneGroup")
    assert len(named) == len(run.arm.of("network:PrivateEndpoint"))
    for one in named:
        for config in one.inputs["privateDnsZoneConfigs"]:
            assert config["privateDnsZoneId"] in zones


def closed_accounts_have_endpoints(run: ProgramRun) -> None:
    reached = {
        connection["privateLinkServiceId"]
        for one in run.arm.of("network:PrivateEndpoint")
        for connection in one.inputs["privateLinkServiceConnections"]
    }
    for one in (*accounts(run), *run.arm.of("batch:BatchAccount")):
        if one.inputs["publicNetworkAccess"] == "Disabled":
            assert one.id in reached, one.name


def who_is_selected_is_let_in_alone(run: ProgramRun) -> None:
    for account in run.arm.of("batch:BatchAccount"):
        if "networkProfile" in account.inputs:
            access = account.inputs["networkProfile"]["accountAccess"]
            assert access["defaultAction"] == "Deny"
            assert access["ipRules"]
    for one in accounts(run):
        rules = one.inputs["networkRuleSet"]
        if rules.get("ipRules") or rules.get("virtualNetworkRules"):
            assert rules["defaultAction"] == "Deny", one.name
        for rule in rules.get("ipRules") or ():
            # The firewall takes no network of one or two addresses.
            assert not rule["iPAddressOrRange"].endswith(("/31", "/32"))


def roles_are_on_single_resources_under_stable_names(run: ProgramRun) -> None:
    found = run.arm.of("authorization:RoleAssignment")
    assert len({one.inputs["roleAssignmentName"] for one in found}) == len(found)
    for one in found:
        # What deploys the stack, where somebody asked for it, needs its whole group.
        deploys = "hpc-pipeline-" in one.name and one.name.endswith(("-deploy", "-roles"))
        assert one.inputs["scope"].count("/providers/") == (0 if deploys else 1)
        assert one.inputs["principalType"] == "ServicePrincipal"
        assert GUID.fullmatch(one.inputs["roleAssignmentName"])


def node_communication_is_said_and_simplified(run: ProgramRun) -> None:
    for one in pools(run):
        assert one.inputs["interNodeCommunication"] in {"Enabled", "Disabled"}
        assert one.inputs["targetNodeCommunicationMode"] == "Simplified"
        if one.inputs["interNodeCommunication"] == "Enabled":
            assert one.inputs["taskSlotsPerNode"] == 1


def a_pool_scales_in_one_way(run: ProgramRun) -> None:
    for one in pools(run):
        assert len(one.inputs["scaleSettings"]) == 1


def mounts_are_opened_by_identity_or_network_where_they_can_be(run: ProgramRun) -> None:
    for one in pools(run):
        for mount in one.inputs.get("mountConfiguration") or ():
            ((kind, config),) = mount.items()
            assert kind == "azureFileShareConfiguration" or not config.get("accountKey")
            assert not config.get("sasKey")


INVARIANTS = [
    no_storage_account_allows_shared_keys,
    no_blob_is_public,
    unencrypted_traffic_is_refused_but_of_nfs_shares,
    what_the_network_alone_guards_is_closed_to_all_others,
    application_packages_are_in_no_hierarchical_account,
    deleted_blobs_can_be_restored,
    nothing_comes_in_from_the_internet,
    nothing_goes_out_that_was_not_asked_for,
    the_ports_of_classic_communication_stay_shut,
    rules_of_a_direction_have_priorities_of_their_own,
    every_subnet_of_nodes_has_rules,
    every_rule_names_its_ports_as_azure_takes_them,
    endpoints_are_not_subject_to_network_policies,
    subnets_are_resources_and_never_inline_too,
    subnets_hold_the_most_nodes_of_their_pools,
    nodes_without_public_addresses_have_a_way_to_the_service,
    a_gateway_leaves_from_a_prefix_of_its_own,
    every_endpoint_has_its_name_in_a_zone,
    closed_accounts_have_endpoints,
    who_is_selected_is_let_in_alone,
    roles_are_on_single_resources_under_stable_names,
    node_communication_is_said_and_simplified,
    a_pool_scales_in_one_way,
    mounts_are_opened_by_identity_or_network_where_they_can_be,
]


@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda one: str(one.__name__))
def test_of_every_example_stack(
    invariant: Callable[[ProgramRun], None], provisioned: ProgramRun
) -> None:
    invariant(provisioned)


kinds = st.sampled_from(list(TYPES))
selected = st.sampled_from([[], [], ["203.0.113.0/24", "198.51.100.8/31"]])
scales = st.one_of(
    st.fixed_dictionaries(
        {
            "max_dedicated_nodes": st.integers(1, 60),
            "max_spot_nodes": st.integers(0, 40),
        }
    ),
    st.fixed_dictionaries({"mode": st.just("fixed"), "dedicated_nodes": st.integers(1, 20)}),
)
pool_configs = st.fixed_dictionaries(
    {"preset": st.sampled_from(["cpu", "gpu", "rdma", "spot"]), "scale": scales},
    optional={
        "image_version": st.just("24.04.202501010"),
        "start_task": st.just({"command_line": "/bin/true", "elevated": True}),
        "encryption_at_host": st.booleans(),
    },
)
pool_names = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,8}[a-z0-9])?", fullmatch=True)
networks = st.fixed_dictionaries(
    {"subnets": st.sampled_from(["shared", "per-pool"])},
    optional={
        "public_addresses": st.booleans(),
        "nat_gateway": st.booleans(),
        "private_endpoints": st.booleans(),
        "allow_package_sources": st.booleans(),
    },
)


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """A config that may or may not be deployed."""
    file_systems = draw(st.dictionaries(st.sampled_from(["one", "two", "three"]), kinds))
    mounted = (
        draw(st.lists(st.sampled_from(sorted(file_systems)), unique=True)) if file_systems else []
    )
    mounts = [{"type": "file-system", "path": one, "file_system": one} for one in mounted]
    pools = {
        name: {**pool, "mounts": mounts}
        for name, pool in draw(
            st.dictionaries(pool_names, pool_configs, min_size=1, max_size=4)
        ).items()
    }
    return {
        "location": draw(st.sampled_from(["eastus", "westeurope"])),
        "protect": draw(st.booleans()),
        "network": draw(networks),
        "storage": {
            "versioning": draw(st.booleans()),
            "replication": draw(st.sampled_from(["LRS", "ZRS", "GRS"])),
            "public_network_access": draw(st.booleans()),
            "allow_from": draw(selected),
            "file_systems": {name: {"type": kind} for name, kind in file_systems.items()},
        },
        "batch": {"public_network_access": draw(st.booleans()), "allow_from": draw(selected)},
        "pipeline": {
            "may": draw(st.lists(st.sampled_from(["run", "publish", "deploy"]), unique=True))
        },
        "registry": draw(st.sampled_from([{}, {"name": "hpclab", "sku": "Premium"}])),
        "pools": pools,
    }


# A whole program an example: shrinking one would take minutes.
@pytest.mark.slow
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(raw=configs())
def test_of_any_config_that_may_be_deployed(raw: dict[str, Any], provision: Provision) -> None:
    planned = plan_stack("any", raw, root=PROJECT_ROOT, today=date(2026, 1, 1))
    assume(not any(finding.is_error for finding in planned.findings))
    run = provision(planned.deployable())
    for invariant in INVARIANTS:
        invariant(run)
    assert {pool.name for pool in pools(run)} == raw["pools"].keys()
