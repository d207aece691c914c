"""Ctrl-C while storage does not answer: the command ends all the same."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.stack import parse_stack

ROOT = Path(__file__).resolve().parents[2]
STAGING = """\
import sys
from pathlib import Path
from jobs import cli, threads
threads.GRACE_S = 0.2
sys.argv = ["jobs", "stage", "job.yaml", "--outputs", "outputs.json"]
cli.main()
"""
BODY = b"<EnumerationResults><Blobs></Blobs><NextMarker/></EnumerationResults>"
NONE = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY), BODY,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("hangs", ["listing", "sending"])
def test_ctrl_c_ends_a_command_though_storage_does_not_answer(
    tmp_path: Path, values: Callable[..., Any], hangs: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        outputs = values(blob_endpoint=f"{url}/data")
        parse_stack(outputs, where="test")
        (tmp_path / "outputs.json").write_text(json.dumps(outputs))
        (tmp_path / "data.txt").write_text("1")
        (tmp_path / "job.yaml").write_text(
            "name: n\npool: cpu\ncommand: cat data.txt\ninputs: [data.txt]\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", STAGING],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "AZURE_STORAGE_KEY": "a2V5"},
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(1 << 16)
            if hangs == "sending":
                connection.sendall(NONE)
                assert connection.recv(1)
            process.send_signal(signal.SIGINT)
            try:
                _, said = process.communicate(timeout=60)
            finally:
                process.kill()
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Exception ignored" not in said
