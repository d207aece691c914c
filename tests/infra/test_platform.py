"""What the example stacks provision, and what only some stacks have.

What holds of every stack is in test_invariants.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.arm.kinds import Identity
from emulator.arm.mocks import ProgramRun
from infra.components.identity import BLOB_DATA_CONTRIBUTOR
from infra.config import StackConfig
from infra.engine import EMULATED_SUBSCRIPTION_PREFIX
from infra.errors import InfraError
from infra.estate import Estate, plan_estate
from infra.sources import PROJECT_ROOT

Example = Callable[[str], Estate]
Provision = Callable[[Estate], ProgramRun]

STORAGE = "azure-native:storage:StorageAccount"
BATCH = "azure-native:batch:BatchAccount"
POOL = "azure-native:batch:Pool"
ROLE = "azure-native:authorization:RoleAssignment"


def test_no_storage_account_allows_shared_keys_in_azure(
    stack: str, provisioned: ProgramRun
) -> None:
    allowed = stack == "local"
    for account in provisioned.arm.of(STORAGE):
        assert account.inputs["allowSharedKeyAccess"] is allowed
    for account in provisioned.arm.of(BATCH):
        modes = account.inputs["allowedAuthenticationModes"]
        assert modes == (["AAD", "SharedKey"] if allowed else ["AAD"])


def test_roles_are_given_under_stable_names(
    stack: str, provisioned: ProgramRun, example: Example, provision: Provision
) -> None:
    first, second = provisioned, provision(example(stack))
    assert sorted(role.inputs["roleAssignmentName"] for role in first.arm.of(ROLE)) == sorted(
        role.inputs["roleAssignmentName"] for role in second.arm.of(ROLE)
    )


def test_pools_have_an_identity_that_may_write_the_data_account(
    provisioned: ProgramRun,
) -> None:
    grants = [
        role
        for role in provisioned.arm.of(ROLE)
        if role.inputs["roleDefinitionId"].endswith(BLOB_DATA_CONTRIBUTOR)
        and "data" in role.inputs["scope"].rsplit("/", 1)[1]
    ]
    nodes = provisioned.arm.one("managedidentity:UserAssignedIdentity", "hpc-nodes")
    assert [grant.inputs["principalId"] for grant in grants] == [nodes.outputs["principalId"]]
    for pool in provisioned.arm.of(POOL):
        assert pool.inputs["identity"]["userAssignedIdentities"] == [nodes.id]


def test_a_pools_name_in_azure_is_its_logical_name_and_a_digest(
    provisioned: ProgramRun,
) -> None:
    for pool in provisioned.arm.of(POOL):
        assert re.fullmatch(rf"{pool.name}-[0-9a-f]{{8}}", pool.inputs["poolName"])


def test_no_secret_is_in_inputs_or_outputs(
    provisioned: ProgramRun,
) -> None:
    text = json.dumps([dict(resource.inputs) for resource in provisioned.arm.resources])
    text += json.dumps(dict(provisioned.outputs))
    assert not re.search(r"AccountKey=|sig=|[A-Za-z0-9+/]{86}==", text)


def test_shared_keys_are_refused_where_the_provider_is_azure(
    example: Example, provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    azure = SimpleNamespace(subscription_id="7c1f3a52-9a3e-4d53-8a0e-3a2c4a7f1d10")
    monkeypatch.setattr("infra.engine.get_client_config", lambda: azure)
    with pytest.raises(InfraError, match=r"(?s)only the emulator accepts.*entra"):
        provision(example("local"))


def test_the_emulators_subscription_is_told_from_azures() -> None:
    assert Identity().subscription_id.startswith(EMULATED_SUBSCRIPTION_PREFIX)


def alerted(provision: Provision, **raw: Any) -> ProgramRun:
    pools = {"a": {"scale": {"mode": "fixed", "dedicated_nodes": 3}}}
    config = StackConfig.model_validate(
        {"pools": pools, "monitoring": {"alert_emails": ["ops@lab.example"]}, **raw}
    )
    return provision(plan_estate("any", config, root=PROJECT_ROOT, today=date(2026, 1, 21)))


def alerts_of(run: ProgramRun) -> dict[str, Any]:
    """The inputs of alerts by the metric that they are about."""
    return {
        alert.inputs["criteria"]["allOf"][0]["metricName"]: alert.inputs
        for alert in run.arm.of("monitor:MetricAlert")
    }


def test_alerts_exist_where_somebody_reads_them(provision: Provision) -> None:
    run = alerted(provision)
    group = run.arm.one("monitor:ActionGroup")
    assert group.inputs["emailReceivers"][0]["emailAddress"] == "ops@lab.example"
    alerts = alerts_of(run)
    nodes = {"UnusableNodeCount", "StartTaskFailedNodeCount", "IdleNodeCount"}
    assert set(alerts) == {*nodes, "TaskFailEvent"}
    for metric, alert in alerts.items():
        assert alert["scopes"] == [run.arm.one("batch:BatchAccount").id]
        assert alert["actions"] == [{"actionGroupId": group.id}]
        (criterion,) = alert["criteria"]["allOf"]
        assert criterion["timeAggregation"] == ("Average" if metric in nodes else "Count")
        # A threshold is either given or learned.
        assert ("threshold" in criterion) is (metric in nodes)
        assert criterion["criterionType"].startswith("Static" if metric in nodes else "Dynamic")
    # Nodes that a pool keeps on purpose are no reason for a mail.
    assert alerts["IdleNodeCount"]["criteria"]["allOf"][0]["threshold"] == 3


def test_evictions_and_quota_are_told_where_there_are_any(provision: Provision) -> None:
    run = alerted(
        provision,
        pools={"a": {"preset": "spot"}, "b": {"vm_size": "Standard_D4s_v5"}},
        batch={"vcpu_quota_by_series": {"Dsv5": 100, "HBv3": 240}, "spot_vcpu_quota": 50},
    )
    thresholds = {
        metric: alert["criteria"]["allOf"][0].get("threshold")
        for metric, alert in alerts_of(run).items()
    }
    assert thresholds["PreemptedNodeCount"] == 0
    # One series has all dedicated nodes, so the metric over all series is that one's.
    assert (thresholds["CoreCount"], thresholds["LowPriorityCoreCount"]) == (80, 40)


def test_a_budget_tells_of_the_whole_group_from_the_first_of_the_month(
    provision: Provision,
) -> None:
    monitoring = {"alert_emails": ["ops@lab.example"], "monthly_budget_amount": 500}
    run = alerted(provision, monitoring=monitoring)
    budget = run.arm.one("consumption:Budget").inputs
    assert budget["scope"] == run.arm.one("resources:ResourceGroup").id
    assert (budget["amount"], budget["timeGrain"]) == (500, "Monthly")
    assert budget["timePeriod"]["startDate"] == "2026-01-01T00:00:00Z"
    told = {(one["thresholdType"], one["threshold"]) for one in budget["notifications"].values()}
    assert told == {("Actual", 50), ("Actual", 80), ("Actual", 100), ("Forecasted", 100)}
    for one in budget["notifications"].values():
        assert one["contactEmails"] == ["ops@lab.example"]
    assert alerted(provision).arm.of("consumption:Budget") == []


def test_no_alert_exists_where_nobody_reads_it(provision: Provision) -> None:
    run = alerted(provision, monitoring={"node_telemetry": {"enabled": True}})
    for kind in ("MetricAlert", "ScheduledQueryRule", "ActionGroup"):
        assert run.arm.of(f"monitor:{kind}") == []
