"""What a node tells of itself, and that telling it never gets in the way."""

from __future__ import annotations

import ast
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import collector
from telemetry.collector import (
    MOST_ROWS_PER_CALL,
    Ingestion,
    Node,
    NodeMetrics,
    Outbox,
    SendError,
    TooLargeError,
    record,
)
from tests.telemetry.conftest import Azure

WHO = {"account": "hpc", "pool": "cpu-0a1b2c3d", "node": "tvm-1"}
SOURCE = Path(collector.__file__)


def row(number: int = 0) -> NodeMetrics:
    return NodeMetrics(datetime(2026, 1, 1, tzinfo=UTC), "hpc", "cpu", f"tvm-{number}")


def machine(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")


# Two processors, one disk with a partition, one network device, a bridge, one InfiniBand port.
EARLIER = {
    "proc/stat": "cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 1 1 1\n",
    "proc/meminfo": "MemTotal:  8388608 kB\nMemFree: 1 kB\nMemAvailable:  6291456 kB\n",
    "proc/diskstats": "8 0 sda 1 0 100 0 1 0 200 0 0 0 0\n8 1 sda1 1 0 99 0 1 0 199 0 0 0 0\n",
    "proc/net/dev": "Inter-|\n face |bytes\n"
    "  eth0: 1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n"
    "docker0: 77 1 0 0 0 0 0 0 77 1 0 0 0 0 0 0\n",
    "sys/block/sda/device/model": "disk",
    "sys/block/loop0/size": "1",
    "sys/class/net/eth0/device/vendor": "0x1414",
    "sys/class/infiniband/mlx5_0/ports/1/counters/port_rcv_data": "100\n",
    "sys/class/infiniband/mlx5_0/ports/1/counters/port_xmit_data": "10\n",
}
LATER = {
    "proc/stat": "cpu  250 0 150 950 150 0 0 0 90 0\n",
    "proc/diskstats": "8 0 sda 1 0 120 0 1 0 240 0 0 0 0\n8 1 sda1 1 0 999 0 1 0 999 0 0 0 0\n",
    "proc/net/dev": "  eth0: 5000 1 0 0 0 0 0 0 2500 1 0 0 0 0 0 0\n"
    "docker0: 9 0 0 0 0 0 0 0 9 0\n",
    "sys/class/infiniband/mlx5_0/ports/1/counters/port_rcv_data": "350\n",
    "sys/class/infiniband/mlx5_0/ports/1/counters/port_xmit_data": "10\n",
}


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Moments of the monotonic clock, each told once."""
    moments = [100.0, 110.0]
    monkeypatch.setattr("telemetry.collector.time.monotonic", lambda: moments.pop(0))
    return moments


def test_this_machine_is_told_as_the_kernel_has_it() -> None:
    node = Node(nvidia_smi="/nonexistent")
    sum(n * n for n in range(200_000))
    told = node.sample(**WHO)
    page = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert told.cpus == os.cpu_count()
    assert told.cpu_percent is not None
    assert 0 < told.cpu_percent <= 100
    assert told.memory_total_mib == pytest.approx(page, rel=0.02)
    assert told.memory_used_mib is not None
    assert 0 < told.memory_used_mib < page
    assert told.disk_used_percent is not None
    assert 0 <= told.disk_used_percent <= 100
    assert (datetime.now(UTC) - told.time_generated).total_seconds() < 60
    assert told.gpus is None


def test_rates_are_of_the_time_between_two_samples(tmp_path: Path, seconds: list[float]) -> None:
    machine(tmp_path, EARLIER)
    node = Node(root=tmp_path, nvidia_smi="/nonexistent")
    machine(tmp_path, LATER)
    told = node.sample(**WHO)
    assert seconds == []
    # 500 ticks went by, 300 of them idle or waiting for disks; guests' are not counted twice.
    assert told.cpu_percent == 40.0
    assert (told.memory_total_mib, told.memory_used_mib) == (8192, 2048)
    assert told.disk_read_bytes_per_s == 20 * 512 / 10
    assert told.disk_write_bytes_per_s == 40 * 512 / 10
    assert (told.network_received_bytes_per_s, told.network_sent_bytes_per_s) == (400, 50)
    assert told.infiniband_received_bytes_per_s == 250 * 4 / 10
    assert told.infiniband_sent_bytes_per_s == 0


def test_a_counter_that_was_started_anew_gives_no_rate(
    tmp_path: Path, seconds: list[float]
) -> None:
    machine(tmp_path, {**EARLIER, **LATER})
    node = Node(root=tmp_path, nvidia_smi="/nonexistent")
    machine(tmp_path, EARLIER)
    told = node.sample(**WHO)
    assert seconds == []
    assert told.cpu_percent is None
    assert told.network_received_bytes_per_s is None
    assert told.infiniband_sent_bytes_per_s == 0


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    node = Node(root=tmp_path, disk=tmp_path / "none", nvidia_smi="/nonexistent")
    told = record(node.sample(**WHO))
    assert set(told) == {"TimeGenerated", "Account", "Pool", "Node", "Cpus"}
    assert json.loads(json.dumps(told)) == told


def test_a_directory_that_is_closed_is_told_by_the_disk_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "batch" / "tasks"
    statvfs = os.statvfs

    def look(path: Path) -> os.statvfs_result:
        if path.is_relative_to(tmp_path / "batch"):
            raise PermissionError
        return statvfs(path)

    monkeypatch.setattr("telemetry.collector.os.statvfs", look)
    told = Node(root=tmp_path, disk=closed, nvidia_smi="/nonexistent").sample(**WHO)
    assert told.disk_used_percent is not None
    monkeypatch.setattr("telemetry.collector.os.statvfs", statvfs)
    open_one = Node(root=tmp_path, disk=tmp_path, nvidia_smi="/nonexistent").sample(**WHO)
    assert told.disk_used_percent == pytest.approx(open_one.disk_used_percent, abs=1)


@pytest.mark.parametrize(
    ("says", "gpus", "percent", "total", "used"),
    [
        ("30, 16384, 1000\n50, 16384, 2000\n", 2, 40.0, 32768, 3000),
        ("[N/A], 81920, 5\n", 1, None, 81920, 5),
        ("No devices were found\n", None, None, None, None),
    ],
)
def test_gpus_are_told_together(
    tmp_path: Path,
    says: str,
    gpus: int | None,
    percent: float | None,
    total: int | None,
    used: int | None,
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '%s' '{says}'\n")
    program.chmod(0o755)
    told = Node(nvidia_smi=str(program)).sample(**WHO)
    assert told.gpus == gpus
    assert (told.gpu_percent, told.gpu_memory_total_mib, told.gpu_memory_used_mib) == (
        percent,
        total,
        used,
    )


def ingestion(azure: Azure) -> Ingestion:
    return Ingestion(
        endpoint=f"{azure.url}/",
        rule_id="dcr-1",
        stream="Custom-HpcNodeMetrics_CL",
        client_id="0c1",
        metadata_endpoint=azure.url,
    )


def test_rows_go_to_the_rules_stream_with_a_token_of_the_nodes_identity(azure: Azure) -> None:
    service = ingestion(azure)
    service.send([row(1), row(2)])
    service.send([row(3)])
    first, second = azure.calls
    assert first.path == (
        "/dataCollectionRules/dcr-1/streams/Custom-HpcNodeMetrics_CL?api-version=2023-01-01"
    )
    assert [one["Node"] for one in azure.rows] == ["tvm-1", "tvm-2", "tvm-3"]
    assert azure.rows[0]["TimeGenerated"] == "2026-01-01T00:00:00+00:00"
    # One token serves until shortly before it expires.
    assert (azure.tokens, second.authorization) == (1, "Bearer token-1")
    (query,) = azure.token_queries
    assert query == {
        "api-version": ["2018-02-01"],
        "client_id": ["0c1"],
        "resource": ["https://monitor.azure.com/"],
    }


@pytest.mark.parametrize("status", [0, 401, 403, 404, 429, 500, 503])
def test_what_may_pass_later_is_tried_later_with_a_new_token(azure: Azure, status: int) -> None:
    azure.answers = [(status, {"Retry-After": "7"} if status == 429 else {})]
    service = ingestion(azure)
    with pytest.raises(SendError) as caught:
        service.send([row()])
    assert caught.value.retry
    assert caught.value.wait_s == (7 if status == 429 else None)
    service.send([row()])
    assert [one.authorization for one in azure.calls] == ["Bearer token-2"]


def test_what_will_never_pass_is_not_tried_again(azure: Azure) -> None:
    azure.answers = [(400, {}), (413, {})]
    with pytest.raises(SendError) as caught:
        ingestion(azure).send([row()])
    assert not caught.value.retry
    with pytest.raises(TooLargeError):
        ingestion(azure).send([row()])


@pytest.mark.parametrize("answer", [(400, ""), (200, "{}"), (200, "<html>"), (200, "[1]")])
def test_a_node_without_the_identity_waits_for_it(azure: Azure, answer: tuple[int, str]) -> None:
    azure.token_answers = [answer]
    with pytest.raises(SendError) as caught:
        ingestion(azure).send([row()])
    assert azure.calls == []
    assert caught.value.retry is (answer[0] == 200)


def test_nobody_at_the_endpoint_is_no_disaster() -> None:
    service = Ingestion(
        endpoint="http://127.0.0.1:9",
        rule_id="r",
        stream="s",
        client_id="c",
        metadata_endpoint="http://127.0.0.1:9",
    )
    with pytest.raises(SendError) as caught:
        service.send([row()])
    assert caught.value.retry


class Service:
    """Takes rows or answers with what was put in."""

    def __init__(self, *answers: SendError | None) -> None:
        self.answers = list(answers)
        self.calls: list[list[str]] = []

    def __call__(self, rows: list[NodeMetrics]) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.calls.append([one.node for one in rows])


AWAY = SendError("away", retry=True)
WRONG = SendError("wrong", retry=False)


def test_a_service_that_is_away_is_asked_less_and_less_often() -> None:
    service = Service(*[AWAY] * 20)
    outbox = Outbox(service, jitter=lambda: 1.0)
    outbox.add(row())
    now, asked = 0.0, []
    while service.answers:
        before = len(service.answers)
        outbox.flush(now)
        if len(service.answers) < before:
            asked.append(now)
        now += 10
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert waits[:6] == [30, 60, 120, 240, 480, 900]
    assert set(waits[6:]) == {900}
    assert len(outbox) == 1


def test_a_service_says_itself_how_long_to_wait() -> None:
    service = Service(SendError("busy", retry=True, wait_s=300))
    outbox = Outbox(service, jitter=lambda: 0.0)
    outbox.add(row())
    outbox.flush(0)
    outbox.flush(299)
    assert service.calls == []
    outbox.flush(300)
    assert service.calls == [["tvm-0"]]


def test_a_call_that_is_too_large_is_made_smaller() -> None:
    service = Service(*[TooLargeError("413", retry=False)] * 2)
    outbox = Outbox(service)
    for number in range(8):
        outbox.add(row(number))
    outbox.flush(0)
    assert [len(call) for call in service.calls] == [2, 2, 2, 2]


def test_one_row_that_is_too_large_does_not_stop_the_others() -> None:
    service = Service(*[TooLargeError("413", retry=False)] * 2)
    outbox = Outbox(service)
    outbox.add(row(0))
    outbox.add(row(1))
    outbox.flush(0)
    assert service.calls == [["tvm-1"]]


@given(
    st.lists(
        st.one_of(
            st.integers(1, 30),
            st.sampled_from([None, AWAY, WRONG, TooLargeError("413", retry=False)]),
        ),
        max_size=40,
    )
)
def test_rows_are_sent_once_in_order_and_never_pile_up(
    steps: list[int | SendError | None],
) -> None:
    most = 50
    service = Service()
    outbox = Outbox(service, most_rows=most, jitter=lambda: 0.0)
    now, number = 0.0, 0
    for step in steps:
        if isinstance(step, int):
            for _ in range(step):
                outbox.add(row(number))
                number += 1
        else:
            service.answers = [step]
            now += 1000
            outbox.flush(now)
        assert len(outbox) <= most
    service.answers = []
    outbox.flush(now + 1000)
    assert len(outbox) == 0
    sent = [int(name.removeprefix("tvm-")) for call in service.calls for name in call]
    assert sent == sorted(set(sent))
    assert all(len(call) <= MOST_ROWS_PER_CALL for call in service.calls)


def variables(azure: Azure, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "AZ_BATCH_ACCOUNT_NAME": "hpc",
        "AZ_BATCH_POOL_ID": "cpu-0a1b2c3d",
        "AZ_BATCH_NODE_ID": f"tvm-{azure.url.rpartition(':')[2]}",
        "AZ_BATCH_NODE_ROOT_DIR": "/",
        "HPC_TELEMETRY_ENDPOINT": azure.url,
        "HPC_TELEMETRY_RULE_ID": "dcr-1",
        "HPC_TELEMETRY_STREAM": "Custom-HpcNodeMetrics_CL",
        "HPC_TELEMETRY_CLIENT_ID": "0c1",
        "HPC_TELEMETRY_INTERVAL_S": "0.05",
        "HPC_TELEMETRY_METADATA_ENDPOINT": azure.url,
        **more,
    }


def test_the_collector_reports_until_it_is_told_to_end(azure: Azure) -> None:
    command = [sys.executable, "-c", SOURCE.read_text(encoding="ascii")]
    process = subprocess.Popen(
        command, env=variables(azure), stderr=subprocess.PIPE, cwd="/", text=True
    )
    try:
        assert azure.arrived.wait(120)
        # A second one on the same node leaves the first alone.
        second = subprocess.run(
            command, env=variables(azure), capture_output=True, text=True, check=False, cwd="/"
        )
        assert (second.returncode, "another collector" in second.stderr) == (0, True)
        # What could not be sent before the end is sent at the end.
        azure.answers = [(503, {})]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert {one["Pool"] for one in azure.rows} == {"cpu-0a1b2c3d"}


def test_a_collector_that_nobody_told_where_to_report_says_so(azure: Azure) -> None:
    told = variables(azure)
    del told["HPC_TELEMETRY_RULE_ID"]
    done = subprocess.run(
        [sys.executable, str(SOURCE)], env=told, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "HPC_TELEMETRY_RULE_ID is not set" in done.stderr
    assert azure.tokens == 0


def test_one_row_can_be_looked_at(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SOURCE), "--once", "--interval-s", "0.1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert json.loads(done.stdout)["Cpus"] == os.cpu_count()


def test_the_collector_is_a_text_for_the_python_of_nodes() -> None:
    text = SOURCE.read_text(encoding="ascii")
    tree = ast.parse(text, feature_version=(3, 9))
    modules = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert not {name for name in modules if name.startswith("telemetry")}
    # One variable of an environment holds at most 128 KiB (MAX_ARG_STRLEN of Linux).
    assert len(text) < 64 * 1024
