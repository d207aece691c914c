"""What Resource Manager accepts, refuses, computes and remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.arm import schema
from emulator.arm.errors import ArmError, UnknownTypeError
from emulator.arm.kinds import arm_type, parent_id
from emulator.arm.memory import MemoryBackend
from emulator.arm.model import ResourceManager
from emulator.arm.naming import CREATE_BEFORE_DELETE, automatic_name
from emulator.arm.resources import TYPES
from emulator.arm.store import Store
from emulator.arm.values import UNKNOWN

GROUP = "azure-native:resources:ResourceGroup"
STORAGE = "azure-native:storage:StorageAccount"
CONTAINER = "azure-native:storage:BlobContainer"
ACCOUNT = "azure-native:batch:BatchAccount"
POOL = "azure-native:batch:Pool"
VNET = "azure-native:network:VirtualNetwork"
SUBNET = "azure-native:network:Subnet"
NSG = "azure-native:network:NetworkSecurityGroup"
BLOBS = "azure-native:storage:BlobServiceProperties"
WORKSPACE = "azure-native:operationalinsights:Workspace"
DIAGNOSTICS = "azure-native:monitor:DiagnosticSetting"
RULE = "azure-native:network:SecurityRule"

A = "/subscriptions/s/resourceGroups/g/providers/N.S/accounts/a"
MACHINE = {
    "virtualMachineConfiguration": {
        "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
        "nodeAgentSkuId": "batch.node.ubuntu 24.04",
    }
}


class Estate:
    """Short ways to put things, each under its own owner unless one is given."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self.store = Store(None)
        self.manager = ResourceManager(
            self.backend, self.store, now=lambda: datetime(2026, 1, 5, tzinfo=UTC)
        )

    async def put(self, token: str, owner: str | None = None, **inputs: Any) -> Any:
        checked = self.manager.check(token, "logical", inputs)
        assert checked.findings == []
        return await self.manager.create(token, owner or f"urn:{len(inputs)}", checked.inputs)

    async def group(self) -> None:
        await self.put(GROUP, resourceGroupName="g", location="eastus")

    async def account(self) -> None:
        await self.group()
        await self.put(ACCOUNT, resourceGroupName="g", accountName="hpc")

    async def pool(self, owner: str | None = None, **more: Any) -> Any:
        inputs = {"vmSize": "Standard_D4s_v5", "deploymentConfiguration": MACHINE, **more}
        where = {"resourceGroupName": "g", "accountName": "hpc"}
        return await self.put(POOL, owner, **where, **inputs)

    async def network(self) -> Any:
        await self.group()
        space = {"addressPrefixes": ["10.0.0.0/16"]}
        return await self.put(
            VNET, resourceGroupName="g", virtualNetworkName="v", addressSpace=space
        )

    async def subnet(self, name: str, prefix: str, **more: Any) -> Any:
        where = {"resourceGroupName": "g", "virtualNetworkName": "v"}
        return await self.put(SUBNET, **where, subnetName=name, addressPrefix=prefix, **more)


@pytest.fixture
def estate() -> Iterator[Estate]:
    made = Estate()
    yield made
    made.store.close()


async def refused(call: Any) -> ArmError:
    with pytest.raises(ArmError) as caught:
        await call
    return caught.value


async def test_a_resource_in_a_missing_group_parent_or_subscription_is_refused(
    estate: Estate,
) -> None:
    container = {"resourceGroupName": "g", "accountName": "data", "containerName": "inputs"}
    assert (await refused(estate.put(CONTAINER, **container))).code == "ResourceGroupNotFound"
    await estate.group()
    error = await refused(estate.put(CONTAINER, **container))
    assert (error.status, error.code) == (404, "ParentResourceNotFound")
    assert "'data'" in error.message
    error = await refused(
        estate.put(
            "azure-native:monitor:DiagnosticSetting",
            resourceUri="/subscriptions/other/resourceGroups/g/providers/Microsoft.Batch"
            "/batchAccounts/hpc",
            workspaceId="w",
            metrics=[{"category": "AllMetrics", "enabled": True}],
        )
    )
    assert error.code == "SubscriptionNotFound"


async def test_a_reference_to_what_does_not_exist_is_refused_with_its_id(estate: Estate) -> None:
    await estate.account()
    missing = (
        f"/subscriptions/{estate.manager.identity.subscription_id}/resourceGroups/g/providers"
        "/Microsoft.Network/virtualNetworks/v/subnets/pools"
    )
    error = await refused(estate.pool(networkConfiguration={"subnetId": missing}))
    assert error.code == "InvalidResourceReference"
    assert missing in error.message


async def test_a_service_that_every_account_has_can_be_referred_to(estate: Estate) -> None:
    await estate.group()
    made = await estate.put(
        STORAGE,
        resourceGroupName="g",
        accountName="data",
        kind="StorageV2",
        sku={"name": "Standard_LRS"},
    )
    logs = [{"categoryGroup": "allLogs", "enabled": True}]
    workspace = await estate.put(WORKSPACE, resourceGroupName="g", workspaceName="logs")
    for account, found in ((made.id, True), (made.id.replace("data", "other"), False)):
        call = estate.put(
            DIAGNOSTICS,
            name="logs",
            resourceUri=f"{account}/blobServices/default",
            workspaceId=workspace.id,
            logs=logs,
        )
        if found:
            await call
        else:
            assert (await refused(call)).code == "ResourceNotFound"


async def test_deleting_the_settings_of_a_blob_service_keeps_its_containers(
    estate: Estate,
) -> None:
    await estate.group()
    where = {"resourceGroupName": "g", "accountName": "data"}
    await estate.put(STORAGE, **where, kind="StorageV2", sku={"name": "Standard_LRS"})
    settings = await estate.put(BLOBS, **where, blobServicesName="default")
    container = await estate.put(CONTAINER, **where, containerName="inputs")
    await estate.manager.delete(BLOBS, settings.id)
    assert await estate.backend.container_exists("data", "inputs")
    assert estate.store.get(container.id) is not None
    assert estate.store.get(settings.id) is None


async def test_an_inline_subnet_can_be_referred_to(estate: Estate) -> None:
    await estate.account()
    network = await estate.put(
        VNET,
        resourceGroupName="g",
        virtualNetworkName="v",
        addressSpace={"addressPrefixes": ["10.0.0.0/16"]},
        subnets=[{"name": "pools", "addressPrefix": "10.0.1.0/24"}],
    )
    (subnet,) = network.outputs["subnets"]
    assert subnet["id"] == f"{network.id}/subnets/pools"
    await estate.pool(networkConfiguration={"subnetId": subnet["id"]})


async def test_subnets_lie_in_their_network_and_do_not_overlap(estate: Estate) -> None:
    await estate.network()
    await estate.subnet("a", "10.0.0.0/24")
    assert (await refused(estate.subnet("b", "10.1.0.0/24"))).code == "NetcfgInvalidSubnet"
    error = await refused(estate.subnet("b", "10.0.0.128/25"))
    assert error.code == "NetcfgSubnetRangesOverlap"
    assert "'a'" in error.message
    await estate.subnet("b", "10.0.1.0/24")
    assert (await refused(estate.subnet("c", "10.0.2.1/24"))).code == "InvalidCIDRNotation"


@pytest.mark.parametrize(
    ("ports", "is_taken"),
    [
        ({"destinationPortRange": "*", "sourcePortRange": "*"}, True),
        ({"destinationPortRanges": ["80", "8000-8099"]}, True),
        ({"destinationPortRanges": ["*"]}, False),
        ({"sourcePortRanges": ["*"]}, False),
        ({"destinationPortRange": "65536"}, False),
        ({"destinationPortRange": "90-80"}, False),
        ({"destinationPortRange": "ssh"}, False),
    ],
)
async def test_rules_name_ports_as_numbers_and_all_of_them_in_the_singular(
    estate: Estate, ports: dict[str, Any], is_taken: bool
) -> None:
    await estate.group()
    rule = {
        "name": "r",
        "access": "Allow",
        "direction": "Inbound",
        "priority": 200,
        "protocol": "*",
        **ports,
    }
    where = {"resourceGroupName": "g", "networkSecurityGroupName": "n"}
    put_group = estate.put(NSG, **where, securityRules=[rule])
    if is_taken:
        await put_group
    else:
        assert (await refused(put_group)).code == "SecurityRuleInvalidPortRange"
        await estate.put(NSG, **where)
    del rule["name"]
    put_rule = estate.put(RULE, **where, securityRuleName="a", **{**rule, "priority": 201})
    if is_taken:
        await put_rule
    else:
        assert (await refused(put_rule)).code == "SecurityRuleInvalidPortRange"


async def test_two_rules_of_a_direction_have_two_priorities(estate: Estate) -> None:
    await estate.group()
    await estate.put(NSG, resourceGroupName="g", networkSecurityGroupName="n")
    where = {"resourceGroupName": "g", "networkSecurityGroupName": "n", "protocol": "*"}
    await estate.put(
        RULE, **where, securityRuleName="a", access="Allow", direction="Inbound", priority=200
    )
    await estate.put(
        RULE, **where, securityRuleName="b", access="Deny", direction="Outbound", priority=200
    )
    again = {"securityRuleName": "c", "access": "Deny", "direction": "Inbound"}
    assert (
        await refused(estate.put(RULE, **where, **again, priority=200))
    ).code == "SecurityRuleConflict"
    assert (
        await refused(estate.put(RULE, **where, **again, priority=99))
    ).code == "SecurityRuleInvalidPriority"


async def test_what_others_use_cannot_be_deleted_before_them(estate: Estate) -> None:
    await estate.account()
    space = {"addressPrefixes": ["10.0.0.0/16"]}
    network = await estate.put(
        VNET, resourceGroupName="g", virtualNetworkName="v", addressSpace=space
    )
    subnet = await estate.subnet("pools", "10.0.0.0/24")
    pool = await estate.pool(networkConfiguration={"subnetId": subnet.id})
    for token, one in ((SUBNET, subnet), (VNET, network)):
        error = await refused(estate.manager.delete(token, one.id))
        assert error.code == "InUseSubnetCannotBeDeleted"
        assert pool.id in error.message
    await estate.manager.delete(POOL, pool.id)
    await estate.manager.delete(VNET, network.id)
    assert estate.store.get(subnet.id) is None


async def test_deleting_a_group_deletes_everything_in_it_everywhere(estate: Estate) -> None:
    await estate.account()
    await estate.pool()
    data = {"resourceGroupName": "g", "accountName": "data"}
    await estate.put(STORAGE, **data, kind="StorageV2", sku={"name": "Standard_LRS"})
    await estate.put(CONTAINER, **data, containerName="inputs")
    group = next(one for one in estate.store.all() if one.token == GROUP)
    await estate.manager.delete(GROUP, group.id)
    assert estate.store.all() == []
    assert (estate.backend.accounts, estate.backend.containers) == ({}, {})
    await estate.manager.delete(GROUP, group.id)


async def test_global_names_are_taken_once(estate: Estate) -> None:
    await estate.group()
    await estate.put(GROUP, resourceGroupName="h", location="eastus")
    account: dict[str, Any] = {
        "accountName": "data",
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
    }
    await estate.put(STORAGE, resourceGroupName="g", **account)
    error = await refused(estate.put(STORAGE, resourceGroupName="h", **account))
    assert (error.status, error.code) == (409, "StorageAccountAlreadyTaken")


async def test_a_role_is_assigned_once_to_a_principal_at_a_scope(estate: Estate) -> None:
    await estate.group()
    scope = f"/subscriptions/{estate.manager.identity.subscription_id}/resourceGroups/g"
    role = "azure-native:authorization:RoleAssignment"
    inputs: dict[str, Any] = {"scope": scope, "principalId": "p", "roleDefinitionId": "r"}
    names = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"]
    await estate.put(role, **inputs, roleAssignmentName=names[0])
    error = await refused(estate.put(role, **inputs, roleAssignmentName=names[1]))
    assert error.code == "RoleAssignmentExists"


async def test_only_the_owner_takes_over_and_only_what_it_does_not_hold(estate: Estate) -> None:
    group = {"resourceGroupName": "g", "location": "eastus"}
    first = await estate.put(GROUP, owner="urn:a", **group)
    again = await estate.put(GROUP, owner="urn:a", **group, tags={"a": "b"})
    assert again.id == first.id
    assert estate.store.get(first.id).inputs["tags"] == {"a": "b"}  # type: ignore[union-attr]
    assert (await refused(estate.put(GROUP, owner="urn:b", **group))).status == 409
    held = {first.id.casefold()}
    error = await refused(estate.manager.create(GROUP, "urn:a", group, held=held))
    assert "already existing resource" in error.message


async def test_a_random_name_is_given_again_after_an_interruption(estate: Estate) -> None:
    first = estate.manager.check(GROUP, "rg", {"location": "eastus"}, seed=b"1", owner="urn:a")
    made = await estate.manager.create(GROUP, "urn:a", first.inputs)
    name = first.inputs["resourceGroupName"]

    def name_of(owner: str, held: set[str]) -> str:
        checked = estate.manager.check(
            GROUP, "rg", {"location": "eastus"}, seed=b"2", owner=owner, held=held
        )
        return str(checked.inputs["resourceGroupName"])

    assert name_of("urn:a", set()) == name
    assert name_of("urn:b", set()) != name
    assert name_of("urn:a", {made.id.casefold()}) != name


def test_automatic_names_are_those_of_azure_native(estate: Estate) -> None:
    check = estate.manager.check
    group = check(GROUP, "rg", {}, seed=b"s").inputs
    assert group["resourceGroupName"].startswith("rg")
    assert len(group["resourceGroupName"]) == 10
    assert group[CREATE_BEFORE_DELETE] is True
    pool = check(POOL, "cpu", {"resourceGroupName": "g", "accountName": "a"}).inputs
    assert pool["poolName"] == "cpu"
    assert CREATE_BEFORE_DELETE not in pool
    kept = check(GROUP, "rg", {}, group, seed=b"other").inputs
    assert kept == group
    # Eight digits follow, and what is too long then is refused as the service would.
    for name, is_taken in (("a" * 16, True), ("a" * 17, False), ("My-Data", False)):
        found = check(STORAGE, name, {"resourceGroupName": "g"}).findings
        assert any(one.path == "accountName" for one in found) != is_taken


@given(
    seed=st.binary(), other=st.binary(), name=st.from_regex(r"[a-z][a-z0-9]{0,99}", fullmatch=True)
)
def test_names_are_valid_stable_and_differ_by_seed(seed: bytes, other: bytes, name: str) -> None:
    kind = TYPES[STORAGE]
    made = automatic_name(kind, name, seed)
    assert made == automatic_name(kind, name, seed)
    # Nothing is cut, as azure-native cuts nothing.
    assert made.startswith(name)
    assert len(made) == len(name) + 8
    assert (made == automatic_name(kind, name, other)) == (seed == other)


async def test_the_region_comes_from_the_group(estate: Estate) -> None:
    await estate.group()
    where = {"resourceGroupName": "g", "accountName": "hpc"}
    assert estate.manager.check(ACCOUNT, "hpc", where).inputs["location"] == "eastus"
    unknown = estate.manager.check(ACCOUNT, "hpc", {"resourceGroupName": UNKNOWN})
    assert unknown.inputs["location"] is UNKNOWN
    change = estate.manager.diff(ACCOUNT, {"location": "East US"}, {"location": "eastus"})
    assert change == []


def test_what_azure_native_replaces_for_is_said_path_by_path(estate: Estate) -> None:
    old = {"accountName": "a", "location": "eastus", "tags": {"x": "1", "a b": "2"}}
    new = {"accountName": "b", "location": "westus", "tags": {"x": "2"}, "identity": {"type": "n"}}
    found = {one.path: (one.kind, one.replaces) for one in estate.manager.diff(STORAGE, old, new)}
    assert found == {
        "accountName": ("update", True),
        "identity": ("add", False),
        "location": ("update", True),
        'tags["a b"]': ("delete", False),
        "tags.x": ("update", False),
    }


async def test_what_resource_manager_does_not_change_is_refused(estate: Estate) -> None:
    await estate.account()
    where = {"resourceGroupName": "g", "accountName": "hpc", "location": "eastus"}
    resource_id = next(one.id for one in estate.store.all() if one.token == ACCOUNT)
    vault = {"id": "v", "url": "u"}
    news = {**where, "poolAllocationMode": "UserSubscription", "keyVaultReference": vault}
    error = await refused(estate.manager.update(ACCOUNT, "urn", resource_id, news))
    assert error.code == "PropertyChangeNotAllowed"


async def test_passwords_are_neither_stored_nor_answered_but_kept_by_who_asks(
    estate: Estate,
) -> None:
    await estate.account()
    users = [{"name": "runner", "password": "hunter2", "elevationLevel": "Admin"}]
    made = await estate.pool(userAccounts=users)
    assert "hunter2" in str(estate.backend.accounts)
    assert "hunter2" not in str(estate.store.all()) + str(made.outputs)
    found = await estate.manager.read(POOL, made.id, made.inputs)
    assert found is not None
    assert found.inputs["userAccounts"] == users
    assert "hunter2" not in str(found.outputs)


async def test_a_pool_that_changed_in_the_service_is_read_as_it_is(estate: Estate) -> None:
    await estate.account()
    fixed = {"fixedScale": {"targetDedicatedNodes": 2, "resizeTimeout": "PT15M"}}
    made = await estate.pool(scaleSettings=fixed, interNodeCommunication="Enabled")
    body = estate.backend.accounts["hpc"]["logical"]
    body |= {"resizeTimeout": "PT900S", "currentDedicatedNodes": 1}
    same = await estate.manager.read(POOL, made.id, made.inputs)
    assert same is not None
    assert same.inputs == made.inputs
    assert same.outputs["currentDedicatedNodes"] == 1
    body["targetDedicatedNodes"] = 5
    body["enableInterNodeCommunication"] = False
    found = await estate.manager.read(POOL, made.id, made.inputs)
    assert found is not None
    assert found.inputs["scaleSettings"]["fixedScale"]["targetDedicatedNodes"] == 5
    assert found.inputs["interNodeCommunication"] == "Disabled"
    del estate.backend.accounts["hpc"]["logical"]
    assert await estate.manager.read(POOL, made.id, made.inputs) is None


async def test_a_refusal_of_the_data_plane_comes_through_and_leaves_nothing(
    estate: Estate,
) -> None:
    await estate.account()
    estate.backend.fail_on_call = len(estate.backend.calls) + 1
    error = await refused(estate.pool())
    assert error.code == "InternalError"
    assert not [one for one in estate.store.all() if one.token == POOL]


@pytest.mark.parametrize("token", TYPES)
def test_every_type_can_be_previewed_while_everything_is_unknown(
    token: str, estate: Estate
) -> None:
    declared = schema.load(token)
    news = dict.fromkeys(declared.inputs, UNKNOWN)
    known = estate.manager.preview(token, news)
    assert known["azureApiVersion"] == declared.api_version
    promised = {name for name, promise in declared.outputs.items() if promise}
    assert promised <= known.keys()


async def test_a_preview_of_an_update_knows_what_will_not_change(estate: Estate) -> None:
    await estate.account()
    made = await estate.pool()
    known = estate.manager.preview(POOL, {**made.inputs, "displayName": "x"}, made.id)
    assert known["name"] == made.outputs["name"]
    assert known["creationTime"] == made.outputs["creationTime"]
    assert known["etag"] is UNKNOWN


async def test_endpoints_are_where_the_emulator_listens_now(estate: Estate) -> None:
    await estate.account()
    resource_id = next(one.id for one in estate.store.all() if one.token == ACCOUNT)
    moved = ResourceManager(MemoryBackend("http://127.0.0.1:99"), estate.store)
    found = await moved.read(ACCOUNT, resource_id)
    assert found is not None
    assert found.outputs["accountEndpoint"] == "http://127.0.0.1:99"


def test_an_unknown_function_is_refused_by_name(estate: Estate) -> None:
    with pytest.raises(UnknownTypeError, match=r"getClientConfg.*did you mean.*getClientConfig"):
        estate.manager.invoke("azure-native:authorization:getClientConfg", {})


async def test_the_same_resource_is_put_by_one_at_a_time(estate: Estate) -> None:
    await estate.account()
    results = await asyncio.gather(
        *(estate.pool(displayName=str(number), owner=str(number)) for number in range(5)),
        return_exceptions=True,
    )
    assert sum(not isinstance(one, BaseException) for one in results) == 1


@pytest.mark.parametrize(
    ("resource_id", "kind", "parent"),
    [
        (
            "/subscriptions/s/resourceGroups/g",
            "Microsoft.Resources/resourceGroups",
            "/subscriptions/s",
        ),
        (
            A,
            "N.S/accounts",
            "/subscriptions/s/resourceGroups/g",
        ),
        (
            f"{A}/blobServices/default/containers/c",
            "N.S/accounts/blobServices/containers",
            A,
        ),
        (
            f"{A}/providers/N.T/things/t",
            "N.T/things",
            A,
        ),
        ("/subscriptions/s/providers/N.T/budgets/b", "N.T/budgets", "/subscriptions/s"),
    ],
)
def test_an_id_tells_type_and_parent(resource_id: str, kind: str, parent: str) -> None:
    assert arm_type(resource_id) == kind
    assert parent_id(resource_id) == parent
