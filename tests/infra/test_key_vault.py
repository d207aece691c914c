"""The key vault of a Batch account: who may use it, and what the account does with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from emulator.arm.mocks import ProgramRun
from infra.components.identity import (
    KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER,
    KEY_VAULT_SECRETS_OFFICER,
)
from infra.config import StackConfig
from infra.estate import Estate, plan_estate
from infra.sources import PROJECT_ROOT

Provision = Callable[[Estate], ProgramRun]

BATCH = "7f1d6a52-9a3e-4d53-8a0e-3a2c4a7f1d10"
OWN_NODES = {"pool_allocation": "user-subscription", "service_principal_id": BATCH}
KEY = {"customer_managed_key": True}


def provisioned(provision: Provision, batch: dict[str, Any], **raw: Any) -> ProgramRun:
    config = StackConfig.model_validate({"pools": {"a": {}}, "batch": batch, **raw})
    return provision(plan_estate("any", config, root=PROJECT_ROOT, today=date(2026, 1, 1)))


def given(run: ProgramRun, role: str) -> list[tuple[str, str]]:
    """Who has a role, on what."""
    return [
        (one.inputs["principalId"], one.inputs["scope"])
        for one in run.arm.of("authorization:RoleAssignment")
        if one.inputs["roleDefinitionId"].endswith(role)
    ]


def test_an_account_without_need_of_a_vault_has_none(provision: Provision) -> None:
    run = provisioned(provision, {})
    assert run.arm.of("keyvault:Vault") == []
    account = run.arm.one("batch:BatchAccount").inputs
    assert account["poolAllocationMode"] == "BatchService"
    assert "keyVaultReference" not in account
    assert "encryption" not in account


@pytest.mark.parametrize("batch", [KEY, OWN_NODES, {**KEY, **OWN_NODES}])
def test_nothing_in_a_vault_can_be_purged_or_read_by_a_policy(
    provision: Provision, batch: dict[str, Any]
) -> None:
    vault = provisioned(provision, batch).arm.one("keyvault:Vault").inputs["properties"]
    assert vault["enablePurgeProtection"] is True
    assert vault["enableSoftDelete"] is True
    assert vault["enableRbacAuthorization"] is True
    assert "accessPolicies" not in vault
    assert vault["networkAcls"] == {"bypass": "AzureServices", "defaultAction": "Deny"}


def test_a_key_of_ones_own_is_used_by_the_accounts_identity_alone(provision: Provision) -> None:
    run = provisioned(provision, KEY)
    key = run.arm.one("keyvault:Key")
    account = run.arm.one("batch:BatchAccount").inputs
    assert account["encryption"] == {
        "keySource": "Microsoft.KeyVault",
        "keyVaultProperties": {"keyIdentifier": key.outputs["keyUri"]},
    }
    identity = run.arm.one("managedidentity:UserAssignedIdentity", "hpc-account")
    assert account["identity"]["userAssignedIdentities"] == [identity.id]
    users = given(run, KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER)
    assert users == [(identity.outputs["principalId"], key.id)]
    assert given(run, KEY_VAULT_SECRETS_OFFICER) == []
    assert account["poolAllocationMode"] == "BatchService"


def test_nodes_of_ones_own_subscription_have_their_vault(provision: Provision) -> None:
    run = provisioned(provision, OWN_NODES)
    vault = run.arm.one("keyvault:Vault")
    account = run.arm.one("batch:BatchAccount").inputs
    assert account["poolAllocationMode"] == "UserSubscription"
    assert account["keyVaultReference"] == {
        "id": vault.id,
        "url": vault.outputs["properties"]["vaultUri"],
    }
    assert given(run, KEY_VAULT_SECRETS_OFFICER) == [(BATCH, vault.id)]
    properties = vault.inputs["properties"]
    assert properties["enabledForDeployment"] is properties["enabledForTemplateDeployment"] is True
    assert run.arm.of("keyvault:Key") == []


def test_a_private_stack_reaches_its_vault_inside_the_network(provision: Provision) -> None:
    private = {"nat_gateway": True, "public_addresses": False, "private_endpoints": True}
    run = provisioned(provision, KEY, network=private)
    vault = run.arm.one("keyvault:Vault")
    assert vault.inputs["properties"]["publicNetworkAccess"] == "disabled"
    endpoints = [
        one["groupIds"]
        for endpoint in run.arm.of("network:PrivateEndpoint")
        for one in endpoint.inputs["privateLinkServiceConnections"]
        if one["privateLinkServiceId"] == vault.id
    ]
    assert endpoints == [["vault"]]
    zones = [zone.inputs["privateZoneName"] for zone in run.arm.of("privatedns:PrivateZone")]
    assert "privatelink.vaultcore.azure.net" in zones
    assert given(run, KEY_VAULT_SECRETS_OFFICER) == []
