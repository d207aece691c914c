"""Nodes add tasks to jobs only where the stack says so: it is every task that may then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from emulator.arm.mocks import ProgramRun
from infra.components.identity import BATCH_DATA_CONTRIBUTOR, BATCH_JOB_SUBMITTER
from infra.config import StackConfig
from infra.estate import Estate, plan_estate
from infra.sources import PROJECT_ROOT


@pytest.mark.parametrize("may", [False, True])
def test_the_nodes_identity_submits_jobs_only_where_that_is_asked_for(
    provision: Callable[[Estate], ProgramRun], may: bool
) -> None:
    config = StackConfig.model_validate({"pools": {"a": {}}, "batch": {"nodes_submit_jobs": may}})
    run = provision(plan_estate("any", config, root=PROJECT_ROOT, today=date(2026, 1, 1)))
    nodes = run.arm.one("managedidentity:UserAssignedIdentity", "hpc-nodes").outputs
    account = run.arm.one("batch:BatchAccount").id
    roles = {
        one.inputs["roleDefinitionId"].rpartition("/")[2]
        for one in run.arm.of("authorization:RoleAssignment")
        if one.inputs["principalId"] == nodes["principalId"] and one.inputs["scope"] == account
    }
    assert roles == ({BATCH_JOB_SUBMITTER} if may else set())
    assert BATCH_DATA_CONTRIBUTOR not in roles
    assert run.outputs["nodes_submit_jobs"] is may
