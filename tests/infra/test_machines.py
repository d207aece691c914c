"""What a pool's machines and its scale are asked for reaches Azure, and no more than that."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from autoscale.policies import FollowPending
from autoscale.schedule import KeepWarm
from emulator.arm.mocks import ProgramRun, run_program
from infra.checking import plan_stack
from infra.config import StackConfig
from infra.estate import plan_estate
from infra.platform import Platform
from infra.pools import PoolPlan
from infra.sources import PROJECT_ROOT

ADDRESS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/publicIPAddresses/one"


def provisioned(pool: dict[str, Any]) -> ProgramRun:
    config = StackConfig.model_validate({"pools": {"a": pool}})
    estate = plan_estate("dev", config, root=PROJECT_ROOT, today=date(2026, 1, 1))

    def program() -> None:
        Platform("hpc", estate)

    return run_program(program, project="hpc", stack="dev")


def planned(scale: dict[str, Any]) -> PoolPlan:
    config = StackConfig.model_validate({"pools": {"a": {"scale": scale}}})
    return plan_estate("dev", config, root=PROJECT_ROOT, today=date(2026, 1, 1)).pools[0]


def test_machines_are_what_the_config_says() -> None:
    run = provisioned(
        {
            "os_disk": {"size_gib": 256, "storage": "Premium_LRS", "caching": "read-write"},
            "trusted_launch": True,
            "encryption_at_host": True,
            "zones": "zonal",
            "accelerated_networking": True,
            "public_ip_ids": [ADDRESS],
            "start_task": {
                "command_line": "/bin/bash prepare.sh",
                "files": [
                    {"url": "https://a.example/prepare.sh", "path": "prepare.sh", "mode": "0755"},
                    {"container": "programs", "prefix": "tools/", "path": "tools"},
                ],
            },
        }
    )
    inputs = run.arm.one("batch:Pool").inputs
    machine = inputs["deploymentConfiguration"]["virtualMachineConfiguration"]
    assert machine["osDisk"] == {
        "diskSizeGB": 256,
        "managedDisk": {"storageAccountType": "Premium_LRS"},
        "caching": "ReadWrite",
    }
    assert machine["securityProfile"] == {
        "encryptionAtHost": True,
        "securityType": "trustedLaunch",
        "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
    }
    assert machine["nodePlacementConfiguration"] == {"policy": "Zonal"}
    network = inputs["networkConfiguration"]
    assert network["enableAcceleratedNetworking"] is True
    assert network["publicIPAddressConfiguration"] == {
        "provision": "UserManaged",
        "ipAddressIds": [ADDRESS],
    }
    by_url, by_container = inputs["startTask"]["resourceFiles"]
    assert (by_url["httpUrl"], by_url["fileMode"]) == ("https://a.example/prepare.sh", "0755")
    assert by_container["storageContainerUrl"].endswith("/programs")
    assert (by_container["blobPrefix"], by_container["filePath"]) == ("tools/", "tools")
    nodes = run.arm.one("managedidentity:UserAssignedIdentity", "hpc-nodes")
    for file in (by_url, by_container):
        assert file["identityReference"] == {"resourceId": nodes.id}


def test_a_plain_pool_says_nothing_of_what_it_was_not_asked() -> None:
    inputs = provisioned({}).arm.one("batch:Pool").inputs
    machine = inputs["deploymentConfiguration"]["virtualMachineConfiguration"]
    assert set(machine) == {"imageReference", "nodeAgentSkuId"}
    assert set(inputs["networkConfiguration"]) == {"subnetId", "publicIPAddressConfiguration"}


WARM: dict[str, Any] = {
    "nodes": 2,
    "zone": "Europe/Berlin",
    "from_hour": 7,
    "first_year": 2026,
    "last_year": 2027,
}


def test_every_option_of_the_policy_is_an_option_of_the_config() -> None:
    options: dict[str, Any] = {
        "max_dedicated_nodes": 6,
        "min_dedicated_nodes": 1,
        "max_spot_nodes": 8,
        "min_spot_nodes": 2,
        "spot_share": 0.75,
        "spot_fallback_minutes": 20,
        "nodes_per_task": 1,
        "idle_minutes": 30,
        "max_step_up": 4,
        "max_step_down": 2,
        "keep_warm": WARM,
        "node_deallocation_option": "requeue",
    }
    assert {*options, "task_slots_per_node"} == set(FollowPending.__dataclass_fields__)
    pool = planned(options)
    policy = FollowPending(**{**options, "keep_warm": KeepWarm(**WARM), "task_slots_per_node": 1})
    assert pool.scale.formula == policy.render()
    assert (pool.scale.min_nodes, pool.min_dedicated_nodes) == (3, 1)


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        ({"min_spot_nodes": 3, "max_spot_nodes": 2}, "min_spot_nodes is above max_spot_nodes"),
        ({"keep_warm": {**WARM, "zone": "Europe/Berlim"}}, "keep_warm.zone"),
    ],
)
def test_what_contradicts_itself_is_told_in_the_configs_words(
    scale: dict[str, Any], text: str
) -> None:
    raw = {"pools": {"a": {"scale": {"max_dedicated_nodes": 2, **scale}}}}
    (finding,) = [
        one for one in plan_stack("dev", raw, root=PROJECT_ROOT).findings if one.code == "FOR001"
    ]
    assert text in finding.message
    assert "KeepWarm" not in finding.message


def test_nodes_that_are_always_spot_are_priced_as_spot() -> None:
    pool = planned({"mode": "fixed", "spot_nodes": 3})
    assert (pool.scale.min_nodes, pool.min_dedicated_nodes) == (3, 0)


@pytest.mark.parametrize("least", [{"min_spot_nodes": 1}, {"min_dedicated_nodes": 1}])
def test_a_least_that_the_config_asks_for_is_no_finding_of_the_formula(
    least: dict[str, Any],
) -> None:
    scale = {"max_dedicated_nodes": 2, "max_spot_nodes": 2, **least}
    raw = {"pools": {"a": {"scale": scale}}}
    found = plan_stack("dev", raw, root=PROJECT_ROOT).findings
    assert [str(one) for one in found if one.code.startswith("FOR")] == []
