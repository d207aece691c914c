"""A program under mocks meets the same Resource Manager as under the engine."""

from __future__ import annotations

import asyncio

import pulumi
import pytest
from pulumi_azure_native import authorization, batch, compute, resources, storage

from emulator.arm.errors import ArmError, UnknownTypeError
from emulator.arm.memory import MemoryBackend
from emulator.arm.mocks import ProgramError, run_program


def estate() -> None:
    group = resources.ResourceGroup("rg", location="East US")
    data = storage.StorageAccount(
        "data",
        resource_group_name=group.name,
        kind="StorageV2",
        sku=storage.SkuArgs(name="Standard_LRS"),
    )
    storage.BlobContainer("inputs", account_name=data.name, resource_group_name=group.name)
    account = batch.BatchAccount(
        "hpc",
        account_name="hpc",
        resource_group_name=group.name,
        auto_storage=batch.AutoStorageBasePropertiesArgs(storage_account_id=data.id),
    )
    pulumi.export("endpoint", account.account_endpoint)
    pulumi.export("blob", data.primary_endpoints.blob)
    pulumi.export("region", account.location)
    pulumi.export("secret", pulumi.Output.secret("s"))
    pulumi.export("option", pulumi.Config().get("option"))


def test_outputs_are_those_that_resource_manager_gives() -> None:
    backend = MemoryBackend("http://127.0.0.1:7", "http://127.0.0.1:8")
    run = run_program(estate, project="p", config={"p:option": "on"}, backend=backend)
    account = run.arm.one("storage:StorageAccount")
    assert run.outputs == {
        "endpoint": "http://127.0.0.1:7",
        "blob": f"http://127.0.0.1:8/{account.outputs['name']}/",
        "region": "East US",
        "secret": "s",
        "option": "on",
    }
    assert backend.containers == {account.outputs["name"]: {"inputs"}}
    auto_storage = run.arm.one("batch:BatchAccount", "hpc").inputs["autoStorage"]
    assert auto_storage["storageAccountId"] == account.id


def test_two_runs_do_not_see_each_other_and_are_equal() -> None:
    first, second = run_program(estate), run_program(estate)
    assert first.outputs == second.outputs
    assert [one.id for one in first.arm.resources if one.token != "pulumi:pulumi:Stack"]
    assert {one.id for one in first.arm.resources} == {one.id for one in second.arm.resources}


def test_a_refusal_of_resource_manager_fails_the_program() -> None:
    def program() -> None:
        storage.BlobContainer("inputs", account_name="nowhere", resource_group_name="nothing")

    with pytest.raises(ArmError) as caught:
        run_program(program)
    assert caught.value.code == "ResourceGroupNotFound"


def test_wrong_inputs_fail_the_program_all_at_once() -> None:
    def program() -> None:
        resources.ResourceGroup("rg", tags={"a": 1, "b": 2})  # type: ignore[dict-item]

    with pytest.raises(ProgramError) as caught:
        run_program(program)
    assert "tags.a: expected a string, got 1" in str(caught.value)
    assert "tags.b: expected a string, got 2" in str(caught.value)


def test_a_type_that_is_not_modelled_fails_the_program_by_name() -> None:
    def program() -> None:
        compute.Disk("d", resource_group_name="g", creation_data={"create_option": "Empty"})

    with pytest.raises(UnknownTypeError, match="azure-native:compute:Disk"):
        run_program(program)


def test_components_are_recorded_beside_resources() -> None:
    class Component(pulumi.ComponentResource):
        def __init__(self) -> None:
            super().__init__("hpc:index:Thing", "thing", {})
            group = resources.ResourceGroup(
                "rg", location="eastus", opts=pulumi.ResourceOptions(parent=self)
            )
            self.register_outputs({"name": group.name})

    def program() -> None:
        Component()

    run = run_program(program)
    assert [(one.token, one.id) for one in run.arm.resources[:1]] == [("hpc:index:Thing", None)]
    with pytest.raises(LookupError, match="0 resources match batch:Pool"):
        run.arm.one("batch:Pool")


def test_a_failed_run_leaves_nothing_for_the_next() -> None:
    def program() -> None:
        pulumi.export("left", "over")
        batch.Pool("cpu", resource_group_name="x", account_name="y")

    for _ in range(2):
        with pytest.raises(ArmError):
            run_program(program)
    assert "left" not in run_program(estate).outputs


def test_a_failed_run_leaves_nothing_under_way() -> None:
    loops = []

    def program() -> None:
        loops.append(asyncio.get_running_loop())
        never: pulumi.Output[str] = pulumi.Output.from_input(loops[0].create_future())
        storage.BlobContainer("c", account_name=never, resource_group_name="x")
        never.apply(lambda value: [value]).apply(list)
        batch.Pool("cpu", resource_group_name="x", account_name="y")

    with pytest.raises(ArmError):
        run_program(program)
    assert asyncio.all_tasks(loops[0]) == set()


def test_functions_that_give_out_keys_are_refused_by_name() -> None:
    def program() -> None:
        storage.list_storage_account_keys(account_name="data", resource_group_name="g")

    with pytest.raises(ArmError, match=r"keys of data are not given out.*\.local/keys\.json"):
        run_program(program)


@pytest.mark.parametrize(
    ("kind", "tier", "shared", "given"),
    [
        ("FileStorage", "Premium", True, True),
        ("FileStorage", "Premium", False, False),
        ("StorageV2", "Standard", True, False),
    ],
)
def test_keys_are_given_of_shares_that_nothing_else_opens(
    kind: str, tier: str, shared: bool, given: bool
) -> None:
    found = []

    def program() -> None:
        group = resources.ResourceGroup("g", resource_group_name="g", location="eastus")
        account = storage.StorageAccount(
            "a",
            resource_group_name=group.name,
            account_name="hpcshares",
            kind=kind,
            sku=storage.SkuArgs(name=f"{tier}_LRS"),
            allow_shared_key_access=shared,
        )
        keys = storage.list_storage_account_keys_output(
            account_name=account.name, resource_group_name=group.name
        )
        keys.apply(lambda keys: found.append(keys.keys[0].value))

    if given:
        run_program(program)
        assert len(found) == 1
    else:
        with pytest.raises(ArmError, match="not given out"):
            run_program(program)


def refused_account(*, nfs: bool, directories: bool) -> str:
    def program() -> None:
        group = resources.ResourceGroup("g", resource_group_name="g", location="eastus")
        account = storage.StorageAccount(
            "a",
            resource_group_name=group.name,
            account_name="hpcnfs",
            kind="StorageV2",
            sku=storage.SkuArgs(name="Standard_GRS"),
            enable_nfs_v3=nfs,
            is_hns_enabled=directories,
        )
        storage.FileShare(
            "s",
            resource_group_name=group.name,
            account_name=account.name,
            share_name="home",
            enabled_protocols="NFS",
        )

    with pytest.raises(ArmError) as refusal:
        run_program(program)
    return str(refusal.value)


def test_nfs_is_refused_where_azure_has_none() -> None:
    assert "hierarchical namespace" in refused_account(nfs=True, directories=False)
    assert "redundancy" in refused_account(nfs=True, directories=True)
    assert "FileStorage" in refused_account(nfs=False, directories=False)


def test_who_is_signed_in_is_known_and_stable() -> None:
    found = []

    def program() -> None:
        found.append(authorization.get_client_config().subscription_id)

    run_program(program)
    run_program(program)
    assert found[0] == found[1]
    assert found[0].startswith("00000000-0000-")
