"""`make demo`: the whole way on a laptop, from an empty directory to a checked result.

Starts the emulator with Azurite, then runs the very scripts that the pipeline's steps
run, for the stack `local`: preview and deploy with the real engine, compile, publish
the program, load the data, run the job, collect. Waits for the pool to shrink, destroys
the stack, stops everything and says `OK`.

All state is under `.local/demo` and starts empty: whatever an earlier demo that was
killed has left there, a lock or half a stack, is gone. `make` runs this under the keeper
of `emulator.processes`, so that no process outlives it, even when it is killed.

Exit status: that of the first step that failed, 130 after Ctrl-C.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from emulator.errors import EmulatorError
from emulator.local import ENV_LOCAL_DIR, PROJECT_ROOT, LocalDirectory

SERVICE_SPEED = 100
"""What the service makes one wait for takes a hundredth: minutes of growing become seconds."""

READY_TIMEOUT_S = 180
SHRINK_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60

STEPS = (
    ("Preview the stack with the real Pulumi engine", "preview"),
    ("Deploy it", "deploy"),
    ("Compile the program", "compile"),
    ("Publish it to storage", "publish"),
    ("Load the data", "load_data"),
    ("Run the job, check its answer", "run_job"),
    ("Collect the outputs", "collect"),
)


class DemoError(Exception):
    """A step failed; `status` is its exit status."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


def main() -> int:
    """Runs the demo and answers the exit status."""
    signal.signal(signal.SIGTERM, _interrupted)
    begun = time.monotonic()
    everything = LocalDirectory.default()
    local = LocalDirectory(everything.root / "demo")
    os.environ[ENV_LOCAL_DIR] = str(local.root)
    try:
        everything.ensure()
        with _alone(local.root), _emulator(local) as environment:
            for title, script in STEPS:
                _heading(title, begun)
                _run(["sh", f"pipelines/{script}.sh"], title, environment)
            _heading("Wait for the pool to shrink", begun)
            _wait_for_shrinking(local)
            _heading("Destroy the stack", begun)
            destroy = [sys.executable, "-m", "emulator", "stack", "destroy"]
            _run(destroy, "Destroy the stack", environment)
    except EmulatorError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except DemoError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("\ninterrupted: everything is stopped; to start over: make demo", file=sys.stderr)
        return 130
    print(f"\nOK  the demo took {time.monotonic() - begun:.0f} s, and nothing is left running")
    return 0


def _interrupted(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _heading(title: str, begun: float) -> None:
    bold, plain = ("\x1b[1m", "\x1b[0m") if _colours() else ("", "")
    print(f"\n{bold}{title}{plain}  [{time.monotonic() - begun:.0f} s]", flush=True)


def _colours() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Holds the demo's directory, emptied, for this process alone."""
    lock = directory.with_suffix(".lock")
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DemoError(
                f"another demo is running here (it holds {lock}).\nWait for it, or stop it."
            ) from error
        try:
            shutil.rmtree(directory, ignore_errors=not directory.exists())
            directory.mkdir()
        except OSError as error:
            raise DemoError(
                f"{directory} cannot be emptied: {error}.\nRemove it: rm -r '{directory}'"
            ) from error
        yield


@contextlib.contextmanager
def _emulator(local: LocalDirectory) -> Iterator[Mapping[str, str]]:
    """A running emulator; answers the environment in which the steps find it."""
    environment = {
        **os.environ,
        "STACK": "local",
        "WORKLOAD": "workloads/montecarlo/job.yaml",
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    }
    log = local.root / "emulator.log"
    command = [sys.executable, "-m", "emulator", "serve", "--port", "0"]
    command += ["--service-speed", str(SERVICE_SPEED)]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=PROJECT_ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        endpoints = _ready(process, log)
        print(f"The emulator answers at {endpoints['batch_endpoint']}, ", end="")
        print(f"Azurite at {endpoints['blob_endpoint']}")
        yield environment
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], log: Path) -> Mapping[str, str]:
    if process.stdout is None:
        raise AssertionError("the emulator was started with a pipe")
    readable, _, _ = select.select([process.stdout], [], [], READY_TIMEOUT_S)
    line = process.stdout.readline() if readable else b""
    if not line:
        said = log.read_text(encoding="utf-8", errors="replace").strip()
        raise DemoError(f"the emulator did not start. It said:\n{said or '(nothing)'}")
    endpoints: Mapping[str, str] = json.loads(line)
    return endpoints


def _run(command: list[str], title: str, environment: Mapping[str, str]) -> None:
    process = subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
        process.kill()
        raise
    if status != 0:
        raise DemoError(
            f"“{title}” ended with exit status {status}; what it said stands above.", abs(status)
        )


def _wait_for_shrinking(local: LocalDirectory) -> None:
    """Polls the pool that ran the job until no node of it costs money."""
    # Late: Azure's clients take a second to import, and the demo is to start at once.
    from jobs.clients import Clients  # noqa: PLC0415
    from jobs.stack import load_stack  # noqa: PLC0415

    stack = load_stack(outputs=local.stack_outputs("local"))
    pool = stack.pools["cpu"].id
    client = Clients(stack).batch
    seen: list[int] = []

    def is_empty() -> bool:
        found = client.get_pool(pool)
        nodes = (found.current_dedicated_nodes or 0) + (found.current_low_priority_nodes or 0)
        if nodes not in seen[-1:]:
            seen.append(nodes)
            print(f"{pool}: {nodes} nodes", flush=True)
        return nodes == 0

    _until(is_empty, "the pool did not shrink", SHRINK_TIMEOUT_S)


def _until(condition: Callable[[], bool], otherwise: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError(f"{otherwise} within {timeout_s:.0f} s")
        select.select([], [], [], 0.2)


if __name__ == "__main__":
    sys.exit(main())
