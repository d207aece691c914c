"""Each rule of resources fires on what breaks it, and on nothing that this project declares."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pytest

from emulator.arm.mocks import ProgramRun
from infra.config import StackConfig
from infra.estate import Estate, plan_estate
from infra.resource_rules import RESOURCE_RULES
from infra.sources import PROJECT_ROOT

TODAY = date(2026, 11, 21)
STORAGE = "azure-native:storage:StorageAccount"
CONTAINER = "azure-native:storage:BlobContainer"
BATCH = "azure-native:batch:BatchAccount"
POOL = "azure-native:batch:Pool"
GROUP = "azure-native:network:NetworkSecurityGroup"
RULE = "azure-native:network:SecurityRule"

TAGS = {"project": "hpc", "stack": "dev"}
SOUND: dict[str, dict[str, Any]] = {
    STORAGE: {
        "kind": "StorageV2",
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "minimumTlsVersion": "TLS1_2",
        "enableHttpsTrafficOnly": True,
        "tags": TAGS,
    },
    CONTAINER: {"containerName": "inputs", "publicAccess": "None"},
    BATCH: {"allowedAuthenticationModes": ["AAD"], "tags": TAGS},
    GROUP: {"securityRules": [], "tags": TAGS},
    RULE: {"direction": "Inbound", "access": "Deny", "sourceAddressPrefix": "*"},
    POOL: {
        "vmSize": "Standard_D4s_v5",
        "targetNodeCommunicationMode": "Simplified",
        "taskSlotsPerNode": 4.0,
        "scaleSettings": {
            "autoScale": {"formula": "$TargetDedicatedNodes = min(4, $CurrentDedicatedNodes);"}
        },
        "startTask": {
            "commandLine": "/bin/sh -c 'curl \"https://lab.example/x?sig=short\"'",
            "environmentSettings": [
                {"name": "HPC_KEYBOARD", "value": "de"},
                {"name": "API_KEY", "value": None},
            ],
        },
    },
}
SIGNATURE = "?sv=2024-11-04&sig=" + "aB3" * 12
GUARDED = {
    "kind": "FileStorage",
    "networkRuleSet": {"defaultAction": "Deny"},
    "allowSharedKeyAccess": True,
    "enableHttpsTrafficOnly": False,
}


def inbound(**source: Any) -> dict[str, Any]:
    return {"name": "ssh", "direction": "Inbound", "access": "Allow", **source}


def halves(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A group with two rules: each lets in what one holder may have, both more than that."""
    return {
        "securityRules": [
            {**inbound(sourceAddressPrefix="8.0.0.0/8"), **one},
            {**inbound(sourceAddressPrefix="9.0.0.0/8"), **other},
        ]
    }


DENY = {"access": "Deny", "sourceAddressPrefix": "*"}


def reached(*rules: Mapping[str, Any]) -> dict[str, Any]:
    """A pool whose nodes are reached from outside."""
    port = {"name": "ssh", "networkSecurityGroupRules": list(rules)}
    return {"networkConfiguration": {"endpointConfiguration": {"inboundNatPools": [port]}}}


def with_start(**changes: Any) -> dict[str, Any]:
    return {"startTask": {**SOUND[POOL]["startTask"], **changes}}


BREAKS: list[tuple[str, str, Mapping[str, Any]]] = [
    ("res001", STORAGE, {"allowSharedKeyAccess": True}),
    ("res001", STORAGE, {"allowSharedKeyAccess": None}),
    ("res001", STORAGE, {"kind": "FileStorage", "allowSharedKeyAccess": True}),
    ("res002", STORAGE, {"allowBlobPublicAccess": True}),
    ("res002", CONTAINER, {"publicAccess": "Blob"}),
    ("res003", STORAGE, {"minimumTlsVersion": "TLS1_0"}),
    ("res003", STORAGE, {"minimumTlsVersion": None}),
    ("res003", STORAGE, {"enableHttpsTrafficOnly": False}),
    ("res004", BATCH, {"allowedAuthenticationModes": ["AAD", "SharedKey"]}),
    ("res004", BATCH, {"allowedAuthenticationModes": None}),
    ("res005", GROUP, {"securityRules": [inbound(sourceAddressPrefix="Internet")]}),
    ("res005", GROUP, {"securityRules": [inbound(sourceAddressPrefixes=["0.0.0.0/0"])]}),
    (
        "res005",
        GROUP,
        {"securityRules": [inbound(sourceAddressPrefixes=["0.0.0.0/1", "128.0.0.0/1"])]},
    ),
    ("res005", GROUP, halves({"destinationPortRange": "22"}, {"destinationPortRange": "22"})),
    ("res005", GROUP, halves({}, {"destinationPortRanges": ["80", "8000-9000"]})),
    (
        "res005",
        GROUP,
        halves({"destinationPortRange": "20-25"}, {"destinationPortRange": "25-30"}),
    ),
    ("res005", GROUP, halves({"protocol": "Tcp"}, {"protocol": "*"})),
    ("res005", POOL, reached({"access": "Deny", "sourceAddressPrefix": "10.0.0.0/8"})),
    ("res005", POOL, reached()),
    ("res005", POOL, reached({"access": "Allow", "sourceAddressPrefix": "Internet"}, DENY)),
    (
        "res005",
        POOL,
        reached(
            {"access": "Allow", "sourceAddressPrefix": "0.0.0.0/1"},
            {"access": "Allow", "sourceAddressPrefix": "128.0.0.0/1"},
            DENY,
        ),
    ),
    ("res005", RULE, inbound(sourceAddressPrefix="2000::/3")),
    ("res005", RULE, inbound(sourceAddressPrefix="*")),
    ("res006", POOL, {"targetNodeCommunicationMode": "Classic"}),
    ("res006", POOL, {"targetNodeCommunicationMode": None}),
    ("res007", POOL, with_start(environmentSettings=[{"name": "DB_PASSWORD", "value": "x"}])),
    ("res007", POOL, with_start(environmentSettings=[{"name": "URL", "value": SIGNATURE}])),
    ("res007", POOL, with_start(commandLine=f"curl https://a.example/x{SIGNATURE}")),
    ("res007", POOL, with_start(resourceFiles=[{"httpUrl": f"https://a.example/x{SIGNATURE}"}])),
    ("res007", POOL, {"metadata": [{"name": "api-token", "value": "x"}]}),
    (
        "res007",
        POOL,
        {
            "mountConfiguration": [
                {"azureBlobFileSystemConfiguration": {"blobfuseOptions": "--account-key=abc"}},
                {"cifsMountConfiguration": {"mountOptions": "-o vers=3.0,password=x"}},
            ]
        },
    ),
    ("res008", POOL, {"vmSize": "Standard_NC6s_v3"}),
    ("res009", POOL, {"vmSize": "Standard_HB120rs_v2"}),
    (
        "res010",
        POOL,
        {
            "deploymentConfiguration": {
                "virtualMachineConfiguration": {"nodeAgentSkuId": "batch.node.ubuntu 22.04"}
            }
        },
    ),
    ("res011", POOL, {"scaleSettings": {"autoScale": {"formula": "$TargetDedicated = "}}}),
    ("res012", STORAGE, {"tags": {"project": "hpc"}}),
]
NEAR: list[tuple[str, Mapping[str, Any]]] = [
    (STORAGE, {}),
    (STORAGE, GUARDED),
    (STORAGE, {"minimumTlsVersion": "TLS1_3"}),
    (CONTAINER, {"publicAccess": None}),
    (BATCH, {}),
    (GROUP, {"securityRules": [inbound(sourceAddressPrefix="203.0.113.7/32")]}),
    (GROUP, {"securityRules": [{**inbound(sourceAddressPrefix="*"), "access": "Deny"}]}),
    (GROUP, {"securityRules": [{**inbound(sourceAddressPrefix="*"), "direction": "Outbound"}]}),
    (GROUP, halves({"destinationPortRange": "22"}, {"destinationPortRange": "23"})),
    (GROUP, halves({"destinationPortRange": "20-24"}, {"destinationPortRange": "25-30"})),
    (GROUP, halves({"protocol": "Tcp"}, {"protocol": "Udp"})),
    (GROUP, halves({}, {"access": "Deny"})),
    (POOL, reached({"access": "Allow", "sourceAddressPrefix": "203.0.113.7/32"}, DENY)),
    (RULE, {}),
    (
        RULE,
        inbound(sourceAddressPrefix=None, sourceAddressPrefixes=["10.0.0.0/8", "2001:db8::/32"]),
    ),
    (POOL, {}),
    (POOL, with_start(commandLine="/bin/bash -c 'get --password=$PW --account-key \"$KEY\"'")),
    (POOL, {"mountConfiguration": [{"cifsMountConfiguration": {"password": "password=x"}}]}),
    (POOL, {"startTask": None, "scaleSettings": {"fixedScale": {"targetDedicatedNodes": 1.0}}}),
    (POOL, {"vmSize": "Standard_HB120rs_v3"}),
]


def broken(token: str, properties: Mapping[str, Any]) -> set[str]:
    return {rule.code[:6] for rule in RESOURCE_RULES if rule.problems(token, properties, TODAY)}


@pytest.mark.parametrize(("code", "token", "change"), BREAKS)
def test_what_breaks_a_rule_breaks_just_that_one(
    code: str, token: str, change: Mapping[str, Any]
) -> None:
    assert broken(token, {**SOUND[token], **change}) == {code}


@pytest.mark.parametrize(("token", "change"), NEAR)
def test_what_nearly_breaks_a_rule_breaks_none(token: str, change: Mapping[str, Any]) -> None:
    assert broken(token, {**SOUND[token], **change}) == set()


def test_each_rule_has_a_case_and_each_type_is_judged() -> None:
    assert {rule.code[:6] for rule in RESOURCE_RULES} == {code for code, _, _ in BREAKS}
    assert all(re.fullmatch(r"res\d{3}-[a-z-]+", rule.code) for rule in RESOURCE_RULES)
    assert all(rule.about.endswith(".") for rule in RESOURCE_RULES)


def test_example_stacks_break_no_rule_but_the_laptops_keys(
    stack: str, provisioned: ProgramRun
) -> None:
    found = {
        (rule.code[:6], one.token)
        for one in provisioned.arm.resources
        for rule in RESOURCE_RULES
        if rule.problems(one.token, one.inputs, TODAY)
    }
    # The emulator speaks shared keys over loopback; the pack is for stacks in Azure.
    expected = {("res001", STORAGE), ("res004", BATCH)} if stack == "local" else set()
    assert found == expected


def test_the_packs_pins_are_the_products() -> None:
    ours = set((PROJECT_ROOT / "requirements.in").read_text(encoding="utf-8").splitlines())
    text = (PROJECT_ROOT / "policy" / "requirements.txt").read_text(encoding="utf-8")
    pins = {line for line in text.splitlines() if line and not line.startswith("#")}
    assert pins - ours == {"pulumi-policy==1.21.0"}


def test_ports_that_the_config_opens_to_named_addresses_break_no_rule(
    provision: Callable[[Estate], ProgramRun],
) -> None:
    port = {"port": 22, "first_frontend_port": 10000, "last_frontend_port": 10099}
    inbound = {"ssh": {**port, "allow_from": ["203.0.113.7/32"]}}
    config = StackConfig.model_validate({"pools": {"a": {"inbound": inbound}}})
    run = provision(plan_estate("any", config, root=PROJECT_ROOT, today=TODAY))
    (pool,) = run.arm.of(POOL)
    nat = pool.inputs["networkConfiguration"]["endpointConfiguration"]["inboundNatPools"]
    assert len(nat) == 1
    assert broken(POOL, pool.inputs) == set()
    (group,) = run.arm.of(GROUP)
    assert broken(GROUP, group.inputs) == set()
