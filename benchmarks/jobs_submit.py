"""How fast tasks are submitted: `python benchmarks/jobs_submit.py [--tasks N] [--json]`.

The peer is the SDK's own `create_tasks`, from the same generated tasks, at the same sink: a
process that answers `addtaskcollection` as the service does and keeps nothing, so that the
server is not what is measured. Each side runs in a process of its own, in turn; tasks a
second, and the side's largest resident set.

Found on two cores, medians of 2 to 5: 20,000 tasks at 17,600 to 28,000 a second and 98 MiB,
against 1,200 to 1,700 a second and 287 MiB (13 to 17 times as fast); 1,000,000 tasks in 99 MiB,
too: memory does not grow with the number of tasks.

`--latency-ms 50 --only jobs` holds the rate against what latency and the requests in flight
allow, 15,000 a second for 20,000 tasks: 82 to 86 % of it at 35 to 43 µs of processor a task, 80
to 81 % in hours when the same machine took 48 µs. It was 70 % at 62 µs before the outputs of a
stage were serialised once and the environment's proxies read once. Half of what is left makes the
tasks, half is the SDK's pipeline, a millisecond of the interpreter a request. The sink's own work
is within the delay: eight raw connections that send what was made before take 51 ms a request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parent.parent
KEY = "c2luayBrZXk="
WORKLOAD = """\
name: sink
pool: cpu
command: ./simulate --seed {seed} --output out-{index}.bin
inputs: [data.bin]
outputs: ["out-*.bin"]
tasks: {sweep: {seed: {range: [0, TASKS]}}}
"""


class Sink(asyncio.Protocol):
    """Answers every request, at once or after a delay."""

    delay_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins a connection."""
        self.transport: Any = transport
        self.data = bytearray()

    def data_received(self, data: bytes) -> None:
        """Takes what arrived; answers what is complete."""
        arrived = asyncio.get_running_loop().time()
        self.data += data
        while True:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.data[:end]).lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n")[0]) if at >= 0 else 0
            if len(self.data) < end + 4 + size:
                return
            body = bytes(self.data[end + 4 : end + 4 + size])
            del self.data[: end + 4 + size]
            self.answer(head, body, arrived)

    def answer(self, head: bytes, body: bytes, arrived: float) -> None:
        """A collection is all success; anything else is empty."""
        status, content = b"200 OK", b""
        if b"addtaskcollection" in head:
            results = [
                {"status": "Success", "taskId": task["id"], "eTag": "0x1"}
                for task in orjson.loads(body)["value"]
            ]
            content = orjson.dumps({"value": results})
        elif head.startswith(b"post"):
            status = b"201 Created"
        whole = (
            b"HTTP/1.1 %b\r\nContent-Type: application/json;odata=minimalmetadata\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (status, len(content), content)
        )
        if self.delay_s:
            # what it takes to answer is part of the delay, or the server would be measured too
            loop = asyncio.get_running_loop()
            loop.call_at(arrived + self.delay_s, self.transport.write, whole)
        else:
            self.transport.write(whole)


def serve(pipe: Connection, delay_s: float) -> None:
    """Runs the sink until it is ended."""
    Sink.delay_s = delay_s

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def plan_for(port: int, tasks: int, directory: Path) -> Any:
    """The plan of a workload of so many tasks, for the sink."""
    from jobs.checking import check  # noqa: PLC0415 - only the measured process needs it
    from jobs.contents import ContentCache  # noqa: PLC0415
    from jobs.loading import load_workload  # noqa: PLC0415
    from jobs.plan import plan  # noqa: PLC0415
    from jobs.stack import parse_stack  # noqa: PLC0415
    from jobs.stage import contents_of  # noqa: PLC0415

    url = f"http://127.0.0.1:{port}"
    pool = {
        "id": "cpu", "vm_size": "Standard_D4s_v5", "vcpus": 4, "os": "linux",
        "task_slots_per_node": 4, "min_nodes": 0, "max_nodes": 9, "max_dedicated_nodes": 9,
        "max_spot_nodes": 0, "inter_node_communication": False, "identity_id": "/id/nodes",
        "dedicated_price_per_hour": 0.2, "spot_price_per_hour": None, "price_currency": "USD",
        "prices_as_of": "2026-11-01",
    }  # fmt: skip
    text = {name: name for name in ("stack", "location", "resource_group", "batch_account_id",
            "batch_account_name", "storage_account_name", "programs_container", "inputs_container",
            "outputs_container", "logs_container", "log_analytics_workspace_id")}  # fmt: skip
    stack = parse_stack(
        {**text, "schema_version": 1, "authentication": "shared-key", "batch_endpoint": url,
         "blob_endpoint": f"{url}/data", "management_endpoint": url, "applications": {},
         "pools": {"cpu": pool}},
        where="benchmark",
    )  # fmt: skip
    (directory / "data.bin").write_bytes(b"1")
    (directory / "job.yaml").write_text(WORKLOAD.replace("TASKS", str(tasks)))
    checked = check(load_workload(directory / "job.yaml"), stack)
    with ContentCache(None) as cache:
        return plan(checked, contents_of(checked, cache), job_id="sink")


def side(name: str, port: int, tasks: int, pipe: Connection) -> None:
    """Submits, in a process of its own; sends (tasks a second, MiB, processor µs a task)."""
    sys.path.insert(0, str(ROOT))
    import os  # noqa: PLC0415

    os.environ["AZURE_BATCH_ACCESS_KEY"] = KEY
    from jobs.clients import Clients  # noqa: PLC0415
    from jobs.service import BatchService  # noqa: PLC0415
    from jobs.submit import submit  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as directory:
        job = plan_for(port, tasks, Path(directory))
        client = Clients(job.checked.stack).batch
        if name == "jobs":
            service = BatchService(client=client)
            began, used = time.perf_counter(), time.process_time()
            submit(job, service)
        else:
            from azure.batch.models import BatchTaskCreateOptions  # noqa: PLC0415

            began, used = time.perf_counter(), time.process_time()
            # the model takes wire names as a mapping, which spares the peer some work
            models: list[Any] = [
                BatchTaskCreateOptions(orjson.loads(task.body)) for task in job.tasks()
            ]
            client.create_tasks("sink", models, max_concurrency=8)
        passed = time.perf_counter() - began
        processor_s = time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send((tasks / passed, peak, processor_s / tasks * 1e6))


def bound(tasks: int, delay_s: float) -> float:
    """Tasks a second that latency and the requests in flight allow, were all else free."""
    from jobs.task_collections import IN_FLIGHT, MAX_COLLECTION_TASKS  # noqa: PLC0415 - as above

    collections = math.ceil(tasks / MAX_COLLECTION_TASKS)
    # one request makes the job, one closes it, each alone
    return tasks / ((math.ceil(collections / IN_FLIGHT) + 2) * delay_s)


def measure(name: str, tasks: int, delay_s: float, context: Any) -> tuple[float, float, float]:
    """One run of one side against a fresh sink."""
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs, delay_s), daemon=True)
    server.start()
    port = ours.recv()
    worker = context.Process(target=side, args=(name, port, tasks, theirs), daemon=True)
    worker.start()
    try:
        result: tuple[float, float, float] = ours.recv()
    finally:
        worker.join(5)
        server.terminate()
        server.join()
    return result


def main() -> None:
    """Measures both sides in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--only", choices=("jobs", "create_tasks"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    names = [options.only] if options.only else ["jobs", "create_tasks"]
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            found[name].append(measure(name, options.tasks, options.latency_ms / 1000, context))
    result: dict[str, dict[str, float]] = {
        name: {
            "tasks_per_s": round(statistics.median(run[0] for run in runs)),
            "peak_mib": round(max(run[1] for run in runs)),
            "cpu_us_per_task": round(statistics.median(run[2] for run in runs), 1),
        }
        for name, runs in found.items()
    }
    if options.latency_ms:
        sys.path.insert(0, str(ROOT))
        allowed = bound(options.tasks, options.latency_ms / 1000)
        for values in result.values():
            values["of_bound"] = round(values["tasks_per_s"] / allowed, 3)
    if options.json:
        print(json.dumps(result))
        return
    for name, values in result.items():
        share = f"   {values['of_bound']:.0%} of the bound" if "of_bound" in values else ""
        speed = f"{values['tasks_per_s']:>9,} tasks/s   {values['peak_mib']:>6} MiB"
        print(f"{name:14} {speed}   {values['cpu_us_per_task']:>6} µs each{share}")
    if len(result) > 1:
        ratio = result["jobs"]["tasks_per_s"] / result["create_tasks"]["tasks_per_s"]
        print(f"ratio          {ratio:9.1f}")


if __name__ == "__main__":
    main()
