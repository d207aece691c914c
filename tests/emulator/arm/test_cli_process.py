"""How the engine's command is interrupted, with another program in the engine's place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
ENGINE = """\
#!/bin/sh
test "$1" = version && { echo v3.999.0; exit; }
exec sleep 1000
"""
CALLER = """\
import os
import signal
import subprocess
import sys
from emulator.arm import cli_process

class Started(subprocess.Popen):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        print(self.pid, flush=True)
        for name in sys.argv[2:]:
            os.kill(os.getpid(), signal.Signals[name])

sys.prefix = sys.argv[1]
command = cli_process.EngineCommand(lambda: print("told", flush=True))
cli_process.subprocess.Popen = Started
try:
    command.run(["up"], "/", {})
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("names", [("SIGINT",), ("SIGTERM",), ("SIGTERM", "SIGINT")])
def test_an_interrupt_that_comes_as_the_engine_is_started_ends_it(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    engine = tmp_path / "bin" / "pulumi"
    engine.parent.mkdir()
    engine.write_text(ENGINE)
    engine.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", CALLER, tmp_path, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    pid, *told = done.stdout.split()
    assert (told, done.returncode) == (["told", "interrupted"], 0), done.stderr
    assert not psutil.pid_exists(int(pid))
