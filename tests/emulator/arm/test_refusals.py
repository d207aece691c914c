"""What Azure Monitor, Key Vault and Batch refuse of a resource, each beside what they take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from emulator.arm import schema
from emulator.arm.errors import ArmError
from emulator.arm.kinds import Context, Identity
from emulator.arm.memory import MemoryBackend
from emulator.arm.resources import find_type
from emulator.arm.store import Document

GROUP = "/subscriptions/s/resourceGroups/g/providers"
WORKSPACE = f"{GROUP}/Microsoft.OperationalInsights/workspaces/w"
QUERY_RULE = "azure-native:monitor:ScheduledQueryRule"
COLLECTION_RULE = "azure-native:monitor:DataCollectionRule"
WORKBOOK = "azure-native:applicationinsights:Workbook"
VAULT = "azure-native:keyvault:Vault"
ACCOUNT = "azure-native:batch:BatchAccount"
CREDENTIAL = "azure-native:managedidentity:FederatedIdentityCredential"
STREAM = "Custom-Rows_CL"


def refusal(
    token: str, inputs: Mapping[str, Any], *existing: str, beside: tuple[Document, ...] = ()
) -> str | None:
    """The code with which a resource is refused, or None; `beside` is below the same one."""

    def lookup(resource_id: str) -> Document | None:
        if resource_id not in existing:
            return None
        return Document(id=resource_id, owner="", token="", inputs={}, created="", modified="")

    context = Context(
        id=f"{GROUP}/N.S/types/x",
        name="x",
        inputs=inputs,
        created="",
        modified="",
        identity=Identity(),
        backend=MemoryBackend(),
        lookup=lookup,
        below=lambda _: list(beside),
    )
    try:
        find_type(token).rule(context)
    except ArmError as error:
        return error.code
    return None


CONDITION = {"query": "T", "timeAggregation": "Maximum", "metricMeasureColumn": "N"}
ALERT = {
    "scopes": [WORKSPACE],
    "evaluationFrequency": "PT15M",
    "windowSize": "P1D",
    "overrideQueryTimeRange": "P2D",
    "criteria": {"allOf": [CONDITION]},
}


@pytest.mark.parametrize(
    "change",
    [
        {"windowSize": "PT5M"},
        {"windowSize": "P2D"},
        {"windowSize": "1h"},
        {"overrideQueryTimeRange": "P3D"},
        {"overrideQueryTimeRange": "PT1H"},
        {"criteria": {"allOf": []}},
        {"criteria": {"allOf": [CONDITION, CONDITION]}},
        {"criteria": {"allOf": [{"query": "T", "timeAggregation": "Average"}]}},
    ],
)
def test_a_log_alert_that_azure_cannot_run_is_refused(change: dict[str, Any]) -> None:
    assert refusal(QUERY_RULE, ALERT, WORKSPACE) is None
    assert refusal(QUERY_RULE, {**ALERT, **change}, WORKSPACE) == "BadRequest"


def test_a_log_alert_on_nothing_is_refused() -> None:
    assert refusal(QUERY_RULE, ALERT) == "ScopeNotFound"


@pytest.mark.parametrize("operator", ["GreaterThan", "LessThanOrEqual", "Equals"])
def test_log_alerts_compare_as_the_service_does(operator: str) -> None:
    criteria = {"allOf": [{**CONDITION, "operator": operator}]}
    inputs = {"resourceGroupName": "g", "criteria": criteria}
    assert schema.load(QUERY_RULE).check(inputs) == []
    (finding,) = schema.load(QUERY_RULE).check(
        {**inputs, "criteria": {"allOf": [{**CONDITION, "operator": "Greater"}]}}
    )
    assert finding.path == "criteria.allOf[0].operator"


RULE = {
    "streamDeclarations": {STREAM: {"columns": []}},
    "destinations": {"logAnalytics": [{"name": "here", "workspaceResourceId": WORKSPACE}]},
    "dataFlows": [{"streams": [STREAM], "destinations": ["here"], "outputStream": STREAM}],
}


def test_a_data_collection_rule_needs_its_workspace_and_its_table() -> None:
    table = f"{WORKSPACE}/tables/Rows_CL"
    assert refusal(COLLECTION_RULE, RULE, WORKSPACE, table) is None
    assert refusal(COLLECTION_RULE, RULE, table) == "InvalidPayload"
    assert refusal(COLLECTION_RULE, RULE, WORKSPACE) == "InvalidOutputTable"
    undeclared = {**RULE, "streamDeclarations": {}}
    assert refusal(COLLECTION_RULE, undeclared, WORKSPACE, table) == "InvalidPayload"


@pytest.mark.parametrize(
    ("document", "taken"),
    [
        ({"version": "Notebook/1.0", "items": [{"name": "a"}, {"name": "b"}]}, True),
        ({"version": "Notebook/1.0", "items": [{"name": "a"}, {"name": "a"}]}, False),
        ({"version": "2", "items": []}, False),
    ],
)
def test_a_workbook_is_a_document_that_the_portal_reads(
    document: dict[str, Any], *, taken: bool
) -> None:
    assert (refusal(WORKBOOK, {"serializedData": json.dumps(document)}) is None) is taken
    assert refusal(WORKBOOK, {"serializedData": "{"}) == "BadRequest"


@pytest.mark.parametrize(
    ("properties", "taken"),
    [
        ({"enablePurgeProtection": True, "softDeleteRetentionInDays": 7}, True),
        ({}, True),
        ({"enablePurgeProtection": False}, False),
        ({"softDeleteRetentionInDays": 6}, False),
        ({"softDeleteRetentionInDays": 91}, False),
    ],
)
def test_purge_protection_is_never_taken_back(properties: dict[str, Any], *, taken: bool) -> None:
    assert (refusal(VAULT, {"properties": properties}) is None) is taken


OWN_NODES = {
    "poolAllocationMode": "UserSubscription",
    "keyVaultReference": {"id": "i", "url": "u"},
}
OWN_KEY = {
    "identity": {"userAssignedIdentities": ["i"]},
    "encryption": {
        "keySource": "Microsoft.KeyVault",
        "keyVaultProperties": {"keyIdentifier": "https://v/keys/k"},
    },
}


@pytest.mark.parametrize(
    ("inputs", "taken"),
    [
        ({**OWN_NODES, "allowedAuthenticationModes": ["AAD"]}, True),
        ({**OWN_NODES, "allowedAuthenticationModes": ["AAD", "SharedKey"]}, False),
        ({"poolAllocationMode": "UserSubscription"}, False),
        (OWN_KEY, True),
        ({**OWN_KEY, "identity": {}}, False),
        ({**OWN_KEY, "encryption": {"keySource": "Microsoft.KeyVault"}}, False),
        ({"encryption": {"keySource": "Microsoft.Batch"}}, True),
    ],
)
def test_an_account_with_a_vault_has_what_the_vault_needs(
    inputs: dict[str, Any], *, taken: bool
) -> None:
    assert (refusal(ACCOUNT, inputs) is None) is taken


TOKENS = {
    "issuer": "https://token.actions.githubusercontent.com",
    "subject": "repo:lab/hpc:pull_request",
    "audiences": ["api://AzureADTokenExchange"],
}


def credential(name: str, **claims: Any) -> Document:
    return Document(
        id=f"{GROUP}/N.S/types/x/credentials/{name}",
        owner="",
        token=CREDENTIAL,
        inputs={**TOKENS, **claims},
        created="",
        modified="",
    )


@pytest.mark.parametrize(
    "change",
    [{"audiences": []}, {"audiences": ["one", "two"]}, {"subject": ""}, {"issuer": "x" * 601}],
)
def test_a_credential_has_one_audience_and_claims_of_a_length(change: dict[str, Any]) -> None:
    assert refusal(CREDENTIAL, TOKENS) is None
    assert refusal(CREDENTIAL, {**TOKENS, **change}) == "BadRequest"


def test_an_identity_takes_a_pair_of_issuer_and_subject_once_and_twenty_in_all() -> None:
    assert refusal(CREDENTIAL, TOKENS, beside=(credential("a"),)) == "BadRequest"
    others = tuple(credential(f"c{index}", subject=f"s{index}") for index in range(20))
    assert refusal(CREDENTIAL, TOKENS, beside=others[:19]) is None
    assert refusal(CREDENTIAL, TOKENS, beside=others) == "BadRequest"
