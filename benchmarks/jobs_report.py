"""What looking and reporting cost: `python benchmarks/jobs_report.py [--tasks N] [--json]`.

A look at a job of N tasks of which 100 ended since the last one: requests and seconds, at an
account in this process that answers as the service does. The peer is what other tools do: all
tasks listed anew, projected to the same fields; only its requests are compared, because the
account here sorts its tasks for every page. A report's page and its table of N tasks: seconds
of the processor, bytes, and rows in the page.

Found on two cores under load, 100,000 tasks: a look 5 requests and 0.3 to 0.8 s, the peer's 100
requests; the page 1.5 s, 1.0 MB and 1,989 rows, the table 1.4 s and 25.8 MB.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
CHANGED = 100


def module(name: str) -> Any:
    """A module beside the tests."""
    path = ROOT / "tests" / "jobs" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"bench_{name}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def stack_for(url: str) -> Any:
    """A stack whose Batch account is at an address."""
    from jobs.stack import parse_stack  # noqa: PLC0415 - sys.path is set above

    names = (
        "stack", "location", "resource_group", "batch_account_name", "storage_account_name",
        "programs_container", "inputs_container", "outputs_container", "logs_container",
        "log_analytics_workspace_id",
    )  # fmt: skip
    pool = {
        "id": "pool-cpu", "vm_size": "Standard_D4s_v5", "vcpus": 4, "os": "linux",
        "task_slots_per_node": 4, "min_nodes": 0, "max_nodes": 99, "max_dedicated_nodes": 99,
        "max_spot_nodes": 0, "inter_node_communication": False, "identity_id": "/id",
        "dedicated_price_per_hour": 0.192, "spot_price_per_hour": 0.04,
        "price_currency": "USD", "prices_as_of": "2026-11-01",
    }  # fmt: skip
    return parse_stack(
        {
            **{name: name for name in names},
            "schema_version": 1,
            "authentication": "shared-key",
            "batch_endpoint": url,
            "blob_endpoint": f"{url}/data",
            "batch_account_id": "/subscriptions/s/batch",
            "management_endpoint": url,
            "applications": {},
            "pools": {"cpu": pool},
        },
        where="benchmark",
    )


def look_at(tasks: int) -> dict[str, float]:
    """Requests and seconds of a look, and of a full listing."""
    from jobs.clients import Clients  # noqa: PLC0415 - sys.path is set above
    from jobs.service import BatchService  # noqa: PLC0415
    from jobs.watch import Watcher  # noqa: PLC0415

    fake = module("fake_batch")
    with fake.serving(fake.FakeBatch()) as batch:
        batch.jobs["j"] = {
            "id": "j", "state": "active", "poolInfo": {"poolId": "pool-cpu"},
            "metadata": [{"name": "jobs.tasks", "value": str(tasks)}],
        }  # fmt: skip
        batch.tasks["j"] = {
            f"{n:07d}-a": {
                "id": f"{n:07d}-a", "state": "active", "executionInfo": {},
                "creationTime": "2026-01-01T00:00:00Z",
                "stateTransitionTime": "2026-01-01T00:00:00Z",
            }
            for n in range(tasks)
        }  # fmt: skip
        ids = list(batch.tasks["j"])
        for number, task in enumerate(ids[: tasks // 2]):
            batch.complete("j", task)
            ended = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=number / 10)
            batch.tasks["j"][task]["stateTransitionTime"] = f"{ended:%Y-%m-%dT%H:%M:%S.%fZ}"
        clock = [0.0]
        service = BatchService(client=Clients(stack_for(batch.url)).batch)
        watcher = Watcher(service=service, job_id="j", now=lambda: clock[0])
        watcher.look()
        for task in ids[tasks // 2 : tasks // 2 + CHANGED]:
            batch.complete("j", task)
        clock[0] = 60.0
        before, began = service.requests_sent, time.perf_counter()
        watcher.look()
        found = {
            "look_requests": service.requests_sent - before,
            "look_s": time.perf_counter() - began,
        }
        before = service.requests_sent
        query = {"$select": "id,state,executionInfo", "maxresults": "1000"}
        listed = sum(1 for _ in service.pages("/jobs/j/tasks", "listing", **query))
        return {**found, "listing_requests": service.requests_sent - before, "listed": listed}


def report_on(tasks: int) -> dict[str, float]:
    """Seconds and sizes of a page and a table."""
    from jobs.looks import TaskEnd  # noqa: PLC0415 - sys.path is set above
    from jobs.prices import shares  # noqa: PLC0415
    from jobs.report import make_report  # noqa: PLC0415
    from jobs.reportpage import Facts, render  # noqa: PLC0415
    from jobs.rerun import Ends  # noqa: PLC0415
    from jobs.task_table import TaskRows, write_csv  # noqa: PLC0415

    rng = random.Random(1)  # noqa: S311 - made-up tasks
    free = [0.0] * 256
    ends = []
    for n in range(tasks):
        lane = n % len(free)
        run, code = rng.lognormvariate(3, 0.6), 0 if rng.random() > 0.02 else 137  # noqa: PLR2004
        ends.append(
            TaskEnd(
                id=f"{n:07d}-0123456789ab", succeeded=code == 0, exit_code=code, failure="",
                retries=0, requeues=0, node_id=f"tvmps_{lane // 4:064x}_d", created=0.0,
                started=free[lane], ended=free[lane] + run,
            )
        )  # fmt: skip
        free[lane] += run + 0.3
    pool = stack_for("http://127.0.0.1:1").pools["cpu"]
    words = {end.id: f"Killed {end.id[-2:]}" for end in ends if not end.succeeded}
    made = Ends(latest=tuple(ends), earlier=())
    began = time.process_time()
    report = make_report(
        job_id="j", pool_name="cpu", pool=pool, total=tasks, ends=ends, last_lines=words
    )
    text = render(report, made, pool, words, Facts())
    page_s = time.process_time() - began
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "tasks.csv"
        began = time.process_time()
        write_csv(path, TaskRows(ends=made, reasons=words, rates=shares(ends, pool)))
        return {
            "page_s": page_s,
            "page_bytes": len(text.encode()),
            "page_rows": text.count("<tr"),
            "table_s": time.process_time() - began,
            "table_bytes": path.stat().st_size,
        }


def main() -> None:
    """Measures and prints."""
    import os  # noqa: PLC0415 - only to give the client of the account here a key

    parser = argparse.ArgumentParser(description="What looking and reporting cost.")
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    os.environ.setdefault("AZURE_BATCH_ACCESS_KEY", "bm90IGEgc2VjcmV0")
    found = {"tasks": asked.tasks, **look_at(asked.tasks), **report_on(asked.tasks)}
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name:18} {value:,.2f}" if isinstance(value, float) else f"{name:18} {value:,}")


if __name__ == "__main__":
    main()
