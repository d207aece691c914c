"""The pipeline's identity: whose tokens it is given for, and the least that it may do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from emulator.arm.mocks import ProgramRun
from infra.components.identity import (
    ASSIGNED_ROLES,
    BATCH_DATA_CONTRIBUTOR,
    BATCH_JOB_SUBMITTER,
    BLOB_DATA_CONTRIBUTOR,
    BLOB_DATA_READER,
    CONTRIBUTOR,
    RBAC_ADMINISTRATOR,
)
from infra.config import StackConfig
from infra.estate import Estate, plan_estate
from infra.sources import PROJECT_ROOT

Provision = Callable[[Estate], ProgramRun]

CREDENTIALS = {
    "main": {
        "issuer": "https://token.actions.githubusercontent.com",
        "subject": "repo:lab/hpc:ref:refs/heads/main",
    },
    "dev": {
        "issuer": "https://token.actions.githubusercontent.com",
        "subject": "repo:lab/hpc:environment:hpc-dev",
    },
}
EVERYTHING: dict[str, Any] = {
    "registry": {"name": "hpclab"},
    "storage": {"file_systems": {"lake": {"type": "blobfuse"}}},
    "monitoring": {"node_telemetry": {"enabled": True}},
    "batch": {
        "customer_managed_key": True,
        "pool_allocation": "user-subscription",
        "service_principal_id": "7f1d6a52-9a3e-4d53-8a0e-3a2c4a7f1d10",
    },
}


def provisioned(provision: Provision, *may: str, **more: Any) -> ProgramRun:
    pipeline = {"may": may, "federated_credentials": CREDENTIALS}
    config = StackConfig.model_validate({"pools": {"a": {}}, "pipeline": pipeline, **more})
    return provision(plan_estate("any", config, root=PROJECT_ROOT, today=date(2026, 1, 1)))


def grants(run: ProgramRun) -> set[tuple[str, str]]:
    """What the pipeline may do: role, and the last two parts of what it is on."""
    principal = run.arm.one("managedidentity:UserAssignedIdentity", "hpc-pipeline").outputs
    return {
        (one.inputs["roleDefinitionId"].rpartition("/")[2], one.inputs["scope"])
        for one in run.arm.of("authorization:RoleAssignment")
        if one.inputs["principalId"] == principal["principalId"]
    }


def container(run: ProgramRun, what: str) -> str:
    return run.arm.one("storage:BlobContainer", f"hpc-data-{what}").id or ""


def test_no_identity_is_made_for_a_pipeline_that_may_nothing(provision: Provision) -> None:
    run = provisioned(provision)
    names = {one.name for one in run.arm.of("managedidentity:UserAssignedIdentity")}
    assert names == {"hpc-nodes", "hpc-account"}
    assert run.arm.of("managedidentity:FederatedIdentityCredential") == []
    assert run.outputs["pipeline"] is None


def test_a_run_writes_what_it_stages_reads_what_it_collects_and_submits(
    provision: Provision,
) -> None:
    run = provisioned(provision, "run")
    account = run.arm.one("batch:BatchAccount").id
    assert grants(run) == {
        (BATCH_JOB_SUBMITTER, account),
        (BLOB_DATA_CONTRIBUTOR, container(run, "programs")),
        (BLOB_DATA_CONTRIBUTOR, container(run, "inputs")),
        (BLOB_DATA_READER, container(run, "outputs")),
        (BLOB_DATA_READER, container(run, "logs")),
    }


def test_more_is_given_only_where_it_is_asked_for_by_name(provision: Provision) -> None:
    run = provisioned(provision, "publish")
    assert grants(run) == {(BATCH_DATA_CONTRIBUTOR, run.arm.one("batch:BatchAccount").id)}
    run = provisioned(provision, "deploy")
    group = run.arm.one("resources:ResourceGroup").id
    assert grants(run) == {
        (CONTRIBUTOR, group),
        (RBAC_ADMINISTRATOR, group),
        # The engine asks for unfinished tasks before a pool goes.
        (BATCH_JOB_SUBMITTER, run.arm.one("batch:BatchAccount").id),
    }


def test_who_deploys_gives_no_role_that_the_stack_itself_does_not_give(
    provision: Provision,
) -> None:
    run = provisioned(provision, "run", "publish", "deploy", **EVERYTHING)
    found = {
        one.inputs["roleDefinitionId"].rpartition("/")[2]: one.inputs.get("condition")
        for one in run.arm.of("authorization:RoleAssignment")
    }
    # Every role of a stack with everything, and nothing that would make an owner.
    assert found.keys() == ASSIGNED_ROLES | {CONTRIBUTOR, RBAC_ADMINISTRATOR}
    condition = found.pop(RBAC_ADMINISTRATOR)
    assert condition is not None
    assert set(found.values()) == {None}
    for role in ASSIGNED_ROLES:
        # Once to give it, once to take it.
        assert condition.count(role) == 2
    assert CONTRIBUTOR not in condition
    assert RBAC_ADMINISTRATOR not in condition
    for action in ("write", "delete"):
        assert (
            f"!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{action}'}})" in condition
        )
    assert condition.count("{'ServicePrincipal'}") == 2
    depth = 0
    for letter in condition:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0


def test_each_credential_is_for_one_audience_of_the_cloud(provision: Provision) -> None:
    for location, audience in (
        ("westeurope", "api://AzureADTokenExchange"),
        ("usgovvirginia", "api://AzureADTokenExchangeUSGov"),
        ("chinaeast2", "api://AzureADTokenExchangeChina"),
    ):
        run = provisioned(provision, "run", location=location)
        made = run.arm.of("managedidentity:FederatedIdentityCredential")
        assert {one.inputs["subject"] for one in made} == {
            one["subject"] for one in CREDENTIALS.values()
        }
        assert [one.inputs["audiences"] for one in made] == [[audience]] * 2
        assert {one.inputs["resourceName"] for one in made} == {
            run.arm.one("managedidentity:UserAssignedIdentity", "hpc-pipeline").outputs["name"]
        }


def test_the_output_is_what_a_service_connection_asks_for(provision: Provision) -> None:
    run = provisioned(provision, "run")
    identity = run.arm.one("managedidentity:UserAssignedIdentity", "hpc-pipeline").outputs
    assert run.outputs["pipeline"] == {
        "client_id": identity["clientId"],
        "tenant_id": identity["tenantId"],
    }


@pytest.mark.parametrize(
    "name",
    ["ab", "-ab", "a b", "a/b", "a" * 121],
    ids=["short", "hyphen", "blank", "path", "long"],
)
def test_a_credential_has_a_name_that_azure_takes(name: str) -> None:
    with pytest.raises(ValueError, match="federated_credentials"):
        StackConfig.model_validate(
            {
                "pools": {"a": {}},
                "pipeline": {"federated_credentials": {name: CREDENTIALS["main"]}},
            }
        )
