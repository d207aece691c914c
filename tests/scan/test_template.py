"""Templates say what was registered, as Resource Manager takes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.arm.mocks import Registered
from emulator.arm.schema import WRITE_ONLY
from scan.stacks import registered, scanned_stacks, stack_config
from scan.template import Template, arm_template


@pytest.fixture(scope="module", params=scanned_stacks())
def made(request: pytest.FixtureRequest) -> tuple[list[Registered], Template]:
    resources = registered(request.param, stack_config(request.param))
    return resources, arm_template(resources)


def entries(template: Template, kind: str) -> list[dict[str, Any]]:
    return [one for one in template.document["resources"] if one["type"] == kind]


def test_every_resource_is_in_the_template_once(made: tuple[list[Registered], Template]) -> None:
    resources, template = made
    azure = [one for one in resources if one.token.startswith("azure-native:")]
    assert len(template.document["resources"]) == len(template.names) == len(azure)
    for one in template.document["resources"]:
        assert one["apiVersion"] >= "2015"
        # A name has a part for each part of the type, the namespace left out.
        if one["type"] != "Microsoft.Resources/resourceGroups":
            assert one["type"].count("/") == one["name"].count("/") + 1


def test_no_value_but_a_secret_is_lost(made: tuple[list[Registered], Template]) -> None:
    resources, template = made

    def leaves(value: Any) -> list[str]:
        if isinstance(value, dict):
            told = [item for key, item in value.items() if key not in WRITE_ONLY]
            return [leaf for item in told for leaf in leaves(item)]
        if isinstance(value, list):
            return [leaf for item in value for leaf in leaves(item)]
        return [str(value)]

    told = set(leaves(template.document)) | {
        part for text in leaves(template.document) for part in text.split("/")
    }
    keys = json.dumps(template.document)
    for one in resources:
        if not one.token.startswith("azure-native:"):
            continue
        for leaf in leaves({k: v for k, v in one.inputs.items() if not k.startswith("__")}):
            known = leaf in told or f"[{leaf}" in told or json.dumps(leaf)[1:-1] in keys
            assert known, f"{one.token} {one.name}: {leaf}"


def test_accounts_have_the_wires_own_names() -> None:
    template = arm_template(registered("prod", stack_config("prod")))
    for one in entries(template, "Microsoft.Storage/storageAccounts"):
        assert one["properties"]["supportsHttpsTrafficOnly"] is True
        assert one["properties"]["networkAcls"]["bypass"] == "AzureServices"
        assert one["sku"]["name"] == "Standard_ZRS"
        assert "sku" not in one["properties"]
    (workspace,) = entries(template, "Microsoft.OperationalInsights/workspaces")
    assert "sku" in workspace["properties"]
    assert "sku" not in workspace


def test_rules_of_a_security_group_have_an_envelope() -> None:
    template = arm_template(registered("prod", stack_config("prod")))
    for one in entries(template, "Microsoft.Network/networkSecurityGroups"):
        for rule in one["properties"]["securityRules"]:
            assert set(rule) == {"name", "properties"}
            assert rule["properties"]["direction"] in {"Inbound", "Outbound"}


def test_identities_are_keys_and_grants_have_a_scope() -> None:
    template = arm_template(registered("dev", stack_config("dev")))
    (account,) = entries(template, "Microsoft.Batch/batchAccounts")
    (identity,) = account["identity"]["userAssignedIdentities"]
    assert "/userAssignedIdentities/" in identity
    for grant in entries(template, "Microsoft.Authorization/roleAssignments"):
        assert "/storageAccounts/" in grant["scope"]
        assert grant["properties"]["principalId"]


def test_a_secret_is_left_out_and_a_bracket_is_no_expression() -> None:
    resources = registered("dev", stack_config("dev"))
    pool = next(one for one in resources if one.token == "azure-native:batch:Pool")
    inputs = {
        **pool.inputs,
        "displayName": "[concat('a', 'b')]",
        "mountConfiguration": [
            {"azureFileShareConfiguration": {"accountKey": "hush", "accountName": "files"}}
        ],
    }
    changed = Registered(
        token=pool.token, name=pool.name, id=pool.id, inputs=inputs, outputs=pool.outputs
    )
    text = json.dumps(arm_template([changed]).document)
    assert "hush" not in text
    assert "[parameters('secret')]" in text
    assert "[[concat('a', 'b')]" in text
