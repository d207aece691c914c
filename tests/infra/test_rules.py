"""Each rule with a case that breaks exactly it, and a near case that does not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infra import cli
from infra.checking import plan_stack
from infra.pools import NVIDIA_DRIVER
from infra.rules import RULES
from infra.rules.retirements import retirements_of
from infra.sizes import SIZES
from infra.sources import PROJECT_ROOT

TODAY = date(2026, 1, 15)
GALLERY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/lab/images/x"
NETWORKS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network"
HUB = f"{NETWORKS}/virtualNetworks/hub"
SUBNET = f"{HUB}/subnets/nodes"
ENDPOINTS = f"{HUB}/subnets/endpoints"
ADDRESS = f"{NETWORKS}/publicIPAddresses/one"
ZONE = f"{NETWORKS}/privateDnsZones/privatelink.batch.azure.com"
FIXED = {"mode": "fixed", "dedicated_nodes": 1}
AGENT = "batch.node.ubuntu 24.04"
GEN1 = {"publisher": "p", "offer": "o", "sku": "8-gen1", "node_agent_sku_id": "batch.node.el 8"}
UBUNTU = {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server"}
WINDOWS = {
    "publisher": "MicrosoftWindowsServer",
    "offer": "WindowsServer",
    "sku": "2022-datacenter-core",
    "node_agent_sku_id": "batch.node.windows amd64",
}
TWO_POOLS = {"a": {"scale": FIXED}, "b": {"scale": FIXED}}
TELEMETRY = {"node_telemetry": {"enabled": True}}
BATCH_ITSELF = {
    "pool_allocation": "user-subscription",
    "service_principal_id": "7f1d6a52-9a3e-4d53-8a0e-3a2c4a7f1d10",
}
SIGNED = "sv=2024-11-04&sig=c2lnbmF0dXJlLW9mLWEtdGVzdA%3D%3D"
APT = "/bin/bash -c 'apt-get install -y jq'"


@dataclass(frozen=True)
class Case:
    """A rule's two sides; pools are those of the whole config, one fixed node each."""

    code: str
    breaks: Mapping[str, Any]
    near: Mapping[str, Any]
    stack: str = "dev"
    today: date = TODAY


def pool(**config: Any) -> dict[str, Any]:
    return {"pools": {"a": {"scale": FIXED, **config}}}


def scaled(**scale: Any) -> dict[str, Any]:
    return pool(
        scale={"mode": "formula", "formula_file": "good.txt", "max_dedicated_nodes": 2, **scale}
    )


def fixed(dedicated: int, spot: int = 0) -> dict[str, Any]:
    return {"mode": "fixed", "dedicated_nodes": dedicated, "spot_nodes": spot}


def start(command: str, **more: Any) -> dict[str, Any]:
    return pool(start_task={"command_line": command, **more})


def blob(path: str = "data", **more: Any) -> dict[str, Any]:
    return {"type": "blob", "path": path, "container": "inputs", **more}


def mounting(*mounts: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A pool with mounts, whose programs it can fetch."""
    return {"network": {"allow_package_sources": True}, **pool(mounts=list(mounts)), **more}


def made_and_mounted(kind: str, **more: Any) -> dict[str, Any]:
    return mounting(
        {"type": "file-system", "path": "scratch", "file_system": "scratch"},
        storage={"file_systems": {"scratch": {"type": kind, **more}}},
    )


def files(share: str) -> dict[str, Any]:
    return {
        "type": "files",
        "path": "share",
        "account_name": "labfiles",
        "share_url": f"https://{share}.file.core.windows.net/scratch",
        "account_key_secret": "files_key",
    }


def disks(*luns: int) -> dict[str, Any]:
    return pool(data_disks=[{"lun": lun, "size_gib": 64} for lun in luns])


def extended(publisher: str, kind: str, **more: Any) -> dict[str, Any]:
    one = {"publisher": publisher, "type": kind, "version": "1.0"}
    return pool(extensions={"one": one}, **more)


def with_driver(size: str, **more: Any) -> dict[str, Any]:
    scale = {"max_dedicated_nodes": 1}
    return extended(*NVIDIA_DRIVER, vm_size=f"Standard_{size}", scale=scale, **more)


def port(**more: Any) -> dict[str, Any]:
    return {
        "port": 8080,
        "first_frontend_port": 10000,
        "last_frontend_port": 10099,
        "allow_from": ["203.0.113.7/32"],
        **more,
    }


def upgraded(**policy: Any) -> dict[str, Any]:
    return pool(upgrade_policy={"mode": "automatic", **policy})


def existing(**network: Any) -> dict[str, Any]:
    """A network that exists; `network` of its own keys, `existing` of the rest."""
    return {"network": {"existing": {"subnet_id": SUBNET}, **network}}


def linked(**given: Any) -> dict[str, Any]:
    one = {"subnet_id": SUBNET, "endpoint_subnet_id": ENDPOINTS, **given}
    return existing(existing=one, private_endpoints=True)


def made(*prefixes: str, **more: Any) -> dict[str, Any]:
    return existing(existing={"virtual_network_id": HUB, "free_prefixes": list(prefixes), **more})


def cached(size: str, **config: Any) -> dict[str, Any]:
    """A pool whose OS disks live in the cache of hosts of a size."""
    return pool(vm_size=f"Standard_{size}", ephemeral_os_disk=True, **config)


def warm(zone: str, first_year: int, last_year: int) -> dict[str, Any]:
    years = {"first_year": first_year, "last_year": last_year}
    return pool(scale={"keep_warm": {"zone": zone, **years}})


def in_own_subnets(name: str, **network: Any) -> dict[str, Any]:
    """A pool of a name, with a subnet of its own."""
    return {"network": {**network, "subnets": "per-pool"}, "pools": {name: {"scale": FIXED}}}


def packaged(count: int) -> dict[str, Any]:
    packages = [{"application": "tool", "version": str(index)} for index in range(count)]
    return {"applications": {"tool": {}}, **pool(application_packages=packages)}


DEVOPS = {
    "issuer": "https://login.microsoftonline.com/2a5c1c2e-1f0b-4b57-9f0e-6f2d3b8a9c10/v2.0",
    "subject": "/eid1/c/pub/t/LlwqWgsfV0ufDm8tO4qcEA/a/tenant/sc/organization/connection",
}
OLD_DEVOPS = {
    "issuer": "https://vstoken.dev.azure.com/2a5c1c2e-1f0b-4b57-9f0e-6f2d3b8a9c10",
    "subject": "sc://lab/hpc/hpc-azure",
}
GITHUB = {
    "issuer": "https://token.actions.githubusercontent.com",
    "subject": "repo:lab/hpc:environment:hpc-dev",
}


def trusting(*credentials: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A pipeline whose identity is given for tokens."""
    named = {f"one-{index}": dict(one) for index, one in enumerate(credentials)}
    return {"pipeline": {"may": ["run"], "federated_credentials": named}, **more}


def branches(count: int) -> dict[str, Any]:
    subjects = (f"repo:lab/hpc:ref:refs/heads/b{index}" for index in range(count))
    return trusting(*({**GITHUB, "subject": subject} for subject in subjects))


SILENT_APP004 = {"ignore": {"APP004": "the versions are published already"}}
CONTAINERS_ALONE = {"EQU007": "all workloads of this pool run in containers"}
HEALTH = {
    "publisher": "Microsoft.ManagedServices",
    "type": "ApplicationHealthLinux",
    "version": "1.0",
}

CASES = [
    Case("ACC001", {"authentication": "shared-key"}, {"authentication": "entra"}),
    Case(
        "ACC002",
        {"batch": {"public_network_access": False}},
        {"batch": {"public_network_access": False}, "network": {"private_endpoints": True}},
    ),
    Case(
        "ACC003",
        {"storage": {"public_network_access": False}, "network": {"private_endpoints": True}},
        {"storage": {"public_network_access": True}, "network": {"private_endpoints": True}},
    ),
    Case(
        "ACC004",
        {"storage": {"logs_container": "outputs"}},
        {"storage": {"logs_container": "outputs-logs"}},
    ),
    Case(
        "ACC005",
        {"batch": {"pool_allocation": "user-subscription"}},
        {"batch": BATCH_ITSELF},
    ),
    Case(
        "ACC006",
        {"batch": BATCH_ITSELF, "authentication": "shared-key"},
        {"authentication": "shared-key"},
        stack="local",
    ),
    Case(
        "ACC007",
        {"batch": {**BATCH_ITSELF, "pool_allocation": "batch-service"}},
        {"batch": BATCH_ITSELF},
    ),
    Case(
        "ACC008",
        {"batch": {"allow_from": ["10.1.0.0/16"]}},
        {"batch": {"allow_from": ["203.0.113.0/24"]}},
    ),
    Case(
        "ACC008",
        {"storage": {"allow_from": ["0.0.0.0/0"]}},
        {"storage": {"allow_from": ["8.0.0.0/8"]}},
    ),
    Case(
        "ACC008",
        {"batch": {"allow_from": [f"203.0.{n}.0/24" for n in range(201)]}},
        {"storage": {"allow_from": [f"203.0.{n}.0/24" for n in range(201)]}},
    ),
    Case(
        "ACC009",
        {
            "batch": {"public_network_access": False, "allow_from": ["203.0.113.0/24"]},
            "network": {"private_endpoints": True},
        },
        {
            "batch": {"public_network_access": True, "allow_from": ["203.0.113.0/24"]},
            "network": {"private_endpoints": True},
        },
    ),
    Case(
        "ACC010",
        trusting(GITHUB, batch={"allow_from": ["203.0.113.0/24"]}),
        {"batch": {"allow_from": ["203.0.113.0/24"]}},
    ),
    Case(
        "APP001",
        {"applications": {"solver": {}}, **pool(application_packages=[{"application": "solvr"}])}
        | SILENT_APP004,
        {"applications": {"solver": {}}, **pool(application_packages=[{"application": "solver"}])}
        | SILENT_APP004,
    ),
    Case(
        "APP002",
        packaged(11) | SILENT_APP004,
        packaged(10) | SILENT_APP004,
    ),
    Case(
        "APP003",
        {"applications": {"my-tool": {}, "My_Tool": {}}},
        {"applications": {"my-tool": {}, "my_tools": {}}},
    ),
    Case(
        "APP004",
        {"applications": {"tool": {"default_version": "1.0"}}},
        {"applications": {"tool": {"display_name": "1.0"}}},
    ),
    Case(
        "APP005",
        {"applications": {f"tool{index}": {} for index in range(21)}},
        {"applications": {f"tool{index}": {} for index in range(20)}},
    ),
    Case(
        "EQU001",
        mounting(*[blob(f"m{index}") for index in range(11)]),
        mounting(*[blob(f"m{index}") for index in range(10)]),
    ),
    Case(
        "EQU002",
        mounting(blob("data"), blob("data", container="outputs")),
        mounting(blob("data"), blob("data/out", container="outputs")),
    ),
    Case("EQU002", mounting(blob("a/b"), blob("a")), mounting(blob("a/b"), blob("a/c"))),
    Case(
        "EQU003",
        mounting(blob(container="input")),
        mounting(blob(container="input", account_name="another")),
    ),
    Case("EQU004", mounting(files("labfile")), mounting(files("labfiles"))),
    Case(
        "EQU005",
        {"ignore": CONTAINERS_ALONE, **pool(containers={})},
        {"ignore": CONTAINERS_ALONE, **pool(containers={}, image="ubuntu-hpc-24.04")},
    ),
    Case(
        "EQU006",
        {
            "ignore": CONTAINERS_ALONE,
            **pool(image="ubuntu-hpc-24.04", containers={"images": ["lab.azurecr.io/cfd:1"]}),
        },
        {
            "ignore": CONTAINERS_ALONE,
            **pool(
                image="ubuntu-hpc-24.04",
                containers={
                    "images": ["Lab.azurecr.io/cfd:1"],
                    "registries": ["lab.azurecr.io"],
                },
            ),
        },
    ),
    Case(
        "EQU014",
        {
            "ignore": CONTAINERS_ALONE,
            **pool(image="ubuntu-hpc-24.04", containers={"images": ["docker.io/lab/cfd:1"]}),
        },
        {
            "ignore": CONTAINERS_ALONE,
            "registry": {"name": "hpcLab"},
            **pool(image="ubuntu-hpc-24.04", containers={"images": ["hpclab.azurecr.io/cfd:1"]}),
        },
    ),
    Case("EQU007", pool(image="ubuntu-hpc-24.04", containers={}), pool(image="ubuntu-hpc-24.04")),
    Case("EQU008", disks(0, 1, 0), disks(0, 1, 63)),
    Case(
        "EQU009",
        pool(user_accounts={"cfd": {"password_secret": "cfd", "uid": 1200}}),
        pool(user_accounts={"cfd": {"password_secret": "cfd", "uid": 1200, "gid": 1200}}),
    ),
    Case(
        "EQU010",
        extended("Microsoft.Azure.Extensions", "CustomScript"),
        extended("Microsoft.Azure.Monitor", "AzureMonitorLinuxAgent"),
    ),
    Case(
        "EQU011",
        extended(*NVIDIA_DRIVER, image="ubuntu-hpc-24.04"),
        extended(*NVIDIA_DRIVER),
    ),
    Case("EQU012", upgraded(max_batch_percent=21), upgraded(max_batch_percent=20)),
    Case(
        "EQU013",
        upgraded(mode="rolling"),
        pool(upgrade_policy={"mode": "rolling"}, extensions={"health": HEALTH}),
    ),
    Case(
        "EXI001",
        existing(existing={"pool_subnet_ids": {}}),
        existing(existing={"pool_subnet_ids": {"a": SUBNET}}),
    ),
    Case("EXI001", linked(endpoint_subnet_id=None), linked()),
    Case(
        "EXI002",
        existing(existing={"subnet_id": SUBNET, "pool_subnet_ids": {"A1": SUBNET}}),
        existing(existing={"subnet_id": SUBNET, "pool_subnet_ids": {"a": SUBNET}}),
    ),
    Case("EXI003", made(), made("10.20.4.0/22")),
    Case(
        "EXI003",
        existing(existing={"subnet_id": SUBNET, "free_prefixes": ["10.20.4.0/22"]}),
        made("10.20.4.0/22"),
    ),
    Case("EXI004", made("10.20.4.0/22", "10.20.6.0/24"), made("10.20.4.0/22", "10.20.8.0/24")),
    Case(
        "EXI005",
        existing(
            existing={
                "subnet_id": SUBNET,
                "pool_subnet_ids": {"a": SUBNET.replace("/s/", "/other/")},
            }
        ),
        existing(
            existing={
                "subnet_id": SUBNET,
                "pool_subnet_ids": {"a": SUBNET.replace("/s/", "/S/")},
            }
        ),
    ),
    Case("EXI006", existing(allow_package_sources=True), existing()),
    Case(
        "EXI006",
        existing(subnets="per-pool"),
        {"network": {"subnets": "per-pool", **made("10.20.4.0/22")["network"]}},
    ),
    Case("EXI006", existing(address_space="10.64.0.0/16"), existing()),
    Case(
        "EXI006",
        existing(nat_gateway=True, public_addresses=False),
        existing(public_addresses=False),
    ),
    Case(
        "EXI007",
        existing(existing={"subnet_id": SUBNET, "private_dns_zone_ids": [ZONE]}),
        linked(private_dns_zone_ids=[ZONE]),
    ),
    Case("EXI008", linked(private_dns_zone_ids=[ZONE, ZONE]), linked(private_dns_zone_ids=[ZONE])),
    Case(
        "EXI008",
        linked(private_dns_zone_ids=[ZONE.replace("batch", "bach")]),
        linked(private_dns_zone_ids=[ZONE.replace("batch", "Batch")]),
    ),
    Case("EXI009", linked(endpoint_subnet_id=SUBNET.upper()), linked()),
    Case(
        "INB001",
        {
            "network": {"public_addresses": False, "nat_gateway": True},
            **pool(inbound={"web": port()}),
        },
        pool(inbound={"web": port()}),
    ),
    Case(
        "INB002",
        pool(inbound={"web": port(allow_from=[f"203.0.113.{n}/32" for n in range(25)])}),
        pool(inbound={"web": port(allow_from=[f"203.0.113.{n}/32" for n in range(24)])}),
    ),
    Case(
        "INB003",
        pool(inbound={"a": port()}, vm_size="Standard_X1", scale={"max_dedicated_nodes": 101}),
        pool(inbound={"a": port()}, vm_size="Standard_X1", scale={"max_dedicated_nodes": 100}),
    ),
    Case(
        "INB005",
        pool(inbound={"ssh": port(allow_from=["0.0.0.0/1", "128.0.0.0/1"])}),
        pool(inbound={"ssh": port(allow_from=["10.0.0.0/8"])}),
    ),
    Case(
        "INB003",
        pool(inbound={"a": port(), "b": port(port=81, last_frontend_port=10200)}),
        pool(
            inbound={
                "a": port(),
                "b": port(port=81, first_frontend_port=10100, last_frontend_port=10200),
            }
        ),
    ),
    Case(
        "INB004",
        pool(inbound={"ssh": port(port=29876)}),
        # Since 2024-07-01 Batch maps these two no more by itself, so they are free to let in.
        pool(inbound={"ssh": port(port=22)}),
    ),
    Case(
        "INB006",
        {**existing(), **pool(inbound={"web": port()})},
        {**made("10.20.4.0/22"), **pool(inbound={"web": port()})},
    ),
    Case(
        "INB005",
        pool(inbound={"web": port(allow_from=["0.0.0.0/0"])}),
        pool(inbound={"web": port(allow_from=["203.0.113.0/24"])}),
    ),
    Case(
        "FSY001",
        mounting({"type": "file-system", "path": "scratch", "file_system": "scratch"}),
        made_and_mounted("blobfuse"),
    ),
    Case(
        "FSY002",
        {"storage": {"file_systems": {"scratch": {"type": "files-nfs"}}}},
        made_and_mounted("files-nfs"),
    ),
    Case(
        "FSY003",
        made_and_mounted("blob-nfs", size_gib=200),
        made_and_mounted("files-nfs", size_gib=200),
    ),
    Case(
        "FSY003",
        made_and_mounted("files-nfs", delete_after_days=7),
        made_and_mounted("blob-nfs", delete_after_days=7),
    ),
    Case(
        "FSY003",
        made_and_mounted("blobfuse", root_squash=True),
        made_and_mounted("blob-nfs", root_squash=True),
    ),
    Case("FSY004", made_and_mounted("files-smb"), made_and_mounted("files-nfs")),
    Case(
        "FSY005",
        {**mounting(blob()), **pool(image=WINDOWS, mounts=[blob()])},
        {**mounting(), **pool(image=WINDOWS, mounts=[files("labfiles")])},
    ),
    Case("FSY006", pool(mounts=[blob()]), mounting(blob())),
    Case(
        "FOR001",
        scaled(formula_file="absent.txt"),
        scaled(formula_file="good.txt"),
    ),
    Case("FOR002", scaled(formula_file="broken.txt"), scaled()),
    Case("FOR003", scaled(formula_file="careless.txt"), scaled()),
    Case("FOR003", scaled(max_dedicated_nodes=1), scaled()),
    Case("FOR004", warm("Europe/Berlin", 2020, 2025), warm("Europe/Berlin", 2020, 2026)),
    Case("FOR004", warm("America/New_York", 2027, 2028), warm("Asia/Tokyo", 2027, 2028)),
    Case(
        "IMG001",
        pool(preset="gpu", image="ubuntu-24.04"),
        pool(preset="gpu", image="ubuntu-hpc-24.04"),
    ),
    Case(
        "IMG001",
        extended(
            *NVIDIA_DRIVER, preset="rdma", image="ubuntu-24.04", scale={"max_dedicated_nodes": 2}
        ),
        extended(*NVIDIA_DRIVER, preset="gpu", image="ubuntu-24.04"),
    ),
    Case(
        "IMG002",
        pool(image={"gallery_image_id": "my-image", "node_agent_sku_id": "batch.node.el 9"}),
        pool(image={"gallery_image_id": GALLERY, "node_agent_sku_id": "batch.node.el 9"}),
    ),
    Case(
        "IMG003",
        pool(image={**UBUNTU, "node_agent_sku_id": "batch.node.el 9"}),
        pool(image={**UBUNTU, "node_agent_sku_id": "batch.node.ubuntu 24.04"}),
    ),
    Case(
        "IMG004",
        pool(
            preset="rdma",
            vm_size="Standard_HB368rs_v5",
            image={**GEN1, "has_hpc_drivers": True},
        ),
        pool(
            preset="rdma",
            vm_size="Standard_HB368rs_v5",
            image={**GEN1, "sku": "8-gen2", "has_hpc_drivers": True},
        ),
    ),
    Case(
        "IMG004",
        with_driver("NC24ads_A100_v4", image=GEN1),
        with_driver("NC4as_T4_v3", image=GEN1),
    ),
    Case("IMG005", {"protect": True}, {"protect": True, **pool(image_version="24.04.202512010")}),
    Case("IMG006", pool(os_disk={"size_gib": 29}), pool(os_disk={"size_gib": 30})),
    Case(
        "IMG006",
        pool(os_disk={"size_gib": 63}, image="ubuntu-hpc-24.04"),
        pool(os_disk={"size_gib": 64}, image="ubuntu-hpc-24.04"),
    ),
    Case(
        "IMG006",
        pool(os_disk={"size_gib": 29}, image={**UBUNTU, "node_agent_sku_id": AGENT}),
        pool(os_disk={"size_gib": 29}, image={**UBUNTU, "sku": "x", "node_agent_sku_id": AGENT}),
    ),
    Case(
        "IMG006",
        pool(os_disk={"size_gib": 64}, image=WINDOWS),
        pool(os_disk={"size_gib": 64}, image={**WINDOWS, "sku": "2022-datacenter-core-smalldisk"}),
    ),
    Case("LOC001", {"location": "westeuorpe"}, {"location": "westeurope"}),
    Case(
        "LOC002",
        {"location": "usgovvirginia", "network": {"private_endpoints": True}},
        {"location": "eastus", "network": {"private_endpoints": True}},
    ),
    Case(
        "LOC002",
        {"location": "chinanorth3", "registry": {"name": "hpcLab"}},
        {"location": "chinanorth3"},
    ),
    Case(
        "LOC002",
        {**made_and_mounted("files-nfs"), "location": "usgovtexas"},
        made_and_mounted("files-nfs"),
    ),
    Case(
        "MAC001",
        cached("F4s_v2", os_disk={"size_gib": 128}),
        pool(os_disk={"size_gib": 128}),
    ),
    Case(
        "MAC002",
        pool(trusted_launch=True, image="ubuntu-hpc-24.04"),
        pool(trusted_launch=True),
    ),
    Case(
        "MAC003",
        pool(public_ip_ids=[ADDRESS], vm_size="Standard_X1", scale={"max_dedicated_nodes": 101}),
        pool(public_ip_ids=[ADDRESS], vm_size="Standard_X1", scale={"max_dedicated_nodes": 100}),
    ),
    Case(
        "MAC004",
        {
            "network": {"public_addresses": False, "nat_gateway": True},
            **pool(public_ip_ids=[ADDRESS]),
        },
        pool(public_ip_ids=[ADDRESS]),
    ),
    Case(
        "MAC005",
        pool(upgrade_policy={"mode": "automatic"}, image_version="24.04.202512010"),
        pool(upgrade_policy={"mode": "automatic"}),
    ),
    Case(
        "MAC006",
        start("/bin/true", files=[{"url": "https://a.example/x", "container": "programs"}]),
        start("/bin/true", files=[{"url": "https://a.example/x", "path": "x"}]),
    ),
    Case(
        "MAC006",
        start("/bin/true", files=[{"url": "https://a.example/x"}]),
        start("/bin/true", files=[{"container": "programs", "prefix": "tools/"}]),
    ),
    Case(
        "MAC007",
        pool(preset="gpu", image="ubuntu-24.04", start_task={"command_line": "sh drivers.sh"}),
        pool(
            preset="gpu",
            image="ubuntu-24.04",
            start_task={"command_line": "sh drivers.sh", "elevated": True},
        ),
    ),
    Case(
        "MAC007",
        pool(preset="gpu", image="ubuntu-24.04", start_task={"command_line": "sh data.sh"}),
        extended(
            *NVIDIA_DRIVER,
            preset="gpu",
            image="ubuntu-24.04",
            start_task={"command_line": "sh data.sh"},
        ),
    ),
    Case("MAC008", cached("D4s_v5"), cached("F2s_v2")),
    Case("MAC008", cached("E8s_v5"), pool(vm_size="Standard_E8s_v5")),
    Case(
        "MAC008",
        cached("F2s_v2", image="ubuntu-hpc-24.04"),
        cached("F4s_v2", image="ubuntu-hpc-24.04"),
    ),
    Case("MAC008", cached("F4s_v2", image=WINDOWS), cached("F8s_v2", image=WINDOWS)),
    Case(
        "MON001",
        {"monitoring": {"monthly_budget_amount": 150}},
        {"monitoring": {"monthly_budget_amount": 150, "alert_emails": ["ops@lab.example"]}},
    ),
    Case(
        "MON002",
        {"monitoring": {"monthly_budget_amount": 140, "alert_emails": ["ops@lab.example"]}},
        {"monitoring": {"monthly_budget_amount": 141, "alert_emails": ["ops@lab.example"]}},
    ),
    Case(
        "MON003",
        {"monitoring": TELEMETRY, "authentication": "shared-key"},
        {"authentication": "shared-key"},
        stack="local",
    ),
    Case(
        "MON004",
        {"monitoring": TELEMETRY, **pool(image="almalinux-hpc-8")},
        {"monitoring": TELEMETRY, **pool(image="almalinux-hpc-9")},
    ),
    Case("NAM001", in_own_subnets("p" * 52), in_own_subnets("p" * 51)),
    Case(
        "NAM001",
        in_own_subnets("p" * 40, **made("10.20.4.0/22")["network"]),
        in_own_subnets("p" * 39, **made("10.20.4.0/22")["network"]),
        stack="s" * 31,
    ),
    Case("NAM001", made("10.20.4.0/22"), existing(), stack="s" * 71),
    Case(
        "NAM001",
        {"network": {**made("10.20.4.0/22")["network"], "private_endpoints": True}},
        made("10.20.4.0/22"),
        stack="s" * 67,
    ),
    Case(
        "NET001",
        {
            "network": {"address_space": "10.0.0.0/24"},
            **pool(scale=fixed(400), vm_size="Standard_X1"),
        },
        {
            "network": {"address_space": "10.0.0.0/23"},
            **pool(scale=fixed(400), vm_size="Standard_X1"),
        },
    ),
    Case(
        "NET002",
        {"network": {"address_space": "20.0.0.0/16"}},
        {"network": {"address_space": "10.0.0.0/8"}},
    ),
    Case(
        "NET003",
        {"network": {"address_space": "172.16.0.0/12"}},
        {"network": {"address_space": "172.18.0.0/16"}},
    ),
    Case(
        "NET004",
        {"network": {"public_addresses": False}},
        {"network": {"public_addresses": False, "nat_gateway": True}},
    ),
    Case(
        "NET001",
        {
            **made("10.0.1.0/24", "10.0.3.0/24"),
            **pool(scale=fixed(300), vm_size="Standard_X1"),
        },
        {
            **made("10.0.1.0/24", "10.0.4.0/23"),
            **pool(scale=fixed(300), vm_size="Standard_X1"),
        },
    ),
    Case("NET002", made("20.0.0.0/24"), made("10.0.0.0/29")),
    Case(
        "NET004",
        {"network": {**made("10.20.4.0/22")["network"], "public_addresses": False}},
        {
            "network": {
                **made("10.20.4.0/22", route_table_id=f"{NETWORKS}/routeTables/firewall")[
                    "network"
                ],
                "public_addresses": False,
            }
        },
    ),
    Case(
        "NET006",
        {"network": {"nat_gateway": True}},
        {"network": {"nat_gateway": True, "public_addresses": False}},
    ),
    Case(
        "NET007",
        start(APT),
        {
            "network": {"allow_package_sources": True},
            **start(APT),
        },
    ),
    Case("PIP001", {"pipeline": {"may": ["run"]}}, trusting(DEVOPS)),
    Case(
        "PIP002",
        trusting({**GITHUB, "issuer": "https://token.actions.githubusercontent.com/"}),
        trusting(GITHUB),
    ),
    Case(
        "PIP002",
        trusting({**GITHUB, "issuer": "https://token.action.githubusercontent.com"}),
        trusting({**GITHUB, "issuer": "https://tokens.lab.example"}),
    ),
    Case(
        "PIP002",
        trusting({**DEVOPS, "issuer": DEVOPS["issuer"].removesuffix("/v2.0")}),
        trusting(DEVOPS),
    ),
    Case(
        "PIP002",
        trusting({"issuer": "http://tokens.lab.example", "subject": "x"}),
        trusting({"issuer": "https://tokens.lab.example/hpc", "subject": "x"}),
    ),
    Case(
        "PIP003",
        trusting({**GITHUB, "subject": "repo:lab/hpc:ref:refs/heads/*"}),
        trusting({**GITHUB, "subject": "repo:lab/hpc:ref:refs/heads/main"}),
    ),
    Case(
        "PIP003",
        trusting({**GITHUB, "subject": "lab/hpc"}),
        trusting({**GITHUB, "subject": "repo:lab/hpc:pull_request"}),
    ),
    Case("PIP003", trusting({**DEVOPS, "subject": OLD_DEVOPS["subject"]}), trusting(DEVOPS)),
    Case(
        "PIP003",
        trusting({**OLD_DEVOPS, "subject": "sc://lab/hpc"}),
        trusting(OLD_DEVOPS),
    ),
    Case(
        "PIP004",
        trusting({**GITHUB, "audience": "https://github.com/lab"}),
        trusting({**GITHUB, "audience": "api://AzureADTokenExchange"}),
    ),
    Case(
        "PIP004",
        trusting({**GITHUB, "audience": "api://AzureADTokenExchange"}, location="usgovvirginia"),
        trusting(GITHUB, location="usgovvirginia"),
    ),
    Case("PIP005", branches(21), branches(20)),
    Case(
        "PIP005",
        trusting(GITHUB, GITHUB),
        trusting(GITHUB, {**GITHUB, "subject": "repo:lab/hpc:environment:hpc-prod"}),
    ),
    Case(
        "PIP006",
        {"pipeline": {"federated_credentials": {"devops": DEVOPS}}},
        {"pipeline": {"may": ["deploy"], "federated_credentials": {"devops": DEVOPS}}},
    ),
    Case("POL001", pool(task_slots_per_node=17), pool(task_slots_per_node=16)),
    Case(
        "POL002",
        pool(inter_node_communication=True, task_slots_per_node=2),
        pool(inter_node_communication=True, task_slots_per_node=1),
    ),
    Case(
        "POL003",
        pool(
            vm_size="Standard_E2s_v5",
            inter_node_communication=True,
            scale={"max_dedicated_nodes": 101},
        ),
        pool(
            vm_size="Standard_E2s_v5",
            inter_node_communication=True,
            scale={"max_dedicated_nodes": 100},
        ),
    ),
    Case(
        "POL004",
        pool(inter_node_communication=True, scale=fixed(1, 1)),
        pool(inter_node_communication=True, scale=fixed(2)),
    ),
    Case(
        "POL005",
        pool(preset="rdma", inter_node_communication=False, scale={"max_dedicated_nodes": 2}),
        pool(preset="rdma", scale={"max_dedicated_nodes": 2}),
    ),
    Case(
        "POL006",
        cached("F4s_v2", scale=fixed(1, 1)),
        cached("F4s_v2", scale=fixed(2)),
    ),
    Case("POL007", scaled(evaluation_interval_minutes=4), scaled(evaluation_interval_minutes=5)),
    Case("POL008", scaled(min_nodes=3), scaled(min_nodes=2)),
    Case("POL009", pool(scale=fixed(11)), pool(scale=fixed(10))),
    Case(
        "POL010",
        start("mkdir /scratch && chmod 777 /scratch"),
        start("/bin/bash -c 'mkdir /scratch && chmod 777 /scratch'"),
    ),
    Case(
        "POL011",
        start("/bin/true", wait_for_success=False),
        start("/bin/true", wait_for_success=True),
    ),
    Case("POL012", pool(metadata={"hpc-pool": "x"}), pool(metadata={"pool": "x"})),
    Case(
        "POL013",
        {"pools": {"a": {"scale": FIXED}, "A": {"scale": FIXED}}},
        {"pools": TWO_POOLS},
    ),
    Case(
        "POL014",
        start("/bin/true", environment={"PASSWORD": "hunter2"}),
        start("/bin/true", environment={"PASSWORD_FILE": "/run/x"}),
    ),
    Case(
        "POL014",
        start("/bin/true", files=[{"url": f"https://a.example/x?{SIGNED}", "path": "x"}]),
        start("/bin/true", files=[{"url": "https://a.example/x?sv=1", "path": "x"}]),
    ),
    Case(
        "POL014",
        mounting(blob(blobfuse_options="--account-key=abc")),
        mounting(blob(blobfuse_options="--allow-other")),
    ),
    Case("POL014", start("fetch --password=x"), start("fetch --password-file=x")),
    Case("POL014", pool(metadata={"api_token": "x"}), pool(metadata={"tokens": "x"})),
    Case(
        "POL014",
        scaled(formula_file="telling.txt"),
        scaled(formula_file="good.txt"),
    ),
    Case(
        "QUO001",
        {
            "batch": {"vcpu_quota_by_series": {"Dsv5": 7}},
            "pools": TWO_POOLS,
        },
        {
            "batch": {"vcpu_quota_by_series": {"Dsv5": 8}},
            "pools": TWO_POOLS,
        },
    ),
    Case(
        "QUO002",
        {"batch": {"spot_vcpu_quota": 7}, **pool(scale=fixed(0, 2))},
        {"batch": {"spot_vcpu_quota": 8}, **pool(scale=fixed(0, 2))},
    ),
    Case(
        "QUO003",
        {"batch": {"vcpu_quota_by_series": {"HBv9": 480}}},
        {"batch": {"vcpu_quota_by_series": {"HBv3": 480}}},
    ),
    Case(
        "RET001",
        pool(preset="cpu", vm_size="Standard_NC6s_v3"),
        pool(preset="cpu", vm_size="Standard_NC6s_v9"),
    ),
    Case(
        "RET002",
        pool(preset="cpu", vm_size="Standard_NV12s_v3"),
        pool(preset="cpu", vm_size="Standard_NV12s_v9"),
    ),
    Case("RET003", pool(image="ubuntu-hpc-22.04"), pool(image="ubuntu-hpc-24.04")),
    Case("RET004", trusting(OLD_DEVOPS), trusting(DEVOPS), today=date(2027, 7, 1)),
    Case(
        "RET005",
        trusting(OLD_DEVOPS),
        trusting(OLD_DEVOPS, location="usgovvirginia"),
        today=date(2027, 6, 30),
    ),
    Case(
        "STO001",
        {"storage": {"cool_after_days": {"logs": 30}, "delete_after_days": {"logs": 30}}},
        {"storage": {"cool_after_days": {"logs": 30}, "delete_after_days": {"logs": 31}}},
    ),
    Case(
        "STO002",
        {
            "registry": {"name": "hpcLab", "public_network_access": False},
            "network": {"private_endpoints": True},
        },
        {
            "registry": {"name": "hpcLab", "public_network_access": False, "sku": "Premium"},
            "network": {"private_endpoints": True},
        },
    ),
    Case("TAG001", {"tags": {"cost/centre": "1"}}, {"tags": {"cost-centre": "1"}}),
    Case("TAG001", {"tags": {"t" * 129: "1"}}, {"tags": {"t" * 128: "1"}}),
    Case("TAG001", {"tags": {"a": "v" * 257}}, {"tags": {"a": "v" * 256}}),
    Case(
        "TAG001",
        {"tags": {f"t{index}": "1" for index in range(49)}},
        {"tags": {f"t{index}": "1" for index in range(48)}},
    ),
    Case("SIZ001", pool(vm_size="Standard_D4s_v9"), pool(vm_size="standard_d4s_V5")),
    Case(
        "SIZ002",
        pool(preset="gpu", vm_size="Standard_D4s_v5"),
        pool(preset="gpu", vm_size="Standard_NC4as_T4_v3"),
    ),
]
# Sizes that Azure retires are in no table, which is a finding of its own.
COMPANIONS = {"SIZ001"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    good = (
        "n = max(0, $PendingTasks.GetSample(1));\n"
        "$TargetDedicatedNodes = min(2, n);\n"
        "$NodeDeallocationOption = taskcompletion;\n"
    )
    (tmp_path / "good.txt").write_text(good)
    (tmp_path / "telling.txt").write_text(f"// https://a.example/x?{SIGNED}\n{good}")
    (tmp_path / "broken.txt").write_text("$TargetDedicatedNodes = min(2,;\n")
    (tmp_path / "careless.txt").write_text(
        "$TargetDedicatedNodes = min(2, max(0, $PendingTasks.GetSample(1)));\n"
    )
    return tmp_path


def codes(raw: Mapping[str, Any], root: Path, stack: str = "dev", today: date = TODAY) -> set[str]:
    planned = plan_stack(stack, {**pool(), **raw}, root=root, today=today)
    return {finding.code for finding in planned.findings if finding.silenced is None}


def test_the_config_that_cases_start_from_has_no_finding(root: Path) -> None:
    assert codes({}, root) == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.code))
def test_a_rule_fires_on_what_breaks_it_and_not_beside_it(case: Case, root: Path) -> None:
    broken = codes(case.breaks, root, case.stack, case.today)
    assert broken - COMPANIONS | {case.code} == {case.code}
    assert case.code in broken
    assert codes(case.near, root, case.stack, case.today) <= COMPANIONS - {case.code}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.code))
def test_a_rule_is_shown_by_the_command(
    case: Case,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = {f"hpc:{key}": value for key, value in {**pool(), **case.breaks}.items()}
    text = json.dumps({"config": {**config, "hpc-secrets:files_key": {"secure": "x"}}})
    (root / f"Pulumi.{case.stack}.yaml").write_text(text, encoding="utf-8")
    (root / "Pulumi.yaml").write_bytes((PROJECT_ROOT / "Pulumi.yaml").read_bytes())
    monkeypatch.setattr(cli, "PROJECT_ROOT", root)
    monkeypatch.setattr(cli, "plan_stack", partial(plan_stack, today=case.today))
    with pytest.raises(SystemExit) as stopped:
        cli.main(["check", "--stack", case.stack, "--fail-on", "warning"])
    assert stopped.value.code == 1
    (rule,) = (rule for rule in RULES if rule.code == case.code)
    shown = f": {case.code} {rule.severity}: "
    assert any(shown in line for line in capsys.readouterr().out.splitlines())


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    declared = [rule.code for rule in RULES]
    assert len(set(declared)) == len(declared)
    assert sorted(declared) == sorted({case.code for case in CASES})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.code))
def test_a_rule_says_where_it_comes_from_and_what_it_is(rule: Any) -> None:
    assert rule.source.startswith("https://")
    assert rule.about.endswith(".")


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.code))
def test_a_text_says_what_to_write_instead(case: Case, root: Path) -> None:
    planned = plan_stack(case.stack, {**pool(), **case.breaks}, root=root, today=case.today)
    finding = next(finding for finding in planned.findings if finding.code == case.code)
    assert len(finding.message) > 40 or case.code.startswith("FOR")
    assert finding.path.split(".")[0] in {
        "applications",
        "authentication",
        "batch",
        "location",
        "monitoring",
        "network",
        "pipeline",
        "pools",
        "registry",
        "storage",
        "tags",
    }


@pytest.mark.parametrize(
    "command",
    [
        "/bin/bash -lc 'a && b'",
        '/usr/bin/bash -c "a && b"',
        "bash -euo pipefail -c 'a | b'",
        "  sh -exc 'echo *.txt'",
        '/usr/bin/env bash --noprofile -c "echo $HOME"',
        'sudo bash -c "a > b"',
        "su lab -c 'a && b'",
        "cmd.exe /s /c copy *.txt c:\\data",
        "powershell -Command Get-ChildItem | Out-Null",
        r'C:\Windows\System32\cmd.exe /c "a & b"',
        "curl https://a.example/x?y=1",
        "find . -name '*.txt'",
    ],
)
def test_a_command_that_a_shell_reads_may_use_its_features(command: str, root: Path) -> None:
    assert "POL010" not in codes(start(command), root)


@pytest.mark.parametrize(
    "command",
    [
        "echo `id`",
        "echo *.txt",
        "a; b",
        'echo "$HOME"',
        "bash run.sh && b -c x",
        "true && bash -c 'b'",
        "/opt/notbash -c 'a' && b",
        "bash setup.sh *.txt",
    ],
)
def test_a_command_that_no_shell_reads_uses_no_features(command: str, root: Path) -> None:
    assert "POL010" in codes(start(command), root)


def test_mpi_pools_are_smaller_in_a_subscription_of_ones_own(root: Path) -> None:
    mpi = pool(
        vm_size="Standard_E2s_v5", inter_node_communication=True, scale={"max_dedicated_nodes": 81}
    )
    assert codes(mpi, root) == set()
    assert codes({**mpi, "batch": BATCH_ITSELF}, root) == {"POL003"}


def test_a_silenced_rule_does_not_stop_a_deployment(root: Path) -> None:
    raw = {**pool(task_slots_per_node=17), "ignore": {"POL001": "a support ticket raised it"}}
    planned = plan_stack("dev", raw, root=root, today=TODAY)
    assert [finding.silenced for finding in planned.findings] == ["a support ticket raised it"]
    assert planned.deployable().pools[0].task_slots_per_node == 17


def test_an_unknown_rule_cannot_be_silenced(root: Path) -> None:
    planned = plan_stack("dev", {**pool(), "ignore": {"POL099": "no such rule here"}}, root=root)
    (finding,) = planned.findings
    assert (finding.path, finding.is_error) == ("ignore.POL099", True)


@pytest.mark.parametrize(
    ("first", "last"), [(10000, 10098), (49950, 50049), (55000, 55099), (65500, 65535)]
)
def test_a_range_of_public_ports_is_large_and_free(first: int, last: int, root: Path) -> None:
    asked = port(first_frontend_port=first, last_frontend_port=last)
    assert codes(pool(inbound={"web": asked}), root) == {"INB003"}


def test_five_ports_may_come_in_and_not_six(root: Path) -> None:
    def ports(count: int) -> dict[str, Any]:
        return {
            f"p{n}": port(
                port=8000 + n,
                first_frontend_port=10000 + 100 * n,
                last_frontend_port=10099 + 100 * n,
            )
            for n in range(count)
        }

    assert codes(pool(inbound=ports(5)), root) == set()
    assert codes(pool(inbound=ports(6)), root) == {"INB002"}


@pytest.mark.parametrize(
    ("today", "code"),
    [
        (date(2025, 9, 29), None),
        (date(2025, 9, 30), "RET002"),
        (date(2026, 9, 29), "RET002"),
        (date(2026, 9, 30), "RET001"),
    ],
)
def test_a_retirement_warns_for_a_year_and_then_refuses(
    today: date, code: str | None, root: Path
) -> None:
    found = codes(pool(vm_size="Standard_NV12s_v3"), root, today=today) - COMPANIONS
    assert found == ({code} if code else set())


GONE = {
    date(2022, 8, 31): ("H8", "H16", "H16m", "H16r", "H16mr", "H16r_Promo"),
    date(2023, 9, 6): (
        "NC6",
        "NC24r",
        "NC6_Promo",
        "NC6s_v2",
        "NC24rs_v2",
        "ND6s",
        "ND24rs",
        "NV6",
    ),
    date(2024, 8, 31): ("HB60rs", "HB60-15rs", "A0", "A7", "A11"),
    date(2025, 9, 30): ("NC6s_v3", "NC24rs_v3"),
    date(2027, 3, 31): ("M192is_v2", "M192idms_v2"),
    date(2028, 5, 1): ("D2", "DS14", "D13_v2", "DS13-4_v2", "D15i_v2", "DS2_v2_Promo", "L8s"),
    date(2028, 11, 15): ("B1ls", "B2ms", "B4s", "A8m_v2", "F16", "F4s_v2", "GS5-16", "L80s_v2"),
}
CURRENT = (
    *SIZES,
    *("Standard_HB120-16rs_v3", "Standard_NC64as_T4_v3", "Standard_ND96asr_v4", "Standard_B2s_v2"),
    *("Standard_D2ds_v5", "Standard_L8s_v3", "Standard_E8-4ds_v5", "Standard_D96as_v4"),
)


@pytest.mark.parametrize(
    ("day", "size"), [(on, size) for on, all_ in GONE.items() for size in all_]
)
def test_a_size_goes_on_the_day_of_its_series(day: date, size: str) -> None:
    (found,) = retirements_of(f"Standard_{size}")
    assert found.on == day
    assert found.is_past(day)
    assert not found.is_past(day - timedelta(days=1))
    assert found.successor in SIZES


@pytest.mark.parametrize("size", sorted(set(CURRENT) - {n for n in SIZES if n.endswith("s_v2")}))
def test_a_current_size_is_not_taken_for_one_that_goes(size: str) -> None:
    assert list(retirements_of(size)) == []


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ("Standard_D3s_v5", "did you mean Standard_D"),
        ("Standard_HB120rs_v4", "did you mean Standard_HB120rs_v3"),
        ("Standard_NC6", "of its family there are Standard_NC40ads_H100_v5"),
        ("Standard_ND40rs_v2", "Standard_ND96isr_H200_v5"),
        ("Standard_H16r", "is not in the size table. Without"),
        ("Standard_nonsense", "is not in the size table. Without"),
    ],
)
def test_only_sizes_of_the_same_family_are_proposed(size: str, told: str, root: Path) -> None:
    planned = plan_stack("dev", pool(vm_size=size), root=root, today=TODAY)
    (said,) = (one.message for one in planned.findings if one.code == "SIZ001")
    assert told in said
    letters = re.match(r"[A-Za-z]*_([A-Z]*)", size)
    assert letters is not None
    proposed = re.findall(r"Standard_([A-Z]+)\d", said.replace(size, ""))
    assert set(proposed) <= {letters[1]}


@pytest.mark.parametrize("name", ["local", "local-alice"])
def test_shared_keys_are_allowed_where_only_the_emulator_can_be(name: str, root: Path) -> None:
    assert codes({"authentication": "shared-key"}, root, name) == set()
