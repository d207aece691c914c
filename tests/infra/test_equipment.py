"""What a pool may be equipped with reaches Azure whole, and no secret reaches anyone."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from emulator.arm.memory import MemoryBackend
from emulator.arm.mocks import ProgramRun, Registered, run_program
from infra.changes import DeployedState, pool_changes
from infra.checking import plan_stack
from infra.components.identity import ACR_PULL
from infra.equipment import EquipmentConfig
from infra.estate import Estate
from infra.platform import Platform
from infra.sources import PROJECT_ROOT

PASSWORD, KEY = "of a person in a test", "b2YgYSB0ZXN0"
SECRETS = {"hpc-secrets:cfd": PASSWORD, "hpc-secrets:share": KEY}
EQUIPPED: dict[str, Any] = {
    "image": "ubuntu-hpc-24.04",
    "mounts": [
        {"type": "blob", "path": "data", "container": "inputs", "blobfuse_options": "-o ro"},
        {"type": "nfs", "path": "home", "source": "files.lab.example:/home"},
        {
            "type": "files",
            "path": "share",
            "account_name": "labfiles",
            "share_url": "https://labfiles.file.core.windows.net/scratch",
            "account_key_secret": "share",
        },
        {
            "type": "cifs",
            "path": "old",
            "source": "//files.lab.example/old",
            "user_name": "lab",
            "password_secret": "cfd",
            "mount_options": "-o vers=3.0",
        },
    ],
    "containers": {"images": ["lab.azurecr.io/cfd:1"], "registries": ["lab.azurecr.io"]},
    "data_disks": [{"lun": 3, "size_gib": 256, "caching": "read-only", "storage": "Premium_LRS"}],
    "user_accounts": {
        "cfd": {"password_secret": "cfd", "elevated": True, "uid": 1200, "gid": 1201}
    },
    "extensions": {
        "health": {
            "publisher": "Microsoft.ManagedServices",
            "type": "ApplicationHealthLinux",
            "version": "1.0",
            "settings": {"protocol": "tcp", "port": 22},
        }
    },
    "upgrade_policy": {"mode": "rolling", "max_batch_percent": 10},
    "os_disk": {"size_gib": 128, "storage": "Premium_LRS"},
    "trusted_launch": True,
    "zones": "zonal",
    "accelerated_networking": True,
    "public_ip_ids": [
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/publicIPAddresses/one"
    ],
    "inbound": {
        "web": {
            "port": 8080,
            "first_frontend_port": 10000,
            "last_frontend_port": 10099,
            "allow_from": ["203.0.113.7/32", "198.51.100.0/24"],
        },
        "events": {
            "port": 9000,
            "protocol": "UDP",
            "first_frontend_port": 11000,
            "last_frontend_port": 11099,
            "allow_from": ["203.0.113.7/32"],
        },
    },
}


def planned(**changed: Any) -> Estate:
    raw = {"pools": {"cfd": {**EQUIPPED, **changed}, "plain": {}}}
    found = plan_stack("dev", raw, root=PROJECT_ROOT)
    assert {one.code for one in found.findings} <= {"EQU007", "FSY006", "MAC002"}
    return found.deployable()


def provisioned(estate: Estate, secrets: dict[str, str] = SECRETS) -> ProgramRun:
    def program() -> None:
        for name, value in Platform("hpc", estate).outputs.items():
            pulumi.export(name, value)

    return run_program(program, project="hpc", stack="dev", config=secrets)


@pytest.fixture(scope="module")
def run() -> ProgramRun:
    return provisioned(planned())


@pytest.fixture(scope="module")
def pool(run: ProgramRun) -> Registered:
    return run.arm.one("batch:Pool", "cfd")


def test_the_service_has_all_that_the_config_has(run: ProgramRun, pool: Registered) -> None:
    """What Resource Manager hands on is in the service's words, nothing lost."""
    backend = run.arm.backend
    assert isinstance(backend, MemoryBackend)
    body = next(
        found
        for pools in backend.accounts.values()
        for name, found in pools.items()
        if "cfd" in name
    )
    machine = body["virtualMachineConfiguration"]
    nodes = run.arm.one("managedidentity:UserAssignedIdentity", "hpc-nodes").id
    data = run.arm.one("storage:StorageAccount", "hpcdevdata").inputs["accountName"]
    blob, nfs, files, cifs = body["mountConfiguration"]
    assert blob["azureBlobFileSystemConfiguration"] == {
        "accountName": data,
        "containerName": "inputs",
        "relativeMountPath": "data",
        "blobfuseOptions": "-o ro",
        "identityReference": {"resourceId": nodes},
    }
    assert nfs["nfsMountConfiguration"]["source"] == "files.lab.example:/home"
    assert files["azureFileShareConfiguration"]["accountKey"] == KEY
    assert cifs["cifsMountConfiguration"]["password"] == PASSWORD
    assert machine["containerConfiguration"] == {
        "type": "dockerCompatible",
        "containerImageNames": ["lab.azurecr.io/cfd:1"],
        "containerRegistries": [
            {"registryServer": "lab.azurecr.io", "identityReference": {"resourceId": nodes}}
        ],
    }
    (disk,) = machine["dataDisks"]
    assert (disk["lun"], disk["diskSizeGB"], disk["caching"]) == (3, 256, "readonly")
    assert machine["osDisk"]["diskSizeGB"] == 128
    assert machine["securityProfile"]["uefiSettings"]["secureBootEnabled"] is True
    assert machine["nodePlacementConfiguration"] == {"policy": "zonal"}
    assert body["networkConfiguration"]["enableAcceleratedNetworking"] is True
    assert body["networkConfiguration"]["publicIPAddressConfiguration"]["ipAddressIds"]
    assert machine["extensions"][0]["settings"] == {"protocol": "tcp", "port": 22}
    (account,) = body["userAccounts"]
    assert account["linuxUserConfiguration"] == {"uid": 1200, "gid": 1201}
    assert (account["elevationLevel"], account["password"]) == ("admin", PASSWORD)
    assert body["upgradePolicy"]["mode"] == "rolling"
    assert body["upgradePolicy"]["rollingUpgradePolicy"]["maxBatchInstancePercent"] == 10
    assert pool.inputs["poolName"] == body["id"]


def test_a_port_is_open_to_who_is_named_and_to_nobody_else(pool: Registered) -> None:
    endpoint = pool.inputs["networkConfiguration"]["endpointConfiguration"]
    rules = [rule for nat in endpoint["inboundNatPools"] for rule in nat_rules(nat)]
    assert len({rule["priority"] for rule in rules}) == len(rules)
    for nat in endpoint["inboundNatPools"]:
        *allowed, last = nat_rules(nat)
        assert {rule["access"] for rule in allowed} == {"Allow"}
        assert (last["access"], last["sourceAddressPrefix"]) == ("Deny", "*")
        assert all(rule["priority"] < last["priority"] for rule in allowed)


def test_a_registry_of_ones_own_is_pulled_from_by_identity_alone() -> None:
    raw = {
        "registry": {"name": "hpcLab"},
        "pools": {
            "boxed": {"image": "ubuntu-hpc-24.04", "containers": {"registries": ["b.azurecr.io"]}},
            "plain": {},
        },
    }
    run = provisioned(plan_stack("dev", raw, root=PROJECT_ROOT).deployable(), {})
    registry = run.arm.one("containerregistry:Registry")
    assert (registry.inputs["registryName"], registry.inputs["adminUserEnabled"]) == (
        "hpcLab",
        False,
    )
    (grant,) = [
        role
        for role in run.arm.of("authorization:RoleAssignment")
        if role.inputs["scope"] == registry.id
    ]
    nodes = run.arm.one("managedidentity:UserAssignedIdentity", "hpc-nodes")
    assert grant.inputs["roleDefinitionId"].endswith(ACR_PULL)
    assert grant.inputs["principalId"] == nodes.outputs["principalId"]
    machines = {
        one.name: one.inputs["deploymentConfiguration"]["virtualMachineConfiguration"]
        for one in run.arm.of("batch:Pool")
    }
    assert "containerConfiguration" not in machines["plain"]
    signed_in = machines["boxed"]["containerConfiguration"]["containerRegistries"]
    assert signed_in == [
        {"registryServer": server, "identityReference": {"resourceId": nodes.id}}
        for server in ("b.azurecr.io", "hpclab.azurecr.io")
    ]


def test_no_registry_exists_unasked(run: ProgramRun) -> None:
    assert run.arm.of("containerregistry:Registry") == []


def nat_rules(nat: dict[str, Any]) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = nat["networkSecurityGroupRules"]
    return rules


def test_the_subnet_lets_the_same_in(run: ProgramRun) -> None:
    (group,) = run.arm.of("network:NetworkSecurityGroup")
    inbound = {
        (rule["sourceAddressPrefix"], rule["protocol"], *rule["destinationPortRanges"])
        for rule in group.inputs["securityRules"]
        if rule["direction"] == "Inbound" and rule["access"] == "Allow"
    }
    assert inbound == {
        ("203.0.113.7/32", "Tcp", "8080"),
        ("198.51.100.0/24", "Tcp", "8080"),
        ("203.0.113.7/32", "Udp", "9000"),
    }


def test_no_secret_is_in_a_name_an_output_or_a_label(run: ProgramRun, pool: Registered) -> None:
    shown = json.dumps([pool.inputs["poolName"], pool.inputs["metadata"], dict(run.outputs)])
    assert PASSWORD not in shown
    assert KEY not in shown


def test_a_new_value_of_a_secret_is_a_new_pool_and_touches_no_other(run: ProgramRun) -> None:
    second = provisioned(planned(), {**SECRETS, "hpc-secrets:cfd": "a new one"})
    assert pool_names(run).keys() == pool_names(second).keys()
    changed = [name for name, one in pool_names(run).items() if one != pool_names(second)[name]]
    assert changed == ["cfd"]


def pool_names(run: ProgramRun) -> dict[str, str]:
    return {one.name: one.inputs["poolName"] for one in run.arm.of("batch:Pool")}


def test_a_secret_that_is_not_set_is_named() -> None:
    with pytest.raises(Exception, match=r"(?s)hpc-secrets:share.*pulumi config set --secret"):
        provisioned(planned(), {"hpc-secrets:cfd": PASSWORD})


def state_of(run: ProgramRun) -> DeployedState:
    """The state as the engine exports it: passwords and keys encrypted."""

    def sealed(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: {"ciphertext": "v1:…"} if key in {"password", "accountKey"} else sealed(one)
                for key, one in value.items()
            }
        return [sealed(one) for one in value] if isinstance(value, list) else value

    resources = [
        {
            "type": one.token,
            "urn": f"urn:pulumi:dev::hpc::{one.token}::{one.name}",
            "id": one.id,
            "inputs": sealed(dict(one.inputs)),
            "outputs": dict(one.outputs),
        }
        for one in run.arm.resources
    ]
    return DeployedState.parse(
        json.dumps({"version": 3, "deployment": {"resources": resources}}), source="test"
    )


CHANGED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "nothing": ({}, ()),
    "mounts": ({"mounts": EQUIPPED["mounts"][:3]}, ("mountConfiguration",)),
    "accounts": ({"user_accounts": {}}, ("userAccounts",)),
    "inbound": ({"inbound": {}}, ("networkConfiguration",)),
    "disks": ({"data_disks": []}, ("deploymentConfiguration",)),
}


def test_what_a_state_has_encrypted_is_not_guessed_at(run: ProgramRun) -> None:
    deployed = state_of(run)
    sealed = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    key = ("azure-native:batch:Pool", "cfd")
    inputs = {**deployed.resources[key]["inputs"], "mountConfiguration": sealed}
    entry = {**deployed.resources[key], "inputs": inputs}
    cfd, _ = pool_changes(planned(), DeployedState({**deployed.resources, key: entry}))
    assert (cfd.action, cfd.fields) == ("same", ())


@pytest.mark.parametrize("case", CHANGED)
def test_a_change_of_equipment_is_told_without_secrets(case: str, run: ProgramRun) -> None:
    changed, fields = CHANGED[case]
    cfd, plain = pool_changes(planned(**changed), state_of(run))
    assert tuple(field.field for field in cfd.fields) == fields
    assert (cfd.action, plain.action) == ("replace" if fields else "same", "same")
    assert KEY not in json.dumps([cfd.to_json()])


def test_the_test_equips_a_pool_with_everything_there_is() -> None:
    assert set(EquipmentConfig.model_fields) <= set(EQUIPPED)
