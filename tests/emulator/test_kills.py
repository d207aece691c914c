"""kill -9 at random moments under load: nothing that was acknowledged is lost or done twice.

`EMULATOR_KILL_S` says for how long (20 s by default), `EMULATOR_KILL_SEED` at which moments.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import RetryPolicy

ROOT = Path(__file__).resolve().parents[2]
KEY = base64.b64encode(b"a key of a test that kills").decode()
SERVE = (
    *(sys.executable, "-m", "emulator", "serve", "--no-blob", "--no-provider"),
    *("--account", "local", "--service-speed", "1000"),
)
COLLECTION = 20
# What waits at most, so that what is left at the end is a few seconds' work.
BACKLOG = 400
IMAGE = {
    "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}


class Emulator:
    """One that is started again on the same data each time it was killed.

    On another port: the one it had may be somebody else's by then.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        self._process = subprocess.Popen(
            SERVE,
            cwd=ROOT,
            env={**os.environ, "HPC_LOCAL_DIR": str(self._directory), "EMULATOR_KEY": KEY},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "it did not start again"
        self.port = int(json.loads(line)["batch_endpoint"].rpartition(":")[2])

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    @contextmanager
    def client(self) -> Iterator[BatchClient]:
        credential = AzureNamedKeyCredential("local", KEY)
        retry = RetryPolicy.no_retries()
        url = f"http://127.0.0.1:{self.port}"
        with BatchClient(url, credential, retry_policy=retry) as batch:
            yield batch


class Submitter(threading.Thread):
    """Adds tasks, a collection after the other; repeats what was not answered."""

    def __init__(self, emulator: Emulator, log: Path) -> None:
        super().__init__()
        self._emulator = emulator
        self._log = log
        self._command = f"/bin/sh -c 'echo start $AZ_BATCH_TASK_ID $$ >> {log}; sleep 0.05; "
        self._command += f"echo end $AZ_BATCH_TASK_ID $$ >> {log}'"
        self.acknowledged: list[str] = []
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            first = len(self.acknowledged)
            ids = [f"t{number:06d}" for number in range(first, first + COLLECTION)]
            while not self._added(ids):
                time.sleep(0.02)  # the emulator is being started again
            self.acknowledged += ids
            while self._waiting() > BACKLOG and not self.enough.is_set():
                time.sleep(0.02)  # the nodes are slower than this thread

    def _waiting(self) -> int:
        """How many were added and have not begun."""
        return len(self.acknowledged) - len({task for _, task, _ in lines(self._log)})

    def _added(self, ids: list[str]) -> bool:
        tasks = [models.BatchTaskCreateOptions(id=i, command_line=self._command) for i in ids]
        try:
            with self._emulator.client() as batch:
                answer = batch.create_task_collection(
                    "j", models.BatchTaskGroup(task_values=tasks)
                )
        except AzureError:
            return False
        items = answer.result_values or []
        refused = {item.error.code for item in items if item.error}
        return len(items) == COLLECTION and refused <= {"TaskExists"}


def lines(log: Path) -> list[tuple[str, str, str]]:
    """(event, task, process), in order."""
    text = log.read_text() if log.exists() else ""
    return [(event, task, pid) for event, task, pid in map(str.split, text.splitlines())]


def check_runs(log: Path, completed: dict[str, int]) -> set[str]:
    """The tasks that ran to their end; fails if one ran twice at a time, or after its end.

    Args:
        log: What the tasks wrote.
        completed: Task to the number of lines that there were when it was seen completed.
    """
    last: dict[str, str] = {}
    for at, (event, task, pid) in enumerate(lines(log)):
        if event == "start":
            assert at < completed.get(task, at + 1), f"{task} ran again after its end"
            last[task] = pid
        else:
            assert last[task] == pid, f"two runs of {task} at a time"
    return {task for event, task, _ in lines(log) if event == "end"}


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """One with a job on a pool of two nodes."""
    found = Emulator(tmp_path / "local")
    found.start()
    try:
        with found.client() as batch:
            pool: dict[str, Any] = {"id": "p", "vmSize": "Standard_D4s_v5"}
            pool |= {"virtualMachineConfiguration": IMAGE}
            pool |= {"targetDedicatedNodes": 2, "taskSlotsPerNode": 4}
            batch.create_pool(models.BatchPoolCreateOptions(pool))
            job = {"id": "j", "poolInfo": {"poolId": "p"}}
            batch.create_job(models.BatchJobCreateOptions(job))
        yield found
    finally:
        found.kill()


@pytest.mark.slow
def test_kills_under_load_lose_no_task_and_double_none(
    emulator: Emulator, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = int(os.environ.get("EMULATOR_KILL_SEED", str(random.SystemRandom().randrange(10**6))))
    record_property("seed", seed)
    moments = random.Random(seed)  # noqa: S311 - moments, no secrets
    log = tmp_path / "log"
    submitter = Submitter(emulator, log)
    submitter.start()
    completed: dict[str, int] = {}
    kills = 0
    try:
        end = time.monotonic() + float(os.environ.get("EMULATOR_KILL_S", "20"))
        while time.monotonic() < end:
            time.sleep(moments.uniform(0.2, 2.5))
            with emulator.client() as batch:
                found = batch.list_tasks("j", filter="state eq 'completed'", select=["id"])
                seen = {str(task.id) for task in found}
            at = len(lines(log))
            completed |= {task: at for task in seen if task not in completed}
            emulator.kill()
            kills += 1
            emulator.start()
    finally:
        submitter.enough.set()
        submitter.join()
    tasks = submitter.acknowledged
    with emulator.client() as batch:
        patience = time.monotonic() + 600
        while batch.get_job_task_counts("j").task_counts.completed < len(tasks):
            assert time.monotonic() < patience, "tasks that were acknowledged do not end"
            time.sleep(0.1)
        counts = batch.get_job_task_counts("j").task_counts
        ids = {task.id for task in batch.list_tasks("j", select=["id"])}
    logging.getLogger(__name__).info("seed %d, %d kills, %d tasks", seed, kills, len(tasks))
    assert kills
    assert ids == set(tasks)
    assert (counts.succeeded, counts.failed) == (len(tasks), 0)
    assert check_runs(log, completed) == ids
