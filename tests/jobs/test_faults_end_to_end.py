"""What goes wrong between us and the service, made to happen by the emulator: over the real
command line, each task once, each verb to its end."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.session import Session
from jobs.stack import parse_stack

Directory = Any  # the fixtures of command_line.py, which importlib mode cannot name
Faults = Any
TASKS = 101
"""Two collections, so that one is in while another one is asked for again."""

pytestmark = pytest.mark.slow


@pytest.fixture
def counted(directory: Directory) -> Callable[[], Counter[str]]:
    """A workload whose tasks say that they ran; gives how often each did."""
    log = directory.path / "ran"
    log.write_text("")
    command = json.dumps(["sh", "-c", 'echo {index} >> "$0"', str(log)])
    directory.write(
        f"""\
        name: counted
        pool: cpu
        inputs: [input]
        tasks: {TASKS}
        command: {command}
        """,
        input="counted",
    )
    return lambda: Counter(log.read_text().split())


ONCE = Counter(str(index) for index in range(TASKS))


@pytest.mark.parametrize(
    ("operation", "drop"),
    [
        ("create_job", "after"),
        ("create_task_collection", "after"),
        ("create_task_collection", "before"),
        ("update_job", "after"),
    ],
)
def test_answers_that_are_lost_leave_each_task_once(
    directory: Directory,
    faults: Faults,
    counted: Callable[[], Counter[str]],
    operation: str,
    drop: str,
) -> None:
    faults.add(operation=operation, drop=drop, count=2)
    report = directory.json("run", "job.yaml")["report"]
    assert faults.rules() == [], "both struck"
    assert (report["succeeded"], report["tasks"]) == (TASKS, TASKS)
    assert counted() == ONCE


def test_answers_to_every_operation_that_are_lost_now_and_then_are_survived(
    directory: Directory, faults: Faults, counted: Callable[[], Counter[str]]
) -> None:
    faults.add(drop="after", share=0.15, seed=7)
    report = directory.json("run", "job.yaml")["report"]
    (rule,) = faults.rules()
    assert rule["struck"] > 0
    assert (report["succeeded"], report["tasks"]) == (TASKS, TASKS)
    assert counted() == ONCE


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"status": 429, "count": 6}, id="without Retry-After"),
        pytest.param({"status": 429, "count": 3, "retry_after_s": 1}, id="with Retry-After"),
        pytest.param({"status": 503, "share": 0.3, "seed": 3}, id="30 % busy"),
        pytest.param(
            {"operation": "create_task_collection", "failed_items": 0.4, "count": 5},
            id="items that the server fails",
        ),
        pytest.param({"operation": "create_task_collection", "status": 500, "count": 3}, id="500"),
    ],
)
def test_refusals_are_waited_out(
    directory: Directory,
    faults: Faults,
    counted: Callable[[], Counter[str]],
    rule: dict[str, object],
) -> None:
    faults.add(**rule)
    report = directory.json("run", "job.yaml")["report"]
    left = faults.rules()
    assert [found["struck"] > 0 for found in left] == [True] * ("share" in rule)
    assert (report["succeeded"], report["tasks"]) == (TASKS, TASKS)
    assert counted() == ONCE


def test_a_rate_limit_slows_a_run_and_does_not_end_it(
    directory: Directory, faults: Faults, counted: Callable[[], Counter[str]]
) -> None:
    faults.ask("PUT", "rate", {"requests_per_second": 8, "burst": 2})
    report = directory.json("run", "job.yaml")["report"]
    assert (report["succeeded"], report["tasks"]) == (TASKS, TASKS)
    assert counted() == ONCE


def test_a_verb_whose_answer_is_lost_has_done_its_work_once(
    directory: Directory, faults: Faults
) -> None:
    directory.write("name: slow\npool: cpu\ncommand: sleep 1000\n")
    directory.jobs("submit", "job.yaml", "--job-id", f"lost-{os.getpid()}")
    faults.add(operation="terminate_job", drop="after", count=2)
    directory.jobs("cancel")
    assert faults.rules() == []
    assert directory.json("wait", code=1)["report"]["failed"] == 1
    faults.add(operation="delete_job", drop="after", count=2)
    directory.jobs("clean", "--yes")
    assert faults.rules() == []
    assert f"lost-{os.getpid()}" not in [j["job_id"] for j in directory.json("list")["jobs"]]


@pytest.fixture
def spot(directory: Directory, estate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The id of a pool whose only node is a spot one: `spot` in outputs of its own."""
    monkeypatch.setenv("HPC_LOCAL_DIR", str(estate))
    monkeypatch.delenv("AZURE_BATCH_ACCESS_KEY", raising=False)
    values = json.loads((estate / "stacks" / "local" / "outputs.json").read_text())
    service = Session(stack=parse_stack(values, where="test")).service

    def resize(dedicated: int, low_priority: int) -> None:
        targets = {"targetDedicatedNodes": dedicated, "targetLowPriorityNodes": low_priority}
        while service.get("/pools/pool-mpi", "looking")["allocationState"] != "steady":
            pass
        service.call("POST", "/pools/pool-mpi/resize", "resizing", body=targets)

    values["pools"]["spot"] = values["pools"]["mpi"] | {
        "max_spot_nodes": 1,
        "max_dedicated_nodes": 0,
        "min_nodes": 1,
        "max_nodes": 1,
        "spot_price_per_hour": 0.02,
    }
    (directory.path / "outputs.json").write_text(json.dumps(values))
    del directory.environment["JOBS_STACK"]
    resize(0, 1)
    yield "pool-mpi"
    resize(2, 0)


def test_a_task_whose_node_is_taken_away_runs_again(
    directory: Directory, faults: Faults, spot: str
) -> None:
    first = directory.path / "first"
    script = 'if [ -e "$0" ]; then echo again > out; else echo "$AZ_BATCH_NODE_ID" > "$0"; exec sleep 1000; fi'  # noqa: E501 - one line of shell
    directory.write(
        f"""\
        name: preempted
        pool: spot
        command: {json.dumps(["sh", "-c", script, str(first)])}
        outputs: [out]
        check: [sh, -c, 'test "$(cat outputs/*/out)" = again']
        """
    )
    with directory.start("run", "job.yaml", "--outputs", "outputs.json", "--json") as process:
        while not (first.exists() and first.read_text()):
            assert process.poll() is None, process.stderr.read()
        node = first.read_text().strip()
        faults.ask("POST", f"accounts/jobs/pools/{spot}/nodes/{node}/preempt", {})
        out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    report = json.loads(out)["report"]
    assert (report["succeeded"], report["requeues"]) == (1, 1)
    shown, _ = directory.jobs("report")
    assert "1 requeues" in shown
    # A later look asks the service anew, and says the same: what the lost attempt took, too.
    later = directory.json("report")["report"]
    assert later["requeues"] == 1
    assert later["spot_node_s"] > later["task_s"] > 0
    assert later["slot_efficiency"] <= 1
