"""What a node logs of itself, and how it gets to a container."""

from __future__ import annotations

import pytest

from emulator.nodes import node_log
from emulator.nodes.runner import ProcessRunner
from tests.emulator.nodes.conftest import Box
from tests.emulator.nodes.node import NODE, launch


@pytest.mark.slow
async def test_the_log_of_attempts_is_uploaded_to_a_container(
    runner: ProcessRunner, box: Box
) -> None:
    for command in ("true", "/bin/sh -c 'exit 3'"):
        await runner.run_task(launch(command), lambda _at: None)
    found = node_log.files(runner.node_directory(NODE), 0.0)
    assert list(found) == ["volatile/agent.log"]
    blobs = {f"here/{name}": path for name, path in found.items()}
    await runner.upload(NODE, blobs, box.sas(read=True, write=True, create=True), None)
    (line, failed) = box.contents()["here/volatile/agent.log"].decode().splitlines()
    assert line.startswith("task job t retry=0 ")
    assert "exit=0 success" in line
    assert "exit=3 FailureExitCode" in failed


async def test_a_container_that_refuses_is_told_in_the_log_without_its_signature(
    runner: ProcessRunner, box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    await runner.run_task(launch("true"), lambda _at: None)
    found = node_log.files(runner.node_directory(NODE), 0.0)
    url = box.sas(read=True)
    await runner.upload(NODE, found, url, None)
    assert box.url in caplog.text
    assert url.partition("sig=")[2] not in caplog.text


async def test_a_log_that_was_last_written_before_is_left_out(runner: ProcessRunner) -> None:
    await runner.run_task(launch("true"), lambda _at: None)
    log = runner.node_directory(NODE) / "volatile/agent.log"
    assert not node_log.files(runner.node_directory(NODE), log.stat().st_mtime + 1)


async def test_what_a_task_used_is_measured(runner: ProcessRunner) -> None:
    command = (
        "/bin/sh -c 'dd if=/dev/zero of=big bs=1M count=8 conv=fsync; : $(yes | head -200000)'"
    )
    outcome = await runner.run_task(launch(command), lambda _at: None)
    assert outcome.exit_code == 0
    assert outcome.bytes_written >= 8 << 20 or outcome.writes >= 8
    assert outcome.writes >= 8
    assert outcome.user_s + outcome.kernel_s > 0
