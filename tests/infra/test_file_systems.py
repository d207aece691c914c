"""File systems that the stack makes: closed to all but the nodes that mount them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from emulator.arm.mocks import ProgramRun, run_program
from infra.components.identity import BLOB_DATA_CONTRIBUTOR
from infra.config import StackConfig
from infra.estate import plan_estate
from infra.file_systems import TYPES, FileSystemType
from infra.platform import Platform
from infra.sources import PROJECT_ROOT

ALL: dict[str, Any] = {kind: {"type": kind} for kind in TYPES}
ACCOUNT = "storage:StorageAccount"


def mount(name: str) -> dict[str, Any]:
    return {"type": "file-system", "path": name, "file_system": name}


def made(
    file_systems: dict[str, Any], mounts: dict[str, list[str]] | None = None, **raw: Any
) -> ProgramRun:
    """A stack with file systems; `mounts` are their names by pool, all in one by default."""
    pools = {
        name: {
            "scale": {"mode": "fixed", "dedicated_nodes": 1},
            "mounts": [mount(one) for one in wanted],
        }
        for name, wanted in (mounts or {"a": list(file_systems)}).items()
    }
    config = StackConfig.model_validate(
        {
            "pools": pools,
            **raw,
            "storage": {"file_systems": file_systems, **raw.get("storage", {})},
        }
    )
    estate = plan_estate("dev", config, root=PROJECT_ROOT, today=date(2026, 1, 1))
    return run_program(lambda: void(Platform("hpc", estate)), project="hpc", stack="dev")


@pytest.fixture(scope="module")
def everything() -> ProgramRun:
    """One file system of each type, called after it, all mounted by one pool."""
    return made(ALL)


def account(run: ProgramRun, kind: FileSystemType) -> Any:
    return run.arm.one(ACCOUNT, f"hpcdev{TYPES[kind].purpose}")


def mounts_of(run: ProgramRun, pool: str = "a") -> list[dict[str, Any]]:
    (found,) = [one for one in run.arm.of("batch:Pool") if one.name == pool]
    return list(found.inputs["mountConfiguration"])


def test_each_type_has_an_account_of_its_own_that_is_what_it_needs(everything: ProgramRun) -> None:
    run = everything
    lake, nfs = account(run, "blobfuse").inputs, account(run, "blob-nfs").inputs
    assert (lake["isHnsEnabled"], lake.get("enableNfsV3")) == (True, None)
    assert (nfs["isHnsEnabled"], nfs["enableNfsV3"]) == (True, True)
    for kind in ("files-nfs", "files-smb"):
        inputs = account(run, kind).inputs
        assert (inputs["kind"], inputs["sku"]["name"]) == ("FileStorage", "Premium_LRS")
    protocols = {
        one.name: one.inputs["enabledProtocols"] for one in run.arm.of("storage:FileShare")
    }
    assert {name.rpartition("-file-systems-")[2]: one for name, one in protocols.items()} == {
        "files-files-nfs": "NFS",
        "smb-files-smb": "SMB",
    }


def test_secure_transfer_is_given_up_for_nfs_4_alone_and_keys_for_smb_alone(
    everything: ProgramRun,
) -> None:
    run = everything
    insecure = {
        one.name for one in run.arm.of(ACCOUNT) if not one.inputs["enableHttpsTrafficOnly"]
    }
    keyed = {one.name for one in run.arm.of(ACCOUNT) if one.inputs["allowSharedKeyAccess"]}
    assert insecure == {"hpcdevfiles"}
    assert keyed == {"hpcdevsmb"}


def test_only_subnets_of_pools_that_mount_it_reach_an_account() -> None:
    run = made(
        {"scratch": {"type": "blob-nfs"}, "home": {"type": "files-nfs"}},
        {"a": ["scratch"], "b": ["scratch", "home"], "c": []},
        network={"subnets": "per-pool"},
    )
    subnets = {one.inputs["subnetName"]: one.id for one in run.arm.of("network:Subnet")}
    expected: dict[FileSystemType, str] = {"blob-nfs": "ab", "files-nfs": "b"}
    for kind, pools in expected.items():
        rules = account(run, kind).inputs["networkRuleSet"]
        assert rules["defaultAction"] == "Deny"
        reached = [one["virtualNetworkResourceId"] for one in rules["virtualNetworkRules"]]
        assert sorted(reached) == sorted(str(subnets[f"pool-{pool}"]) for pool in pools)


def test_pools_in_one_subnet_name_it_once() -> None:
    run = made({"scratch": {"type": "blob-nfs"}}, {"a": ["scratch"], "b": ["scratch"]})
    rules = account(run, "blob-nfs").inputs["networkRuleSet"]["virtualNetworkRules"]
    assert len(rules) == 1


def test_with_private_endpoints_nobody_reaches_an_account_but_by_them() -> None:
    run = made(ALL, network={"private_endpoints": True})
    for kind in TYPES:
        inputs = account(run, kind).inputs
        assert inputs["publicNetworkAccess"] == "Disabled"
        assert inputs["networkRuleSet"]["defaultAction"] == "Deny"
    faces = {
        one.name.removeprefix("hpc-link-"): one.inputs["privateLinkServiceConnections"][0]
        for one in run.arm.of("network:PrivateEndpoint")
    }
    groups = {name: face["groupIds"] for name, face in faces.items() if "-" in name}
    assert groups == {
        "lake-blob": ["blob"],
        "lake-dfs": ["dfs"],
        "nfs-blob": ["blob"],
        "files-file": ["file"],
        "smb-file": ["file"],
    }
    zones = {one.inputs["privateZoneName"] for one in run.arm.of("privatedns:PrivateZone")}
    assert {"privatelink.dfs.core.windows.net", "privatelink.file.core.windows.net"} <= zones


@pytest.mark.parametrize(
    ("kind", "ports"),
    [
        ("blobfuse", []),
        ("blob-nfs", ["111", "2048"]),
        ("files-nfs", ["2049"]),
        ("files-smb", ["445"]),
    ],
)
@pytest.mark.parametrize("endpoints", [False, True])
def test_nodes_reach_the_ports_of_what_they_mount(
    kind: str, ports: list[str], endpoints: bool
) -> None:
    run = made({"scratch": {"type": kind}}, network={"private_endpoints": endpoints})
    (group,) = run.arm.of("network:NetworkSecurityGroup")
    opened = {
        rule["destinationAddressPrefix"]: rule["destinationPortRanges"]
        for rule in group.inputs["securityRules"]
        if rule["name"].startswith("allow-file-systems")
    }
    to = "10.64.255.224/27" if endpoints else "Storage.eastus"
    assert opened == ({to: ports} if ports else {})


def test_file_servers_of_ones_own_are_reached_in_the_network() -> None:
    pools = {
        "a": {
            "mounts": [
                {"type": "nfs", "path": "home", "source": "files.lab.example:/home"},
                {
                    "type": "cifs",
                    "path": "old",
                    "source": "//files.lab.example/old",
                    "user_name": "lab",
                    "password_secret": "old",
                },
            ]
        }
    }
    config = StackConfig.model_validate({"pools": pools})
    estate = plan_estate("dev", config, root=PROJECT_ROOT, today=date(2026, 1, 1))
    run = run_program(
        lambda: void(Platform("hpc", estate)),
        project="hpc",
        stack="dev",
        config={"hpc-secrets:old": "of a test"},
    )
    (group,) = run.arm.of("network:NetworkSecurityGroup")
    (rule,) = [
        one
        for one in group.inputs["securityRules"]
        if one["name"].startswith("allow-file-systems")
    ]
    assert rule["destinationAddressPrefix"] == "VirtualNetwork"
    assert rule["destinationPortRanges"] == ["111", "445", "2049"]


def test_pools_mount_by_name_what_the_stack_made(everything: ProgramRun) -> None:
    run = everything
    mounts = mounts_of(run)
    names = {kind: account(run, kind).outputs["name"] for kind in TYPES}
    blobfuse, nfs, files, smb = (next(iter(one.items())) for one in mounts)
    assert blobfuse[0] == "azureBlobFileSystemConfiguration"
    assert blobfuse[1]["accountName"] == names["blobfuse"]
    assert blobfuse[1]["identityReference"]["resourceId"]
    assert nfs[1]["source"] == (
        f"{names['blob-nfs']}.blob.core.windows.net:/{names['blob-nfs']}/blob-nfs"
    )
    assert files[1]["source"] == (
        f"{names['files-nfs']}.file.core.windows.net:/{names['files-nfs']}/files-nfs"
    )
    assert smb[0] == "azureFileShareConfiguration"
    assert smb[1]["azureFileUrl"] == (
        f"https://{names['files-smb']}.file.core.windows.net/files-smb"
    )
    for _, one in (blobfuse, nfs, files):
        assert not any("Key" in key for key in one)


def test_nodes_may_write_blobs_that_they_mount_by_identity(everything: ProgramRun) -> None:
    run = everything
    lake = account(run, "blobfuse").id
    granted = [
        one.inputs["roleDefinitionId"].rpartition("/")[2]
        for one in run.arm.of("authorization:RoleAssignment")
        if one.inputs["scope"] == lake
    ]
    assert granted == [BLOB_DATA_CONTRIBUTOR]


def test_a_key_is_in_no_name_and_no_output() -> None:
    run = made({"share": {"type": "files-smb"}})
    key = mounts_of(run)[0]["azureFileShareConfiguration"]["accountKey"]
    assert len(key) > 40
    (pool,) = run.arm.of("batch:Pool")
    assert key not in pool.inputs["poolName"]
    assert key not in str(run.outputs)


def test_copies_stay_in_the_region() -> None:
    run = made(ALL, storage={"replication": "GZRS"})
    for kind in TYPES:
        assert account(run, kind).inputs["sku"]["name"].endswith("_ZRS")


def test_root_squash_and_size_reach_azure() -> None:
    run = made(
        {
            "home": {"type": "files-nfs", "size_gib": 512, "root_squash": True},
            "scratch": {"type": "blob-nfs", "root_squash": True, "delete_after_days": 7},
        }
    )
    share = run.arm.one("storage:FileShare").inputs
    assert (share["shareQuota"], share["rootSquash"]) == (512, "RootSquash")
    (container,) = [
        one
        for one in run.arm.of("storage:BlobContainer")
        if one.inputs["containerName"] == "scratch"
    ]
    assert container.inputs["enableNfsV3RootSquash"] is True
    (policy,) = [
        one for one in run.arm.of("storage:ManagementPolicy") if "file-systems" in one.name
    ]
    (rule,) = policy.inputs["policy"]["rules"]
    delete = rule["definition"]["actions"]["baseBlob"]["delete"]
    assert delete == {"daysAfterModificationGreaterThan": 7}


def test_blobs_cool_and_old_versions_go() -> None:
    run = made(
        {},
        {"a": []},
        storage={"versioning": True, "cool_after_days": {"outputs": 45}},
    )
    (policy,) = run.arm.of("storage:ManagementPolicy")
    rules = {rule["name"]: rule["definition"] for rule in policy.inputs["policy"]["rules"]}
    actions = rules["lifecycle-outputs"]["actions"]
    assert actions["baseBlob"]["tierToCool"] == {"daysAfterModificationGreaterThan": 45}
    for rule in rules.values():
        assert rule["actions"]["version"]["delete"] == {"daysAfterCreationGreaterThan": 90}


def test_where_no_blob_ever_cools_or_goes_there_is_no_policy_which_azure_would_refuse() -> None:
    run = made({}, {"a": []}, storage={"delete_after_days": {"logs": None}})
    assert run.arm.of("storage:ManagementPolicy") == []


def void(_: object) -> None:
    """Drops what was declared."""
