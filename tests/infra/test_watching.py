"""What watches an estate: rows of nodes, alerts on logs, and the workbook."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from emulator.arm.mocks import ProgramRun
from infra import queries
from infra.account_alerts import account_alerts
from infra.components.identity import MONITORING_METRICS_PUBLISHER
from infra.config import StackConfig
from infra.estate import Estate, plan_estate
from infra.log_alerts import log_alerts, single_series_quota
from infra.sources import PROJECT_ROOT
from infra.workbook import content
from telemetry.columns import COLUMNS, STREAM, TABLE
from telemetry.start import COMMAND_LINE, environment

Provision = Callable[[Estate], ProgramRun]

COMMAND = "/bin/sh -c 'echo hello'"
START = {"command_line": COMMAND, "environment": {"A": "1"}}
TELEMETRY = {"node_telemetry": {"enabled": True}, "workbook": True}
WINDOWS = {
    "publisher": "microsoftwindowsserver",
    "offer": "windowsserver",
    "sku": "2022-datacenter",
    "node_agent_sku_id": "batch.node.windows amd64",
}


def planned(**raw: Any) -> Estate:
    pools = {"a": {"preset": "cpu"}}
    config = StackConfig.model_validate({"pools": pools, "monitoring": TELEMETRY, **raw})
    return plan_estate("any", config, root=PROJECT_ROOT, today=date(2026, 1, 21))


@pytest.fixture(scope="module")
def run(provision: Provision) -> ProgramRun:
    pools = {
        "alone": {"preset": "cpu"},
        "own": {"preset": "cpu", "start_task": START},
        "windows": {"preset": "cpu", "image": WINDOWS},
    }
    return provision(planned(pools=pools))


def start_tasks(run: ProgramRun) -> dict[str, Any]:
    return {pool.name: pool.inputs.get("startTask") for pool in run.arm.of("batch:Pool")}


def variables(task: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in task["environmentSettings"]}


def test_the_table_and_the_stream_have_the_collectors_columns(run: ProgramRun) -> None:
    table = run.arm.one("operationalinsights:Table").inputs
    rule = run.arm.one("monitor:DataCollectionRule").inputs
    columns = rule["streamDeclarations"][STREAM]["columns"]
    assert [(one["name"], one["type"]) for one in columns] == [
        (one.name, one.type) for one in COLUMNS
    ]
    assert [(one["name"], one["type"].lower()) for one in table["schema"]["columns"]] == [
        (one.name, one.type) for one in COLUMNS
    ]
    assert (table["tableName"], rule["dataFlows"][0]["outputStream"]) == (TABLE, STREAM)


def test_nodes_may_send_rows_to_that_rule_and_no_other_right_is_given(run: ProgramRun) -> None:
    nodes = run.arm.one("managedidentity:UserAssignedIdentity", "hpc-nodes")
    given = [
        role.inputs
        for role in run.arm.of("authorization:RoleAssignment")
        if role.inputs["roleDefinitionId"].endswith(MONITORING_METRICS_PUBLISHER)
    ]
    (only,) = given
    assert only["principalId"] == nodes.outputs["principalId"]
    assert only["scope"] == run.arm.one("monitor:DataCollectionRule").id


def test_every_linux_node_starts_the_collector(run: ProgramRun) -> None:
    tasks = start_tasks(run)
    endpoint = run.arm.one("monitor:DataCollectionEndpoint").outputs["logsIngestion"]["endpoint"]
    rule = run.arm.one("monitor:DataCollectionRule").outputs["immutableId"]
    client = run.arm.one("managedidentity:UserAssignedIdentity", "hpc-nodes").outputs["clientId"]
    for name, command in (("alone", None), ("own", COMMAND)):
        assert tasks[name]["commandLine"] == COMMAND_LINE
        told = variables(tasks[name])
        expected = environment(command, interval_s=60)
        assert {key: told[key] for key in expected} == expected
        assert told["HPC_TELEMETRY_ENDPOINT"] == endpoint
        assert told["HPC_TELEMETRY_RULE_ID"] == rule
        assert told["HPC_TELEMETRY_STREAM"] == STREAM
        assert told["HPC_TELEMETRY_CLIENT_ID"] == client
    assert tasks["windows"] is None


def test_a_collector_keeps_no_node_waiting_and_changes_no_start_task(run: ProgramRun) -> None:
    tasks = start_tasks(run)
    assert tasks["alone"]["waitForSuccess"] is False
    own = tasks["own"]
    assert own["waitForSuccess"] is True
    assert own["userIdentity"]["autoUser"]["elevationLevel"] == "NonAdmin"
    assert variables(own)["A"] == "1"


def test_a_sender_finds_its_target_in_the_stack_outputs(run: ProgramRun) -> None:
    told = variables(start_tasks(run)["alone"])
    assert run.outputs["telemetry"] == {
        "endpoint": told["HPC_TELEMETRY_ENDPOINT"],
        "rule_id": told["HPC_TELEMETRY_RULE_ID"],
        "stream": STREAM,
        "table": TABLE,
    }


def test_without_telemetry_there_is_nothing_of_it(provision: Provision) -> None:
    plain = provision(planned(monitoring={}))
    for kind in (
        "monitor:DataCollectionRule",
        "monitor:DataCollectionEndpoint",
        "operationalinsights:Table",
        "applicationinsights:Workbook",
    ):
        assert plain.arm.of(kind) == []
    assert start_tasks(plain) == {"a": None}
    assert plain.outputs["telemetry"] is None


def queries_of(estate: Estate) -> Iterator[str]:
    yield from (alert.query for alert in log_alerts(estate).values())
    document = json.loads(content(estate, account_id="/a", workspace_id="/w"))
    yield from (item["content"]["query"] for item in document["items"] if item["type"] == 3)


EVERYTHING = {
    "pools": {"a": {"preset": "spot"}, "b": {"preset": "gpu"}, "c": {"preset": "rdma"}},
    "batch": {"vcpu_quota_by_series": {"HBv3": 240, "NCasT4_v3": 0}},
}


def test_queries_ask_for_columns_that_nodes_report() -> None:
    known = {column.name for column in COLUMNS}
    asked: set[str] = set()
    for query in queries_of(planned(**EVERYTHING)):
        if TABLE in query:
            # What a query makes itself stands before an equals sign; the rest is the table's.
            made = set(re.findall(r"\b([A-Z]\w+) =", query)) | {"Vcpus", "Series", "Keeps"}
            made |= {"DedicatedPrice", "SpotPrice", "PricePerHour", TABLE}
            text = re.sub(r'"[^"]*"|\{TimeRange:\w+\}', "", query)
            asked |= set(re.findall(r"\b[A-Z]\w+\b", text)) - made
    assert {"CpuPercent", "GpuPercent", "DiskUsedPercent", "Node"} <= asked
    assert asked <= known


def test_queries_are_whole() -> None:
    for query in queries_of(planned(**EVERYTHING)):
        text = re.sub(r'@?"[^"]*"', '""', query)
        for opening, closing in ("()", "[]", "{}"):
            assert text.count(opening) == text.count(closing), query
        assert text.count('"') % 2 == 0
        assert not query.endswith("\n")
        # A column of an event that never came is no error.
        for column in re.findall(r"\b\w+_[sdb]\b", query):
            assert f'column_ifexists("{column}"' in query, (column, query)


def test_the_queue_is_what_formulas_call_it() -> None:
    (pattern,) = re.findall(r'extract\(@"([^"]+)"', queries.QUEUE)
    formula = planned().pools[0].scale.formula
    assert formula is not None
    # The service reports every variable that a formula assigns, by its name.
    assert re.search(r"^tasks = ", formula, re.MULTILINE)
    told = "$TargetDedicatedNodes=2;$NodeDeallocationOption=taskcompletion;known=100;tasks=7"
    assert re.findall(pattern, told) == ["7"]


def test_pools_are_told_by_their_logical_names() -> None:
    pattern = re.search(r'@"([^"]+)"', log_alerts(planned())["pool-failed-tasks"].query)
    assert pattern is not None
    assert re.sub(pattern.group(1), "", "cpu-big-0a1b2c3d") == "cpu-big"


def test_alerts_on_logs_name_what_they_measure_and_the_pool() -> None:
    alerts = log_alerts(planned(**EVERYTHING))
    assert set(alerts) == {
        "pool-disk",
        "pool-failed-tasks",
        "pool-formula",
        "pool-idle",
        "pool-requeued",
        "pool-resize",
        "pool-start-task",
        "series-quota",
    }
    for alert in alerts.values():
        last = alert.query[alert.query.rindex("| summarize") :]
        assert re.search(rf"\b{alert.measure}\b", last)
        assert re.search(rf"\b{alert.dimension}\b", last)


def test_quota_is_told_by_series_where_there_are_several() -> None:
    two = {"a": {"preset": "cpu"}, "b": {"preset": "rdma"}}
    quota = {"vcpu_quota_by_series": {"HBv3": 240, "Dsv5": 0, "NDv5": 96}}
    several = planned(pools=two, batch=quota)
    assert single_series_quota(several) is None
    query = log_alerts(several)["series-quota"].query
    assert '"HBv3", 240' in query
    # Percent of nothing is nothing to tell.
    assert '"Dsv5", 0,\n' not in query
    one = planned(pools={"b": {"preset": "rdma"}, "s": {"preset": "spot"}}, batch=quota)
    assert single_series_quota(one) == 240
    assert "series-quota" not in log_alerts(one)
    assert "series-quota" not in log_alerts(planned(pools=two))


def test_alerts_on_logs_are_declared_with_a_row_for_each_pool(provision: Provision) -> None:
    monitoring = {**TELEMETRY, "alert_emails": ["ops@lab.example"]}
    estate = planned(**EVERYTHING, monitoring=monitoring)
    run = provision(estate)
    declared = {
        one.name.removeprefix("hpc-alerts-"): one.inputs
        for one in run.arm.of("monitor:ScheduledQueryRule")
    }
    wanted = log_alerts(estate)
    assert set(declared) == set(wanted)
    workspace = run.arm.one("operationalinsights:Workspace")
    group = run.arm.one("monitor:ActionGroup")
    for name, rule in declared.items():
        (condition,) = rule["criteria"]["allOf"]
        assert condition["query"] == wanted[name].query
        assert condition["dimensions"][0]["values"] == ["*"]
        assert rule["scopes"] == [workspace.id]
        assert rule["actions"] == {"actionGroups": [group.id]}
        assert rule["skipQueryValidation"] is True


def test_the_workbook_charts_nodes_tasks_queue_and_cost(run: ProgramRun) -> None:
    workbook = run.arm.one("applicationinsights:Workbook").inputs
    account = str(run.arm.one("batch:BatchAccount").id)
    workspace = run.arm.one("operationalinsights:Workspace").id
    document = json.loads(workbook["serializedData"])
    titles = "\n".join(item["content"]["json"] for item in document["items"] if item["type"] == 1)
    for subject in ("Nodes", "Tasks", "Queue", "Cost", "What nodes do"):
        assert f"## {subject}" in titles
    charts = [item["content"] for item in document["items"] if item["type"] in {3, 10}]
    for chart in charts:
        assert chart["timeContextFromParameter"] == "TimeRange"
        assert (chart.get("resourceIds") or chart.get("crossComponentResources")) in (
            [account],
            [workspace],
        )
    assert workbook["sourceId"] == account.lower()


def test_a_workbook_keeps_its_name_and_differs_by_account(provision: Provision) -> None:
    names = [
        provision(estate).arm.one("applicationinsights:Workbook").inputs["resourceName"]
        for estate in (planned(), planned(pools={"z": {}}))
    ]
    assert names[0] == names[1]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", names[0])


STATES = (
    "Creating Starting WaitingForStartTask StartTaskFailed Idle Running Rebooting Reimaging "
    "Offline Unusable LeavingPool Preempted"
)
# https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/
# microsoft-batch-batchaccounts-metrics
COUNTS = {
    *(f"{state}NodeCount" for state in STATES.split()),
    *("CoreCount", "LowPriorityCoreCount", "TotalNodeCount", "TotalLowPriorityNodeCount"),
}
EVENTS = {
    *(f"Pool{what}Event" for what in ("Create", "DeleteStart", "DeleteComplete")),
    *(f"PoolResize{what}Event" for what in ("Start", "Complete")),
    *(f"Task{what}Event" for what in ("Start", "Complete", "Fail")),
    *(f"Job{what}Event" for what in ("Start", "DeleteStart", "DeleteComplete", "DisableStart")),
    *(f"Job{what}Event" for what in ("DisableComplete", "TerminateStart", "TerminateComplete")),
}


def test_alerts_ask_for_metrics_that_batch_has_averaged_or_counted() -> None:
    quota = {"vcpu_quota_by_series": {"Dsv5": 100}, "spot_vcpu_quota": 100}
    pools = {"a": {"scale": {"max_dedicated_nodes": 2, "max_spot_nodes": 2}}}
    found = account_alerts(planned(pools=pools, batch=quota))
    assert {"CoreCount", "LowPriorityCoreCount"} <= {one.metric for one in found.values()}
    for name, one in found.items():
        known = COUNTS if one.aggregation == "Average" else EVENTS
        assert one.metric in known, name
        assert one.aggregation in {"Average", "Count"}, name


def test_charts_ask_for_metrics_that_batch_has_averaged_or_counted() -> None:
    text = content(planned(), account_id="/subscriptions/a", workspace_id="/subscriptions/w")
    asked = [
        (metric["metric"].rpartition("-")[2], metric["aggregation"])
        for item in json.loads(text)["items"]
        for metric in item.get("content", {}).get("metrics", ())
    ]
    assert asked
    # A workbook has numbers for them: 4 is the average, 7 the count.
    assert {name for name, aggregation in asked if aggregation == 4} <= COUNTS
    assert {name for name, aggregation in asked if aggregation == 7} <= EVENTS
    assert {aggregation for _, aggregation in asked} == {4, 7}
