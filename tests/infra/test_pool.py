"""What a change of a pool comes to: an update, or a new pool under a new name."""

from __future__ import annotations

import inspect
import json
from datetime import date
from typing import Any

import pytest
from pulumi_azure_native.batch import PoolArgs as AzurePoolArgs

from infra.components.place import Place
from infra.components.pool import PoolArgs, fingerprint, pool_name, unchangeable
from infra.config import StackConfig
from infra.estate import plan_estate
from infra.pool_changes import EFFECTS, REPLACED_ON_CHANGES, Effect
from infra.sources import PROJECT_ROOT

POOL: dict[str, Any] = {"scale": {"mode": "fixed", "dedicated_nodes": 1}}
PUBLIC_IP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/publicIPAddresses/one"
NEW_POOL: list[dict[str, Any]] = [
    {"vm_size": "Standard_D8s_v5"},
    {"image": "almalinux-hpc-9"},
    {"image_version": "24.04.202512010"},
    {"task_slots_per_node": 2},
    {"fill": "pack"},
    {"inter_node_communication": True},
    {"ephemeral_os_disk": True},
    {"encryption_at_host": True},
    {"display_name": "Pool of the lab"},
    {"mounts": [{"type": "blob", "path": "data", "container": "inputs"}]},
    {"mounts": [{"type": "nfs", "path": "home", "source": "files.lab.example:/home"}]},
    {"containers": {"images": ["docker.io/library/alpine:3"]}},
    {"data_disks": [{"lun": 0, "size_gib": 64}]},
    {"user_accounts": {"cfd": {"password_secret": "cfd"}}},
    {"extensions": {"a": {"publisher": "p", "type": "t", "version": "1.0"}}},
    {"upgrade_policy": {"mode": "manual"}},
    {"os_disk": {"size_gib": 256, "storage": "Premium_LRS"}},
    {"trusted_launch": True},
    {"zones": "zonal"},
    {"accelerated_networking": True},
    {"public_ip_ids": [PUBLIC_IP]},
    {
        "inbound": {
            "web": {
                "port": 8080,
                "first_frontend_port": 10000,
                "last_frontend_port": 10099,
                "allow_from": ["203.0.113.7/32"],
            }
        }
    },
]
SAME_POOL: list[dict[str, Any]] = [
    {"scale": {"mode": "fixed", "dedicated_nodes": 2}},
    {"scale": {"max_dedicated_nodes": 3}},
    {"start_task": {"command_line": "/bin/true"}},
    {"metadata": {"team": "cfd"}},
    {"start_task": {"command_line": "sh x", "files": [{"container": "programs"}]}},
    {"scale": {"min_spot_nodes": 1, "max_spot_nodes": 2, "spot_share": 0.5, "max_step_up": 1}},
]


def name_of(pool: dict[str, Any], **args: Any) -> str:
    config = StackConfig.model_validate({"pools": {"a": {**POOL, **pool}}})
    estate = plan_estate("dev", config, root=PROJECT_ROOT, today=date(2026, 1, 1))
    given: dict[str, Any] = {
        "place": Place(resource_group_name="g", location="eastus"),
        "plan": estate.pools[0],
        "stack": "dev",
        "account_name": "account",
        "subnet_id": "/subnets/pools",
        "data_account_name": "hpcdevdata",
        "blob_endpoint": "https://hpcdevdata.blob.core.windows.net",
        "identity_id": "/identities/nodes",
        "registry_server": None,
        "public_addresses": True,
        "after": (),
    }
    secret = {"cfd": "fingerprint"}.__getitem__
    text = json.dumps(unchangeable(PoolArgs(**{**given, **args}), secret=secret), sort_keys=True)
    return pool_name("a", text)


NAME = name_of({})


@pytest.mark.parametrize("change", NEW_POOL, ids=lambda change: next(iter(change)))
def test_what_azure_cannot_change_live_makes_a_new_pool(change: dict[str, Any]) -> None:
    assert name_of(change) != NAME


def test_a_pool_that_moves_or_changes_its_identity_is_a_new_pool() -> None:
    assert name_of({}, subnet_id="/subnets/other") != NAME
    assert name_of({}, identity_id="/identities/other") != NAME
    assert name_of({}, public_addresses=False) != NAME


def test_a_secrets_digest_is_its_own_and_tells_nothing_of_it() -> None:
    first = fingerprint("cfd", "of a test")
    assert first == fingerprint("cfd", "of a test")
    assert len({first, fingerprint("cfd", "of another"), fingerprint("dfc", "of a test")}) == 3
    assert "of a test" not in first


def test_two_pools_of_one_kind_have_names_of_their_own() -> None:
    assert pool_name("a", "{}") != pool_name("b", "{}")


@pytest.mark.parametrize("change", SAME_POOL, ids=str)
def test_what_azure_changes_live_keeps_the_pool(change: dict[str, Any]) -> None:
    assert name_of(change) == NAME


def test_the_effect_of_every_field_of_the_sdks_pool_is_known() -> None:
    parameters = set(inspect.signature(AzurePoolArgs.__init__).parameters) - {"__self__"}
    assert {snake(field) for field in EFFECTS} == parameters


def test_the_engine_is_told_of_everything_that_is_not_live() -> None:
    live = {field for field, effect in EFFECTS.items() if effect is Effect.LIVE}
    assert set(REPLACED_ON_CHANGES) == set(EFFECTS) - live
    assert live == {"applicationPackages", "metadata", "scaleSettings", "startTask", "tags"}


def snake(field: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field)
