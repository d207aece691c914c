"""Attempts at tasks: real processes, real blobs in Azurite."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import resource
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from emulator.nodes import blobs
from emulator.nodes.interface import PackageFacts, TaskLaunch, TaskOutcome
from emulator.nodes.runner import ProcessRunner
from tests.emulator.nodes.conftest import Box
from tests.emulator.nodes.node import IDENTITY, NODE, launch

OUTPUT_CONDITIONS = ("TaskSuccess", "taskfailure", "TaskCompletion")


async def run(runner: ProcessRunner, command: str, **task: Any) -> TaskOutcome:
    times: list[datetime] = []
    outcome = await runner.run_task(launch(command, **task), times.append)
    assert len(times) <= 1
    if outcome.exit_code is not None:
        assert times == [outcome.start_time]
    return outcome


def directory(runner: ProcessRunner) -> Path:
    return runner.task_directory(launch(""))


def text(runner: ProcessRunner, name: str = "stdout.txt") -> str:
    return (directory(runner) / name).read_text()


def files_under(folder: Path) -> list[Path]:
    """Files in a folder, but for the node's own log."""
    return [p for p in folder.rglob("*") if p.is_file() and p.name != "agent.log"]


def code(outcome: TaskOutcome) -> str | None:
    return outcome.failure.code if outcome.failure else None


def detail(outcome: TaskOutcome, name: str = "Message") -> str:
    assert outcome.failure is not None
    return dict(outcome.failure.details)[name]


def to(url: str, *, path: str | None = None, **more: Any) -> Mapping[str, Any]:
    container = {"containerUrl": url, **more} | ({"path": path} if path else {})
    return {"container": container}


def output(pattern: str, destination: Mapping[str, Any], condition: str) -> Mapping[str, Any]:
    return {
        "filePattern": pattern,
        "destination": destination,
        "uploadOptions": {"uploadCondition": condition},
    }


# --- the command -----------------------------------------------------------------------


async def test_a_command_runs_without_a_shell(runner: ProcessRunner) -> None:
    outcome = await run(runner, "echo $HOME 'a  b' * | cat; \"x y\"")
    assert text(runner) == "$HOME a  b * | cat; x y\n"
    assert (outcome.exit_code, outcome.failure) == (0, None)
    assert outcome.end_time >= outcome.start_time


async def test_the_environment_is_the_services_the_jobs_and_the_tasks(
    runner: ProcessRunner,
) -> None:
    settings = [{"name": "ONE", "value": "task"}, {"name": "AZ_BATCH_TASK_ID", "value": "no"}]
    asked = dataclasses.replace(
        launch("env -0", environmentSettings=settings),
        job_environment={"ONE": "job", "TWO": "job"},
    )
    await runner.run_task(asked, lambda _: None)
    seen = dict(line.split("=", 1) for line in text(runner).split("\0") if line)
    root = runner.node_directory(NODE)
    task = root / "workitems/job/job-1/t"
    assert seen == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": f"{task}/wd",
        "LANG": "C.UTF-8",
        "ONE": "task",
        "TWO": "job",
        "AZ_BATCH_ACCOUNT_NAME": "local",
        "AZ_BATCH_ACCOUNT_URL": "http://127.0.0.1:1",
        "AZ_BATCH_POOL_ID": "pool",
        "AZ_BATCH_NODE_ID": NODE.node_id,
        "AZ_BATCH_NODE_IS_DEDICATED": "true",
        "AZ_BATCH_NODE_LIST": "10.0.0.4",
        "AZ_BATCH_NODE_ROOT_DIR": str(root),
        "AZ_BATCH_NODE_SHARED_DIR": f"{root}/shared",
        "AZ_BATCH_NODE_STARTUP_DIR": f"{root}/startup",
        "AZ_BATCH_NODE_STARTUP_WORKING_DIR": f"{root}/startup/wd",
        "AZ_BATCH_NODE_MOUNTS_DIR": f"{root}/fsmounts",
        "AZ_BATCH_JOB_ID": "job",
        "AZ_BATCH_TASK_ID": "t",
        "AZ_BATCH_TASK_DIR": str(task),
        "AZ_BATCH_TASK_WORKING_DIR": f"{task}/wd",
        "AZ_BATCH_CERTIFICATES_DIR": f"{task}/certs",
    }


async def test_a_start_task_has_the_startup_directory_and_no_job(runner: ProcessRunner) -> None:
    asked = TaskLaunch(
        node=NODE, job_id="", task_id="starttask", task={"commandLine": "env"}, kind="start"
    )
    outcome = await runner.run_task(asked, lambda _: None)
    assert outcome.failure is None
    said = (runner.node_directory(NODE) / "startup" / "stdout.txt").read_text()
    assert "AZ_BATCH_JOB_ID" not in said
    assert f"AZ_BATCH_TASK_DIR={runner.node_directory(NODE)}/startup\n" in said


async def test_an_exit_code_is_the_services_failure(runner: ProcessRunner) -> None:
    outcome = await run(runner, "sh -c 'exit 7'")
    assert outcome.exit_code == 7
    assert outcome.failure is not None
    assert (outcome.failure.category, outcome.failure.code, outcome.failure.message) == (
        "UserError",
        "FailureExitCode",
        "The task exited with an exit code representing a failure",
    )
    assert outcome.failure.details == (
        ("Message", "The task process exited with an unexpected exit code"),
        ("AdditionalErrorCode", "FailureExitCode"),
    )


@pytest.mark.parametrize("command", ["no-such-program -x", "./nothing", "''", "  "])
async def test_a_program_that_is_not_there_has_no_exit_code(
    runner: ProcessRunner, command: str
) -> None:
    outcome = await run(runner, command)
    assert (code(outcome), outcome.exit_code) == ("CommandProgramNotFound", None)


async def test_a_quote_that_is_not_closed_cannot_be_launched(runner: ProcessRunner) -> None:
    assert code(await run(runner, "echo 'a")) == "CommandLaunchFailed"


async def test_a_second_attempt_writes_its_output_anew_and_finds_its_files(
    runner: ProcessRunner,
) -> None:
    await run(runner, "sh -c 'echo first; touch kept'")
    await run(runner, "ls")
    assert text(runner) == "kept\n"


async def test_the_wall_clock_ends_a_task_with_everything_it_started(
    runner: ProcessRunner,
) -> None:
    outcome = await run(
        runner,
        "sh -c 'trap \"\" TERM; sleep 1000 & echo $!; sleep 1000'",
        constraints={"maxWallClockTime": "PT0.3S"},
        outputFiles=[],
    )
    assert (code(outcome), outcome.exit_code) == ("TaskEnded", 137)
    assert "maxWallClockTime" in detail(outcome)
    assert not psutil.pid_exists(int(text(runner)))


async def test_an_unlimited_wall_clock_is_none(runner: ProcessRunner) -> None:
    limits = {"maxWallClockTime": "P10675199DT2H48M5.4775807S"}
    assert (await run(runner, "true", constraints=limits)).failure is None


async def test_cancelling_ends_every_process_first_and_keeps_the_directory(
    runner: ProcessRunner,
) -> None:
    up = asyncio.Event()
    attempt = asyncio.create_task(
        runner.run_task(launch("sh -c 'sleep 1000 & echo $!; wait'"), lambda _: up.set())
    )
    await up.wait()
    async with asyncio.timeout(60):
        while not text(runner):  # noqa: ASYNC110 - a file sets no event
            await asyncio.sleep(0.01)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert not psutil.pid_exists(int(text(runner)))


async def test_removing_a_node_ends_its_tasks_and_removes_all(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    up = asyncio.Event()
    locked = "sh -c 'mkdir a; touch a/b; chmod 000 a; sleep 1000'"
    attempt = asyncio.create_task(runner.run_task(launch(locked), lambda _: up.set()))
    await up.wait()
    await runner.remove_node(NODE)
    assert (await attempt).exit_code is not None
    assert list((tmp_path / "nodes").iterdir()) == []


async def test_a_task_of_a_schedules_job_has_the_schedules_directory(
    runner: ProcessRunner,
) -> None:
    asked = dataclasses.replace(launch("true"), job_id="nightly:job-2")
    root = runner.node_directory(NODE)
    assert runner.task_directory(asked) == root / "workitems/nightly/job-2/t"
    await runner.run_task(asked, lambda _: None)
    await runner.remove_task(asked)
    assert list((root / "workitems").iterdir()) == []


@pytest.mark.parametrize("task_id", ["..", "a/b", "", "a\0", "."])
async def test_an_id_that_is_a_path_is_refused(runner: ProcessRunner, task_id: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        runner.task_directory(dataclasses.replace(launch("true"), task_id=task_id))


async def test_what_a_task_used_is_counted(runner: ProcessRunner) -> None:
    outcome = await run(runner, "dd if=/dev/zero of=/dev/null bs=40M count=40")
    assert outcome.cpu_s > 0
    assert outcome.peak_memory_bytes > 40_000_000


# --- resource files --------------------------------------------------------------------


async def test_a_signed_blob_is_brought_with_its_mode(runner: ProcessRunner, box: Box) -> None:
    box.put("bin/tool", b"#!/bin/sh\necho it runs\n")
    file = {"httpUrl": box.blob_sas("bin/tool"), "filePath": "bin/tool", "fileMode": "0755"}
    outcome = await run(runner, "bin/tool", resourceFiles=[file])
    assert outcome.failure is None
    assert text(runner) == "it runs\n"
    assert stat.S_IMODE((directory(runner) / "wd/bin/tool").stat().st_mode) == 0o755


async def test_a_container_is_brought_by_prefix_with_its_structure(
    runner: ProcessRunner, box: Box
) -> None:
    for name in ("in/a.csv", "in/deep/b c.csv", "other"):
        box.put(name, name.encode())
    file = {"storageContainerUrl": box.sas(read=True, list=True), "blobPrefix": "in/"}
    await run(runner, "find . -type f", resourceFiles=[{**file, "filePath": "data"}])
    assert sorted(text(runner).split("\n")) == [
        "",
        "./data/in/a.csv",
        "./data/in/deep/b c.csv",
    ]
    mode = (directory(runner) / "wd/data/in/a.csv").stat().st_mode
    assert stat.S_IMODE(mode) == 0o770


async def test_a_long_listing_is_read_to_its_end(
    runner: ProcessRunner, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        box.put(f"{number}", b"")
    full = blobs.ContainerUrl.with_query

    def in_pages_of_two(self: blobs.ContainerUrl, query: str = "", *, path: str = "") -> str:
        return full(self, f"{query}&maxresults=2" if "comp=list" in query else query, path=path)

    monkeypatch.setattr(blobs.ContainerUrl, "with_query", in_pages_of_two)
    file = {"storageContainerUrl": box.sas(read=True, list=True)}
    await run(runner, "ls", resourceFiles=[file])
    assert text(runner).split() == [str(number) for number in range(7)]


async def test_an_identity_of_the_pool_opens_the_emulators_storage(
    runner: ProcessRunner, box: Box
) -> None:
    url = box.put("a", b"secret")
    me = {"identityReference": {"resourceId": IDENTITY.upper()}}
    files = [
        {"httpUrl": url, "filePath": "one", **me},
        {"storageContainerUrl": box.url, "filePath": "all", **me},
        {"autoStorageContainerName": box.client.container_name, "filePath": "auto"},
    ]
    await run(runner, "cat one all/a auto/a", resourceFiles=files)
    assert text(runner) == "secretsecretsecret"


async def test_another_identity_opens_nothing(runner: ProcessRunner, box: Box) -> None:
    url = box.put("a", b"")
    stranger = {"identityReference": {"resourceId": IDENTITY + "2"}}
    one = await run(runner, "true", resourceFiles=[{"httpUrl": url, "filePath": "a", **stranger}])
    assert (code(one), one.exit_code) == ("BlobDownloadMiscError", None)
    assert "is not one of pool pool's" in detail(one)
    files = [{"storageContainerUrl": box.url, **stranger}]
    assert code(await run(runner, "true", resourceFiles=files)) == "ResourceContainerListMiscError"


async def test_an_identity_is_worth_nothing_at_another_server(runner: ProcessRunner) -> None:
    reference = {"identityReference": {"resourceId": IDENTITY}}
    file = {"httpUrl": "http://127.0.0.1:1/nodes/c/b", "filePath": "a", **reference}
    assert "only the emulator's own" in detail(await run(runner, "true", resourceFiles=[file]))


async def test_blobs_that_cannot_be_had_are_told_apart(
    runner: ProcessRunner, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "ATTEMPTS", 1)
    url = box.put("there", b"")
    past = box.sas(life=timedelta(hours=-1), read=True, list=True)
    absent = box.sas(read=True, list=True).replace(box.client.container_name, "no-such-box")
    expected = {
        "BlobNotFound": {"httpUrl": box.blob_sas("absent"), "filePath": "a"},
        "BlobAccessDenied": {"httpUrl": f"{url}?{past.partition('?')[2]}", "filePath": "a"},
        "BlobDownloadMiscError": {"httpUrl": "http://127.0.0.1:1/x", "filePath": "a"},
        "ResourceContainerAccessDenied": {"storageContainerUrl": past},
        "ResourceContainerListMiscError": {"storageContainerUrl": "ftp://x/y"},
    }
    for wanted, file in expected.items():
        outcome = await run(runner, "true", resourceFiles=[file])
        assert (code(outcome), outcome.exit_code) == (wanted, None)
        assert "sig=" not in repr(outcome)
    # A signature names its container: at another one it is no longer good.
    file = {"storageContainerUrl": absent}
    outcome = await run(runner, "true", resourceFiles=[file])
    assert code(outcome) == "ResourceContainerAccessDenied"
    file = {"autoStorageContainerName": "no-such-box"}
    outcome = await run(runner, "true", resourceFiles=[file])
    assert code(outcome) == "ResourceContainerNotFound"


@pytest.mark.parametrize("path", ["../../x", "/tmp/x", "a/../../x", "", "..", "a\0b"])  # noqa: S108 - hostile on purpose
async def test_a_path_that_leads_out_is_refused(
    runner: ProcessRunner, box: Box, path: str, tmp_path: Path
) -> None:
    file = {"httpUrl": box.blob_sas("b"), "filePath": path}
    box.put("b", b"bad")
    outcome = await run(runner, "true", resourceFiles=[file])
    assert code(outcome) == "ResourceFileCreateFailed"
    assert files_under(tmp_path) == []


async def test_a_link_that_an_earlier_attempt_left_is_not_followed(
    runner: ProcessRunner, box: Box, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    await run(runner, f"ln -s {victim} file")
    await run(runner, f"ln -s {tmp_path} folder")
    box.put("b", b"bad")
    url = {"httpUrl": box.blob_sas("b")}
    for path in ("file", "folder/victim"):
        outcome = await run(runner, "true", resourceFiles=[{**url, "filePath": path}])
        assert code(outcome) == "ResourceFileCreateFailed"
    assert victim.read_text() == "mine"


async def test_a_blob_name_that_climbs_out_is_refused(
    runner: ProcessRunner, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def names(*_: object) -> list[str]:  # no client makes such a blob; a server may list it
        return ["../../../evil"]

    monkeypatch.setattr(blobs.Blobs, "names", names)
    files = [{"storageContainerUrl": box.sas(read=True, list=True), "filePath": "in"}]
    outcome = await run(runner, "true", resourceFiles=files)
    assert code(outcome) == "ResourceFileCreateFailed"
    assert files_under(tmp_path) == []


async def test_a_write_that_fails_is_the_nodes_failure(runner: ProcessRunner, box: Box) -> None:
    box.put("big", bytes(300_000))
    url = {"httpUrl": box.blob_sas("big"), "filePath": "big"}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        outcome = await run(runner, "true", resourceFiles=[url])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (code(outcome), outcome.exit_code) == ("ResourceFileWriteFailed", None)
    assert outcome.failure is not None
    assert outcome.failure.category == "ServerError"
    assert detail(outcome) == "File too large"


@pytest.mark.parametrize("mode", ["9", "rwx", "-1", "0100000"])
async def test_a_mode_that_is_none_is_refused(runner: ProcessRunner, mode: str) -> None:
    file = {"httpUrl": "http://127.0.0.1:1/x", "filePath": "a", "fileMode": mode}
    assert code(await run(runner, "true", resourceFiles=[file])) == "ResourceFileCreateFailed"


# --- output files ----------------------------------------------------------------------


async def test_a_name_that_is_not_utf8_is_told_and_the_others_are_uploaded(
    runner: ProcessRunner, box: Box
) -> None:
    script = r"""sh -c 'touch "$(printf "\377").txt" good.txt'"""
    files = [output("**/*.txt", to(box.sas(write=True, create=True)), "taskcompletion")]
    outcome = await run(runner, script, outputFiles=files)
    assert (code(outcome), outcome.exit_code) == ("FileUploadMiscError", 0)
    assert detail(outcome, "FilePath").endswith(r"/wd/\xff.txt")
    assert "not UTF-8" in detail(outcome)
    assert set(box.contents()) == {"good.txt"}
    assert r"\xff.txt: " in text(runner, "fileuploaderr.txt")


@pytest.mark.parametrize("exit_code", [0, 3])
async def test_output_files_are_uploaded_by_condition(
    runner: ProcessRunner, box: Box, exit_code: int
) -> None:
    url = box.sas(write=True, create=True)
    files = [
        output("out.txt", to(url, path=f"{condition}.txt"), condition)
        for condition in OUTPUT_CONDITIONS
    ]
    script = f"sh -c 'printf it > out.txt; exit {exit_code}'"
    outcome = await run(runner, script, outputFiles=files)
    assert outcome.exit_code == exit_code
    due = "TaskSuccess.txt" if exit_code == 0 else "taskfailure.txt"
    assert box.contents() == {due: b"it", "TaskCompletion.txt": b"it"}
    assert len(text(runner, "fileuploadout.txt").splitlines()) == 2
    assert text(runner, "fileuploaderr.txt") == ""


async def test_patterns_keep_the_structure_below_their_first_wildcard(
    runner: ProcessRunner, box: Box
) -> None:
    url = box.url
    me: Any = {"identityReference": {"resourceId": IDENTITY}}
    script = "sh -c 'mkdir -p r/x/y .h; touch r/a.csv r/x/y/b.csv r/x/.c.csv .h/d.csv; echo hi'"
    files = [
        output("r/**/*.csv", to(url, path="found/", **me), "taskcompletion"),
        output("../std*.txt", to(url, path="logs", **me), "taskcompletion"),
        output("$AZ_BATCH_TASK_DIR/stdout.txt", to(url, path="one", **me), "taskcompletion"),
        output("../stdout.txt", to(url, **me), "taskcompletion"),
    ]
    assert (await run(runner, script, outputFiles=files)).failure is None
    assert box.contents() == {
        "found/a.csv": b"",
        "found/x/y/b.csv": b"",
        "logs/stdout.txt": b"hi\n",
        "logs/stderr.txt": b"",
        "one": b"hi\n",
        "stdout.txt": b"hi\n",
    }


async def test_upload_headers_reach_the_blob(runner: ProcessRunner, box: Box) -> None:
    headers = [
        {"name": "x-ms-blob-content-type", "value": "text/csv"},
        {"name": "x-ms-meta-run", "value": "7"},
    ]
    destination = to(box.sas(write=True, create=True), path="o", uploadHeaders=headers)
    await run(runner, "true", outputFiles=[output("../stdout.txt", destination, "TaskSuccess")])
    properties = box.client.get_blob_client("o").get_blob_properties()
    assert properties.content_settings.content_type == "text/csv"
    assert properties.metadata == {"run": "7"}


async def test_a_large_file_goes_block_by_block(
    runner: ProcessRunner, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "BLOCK_BYTES", 1000)
    destination = to(box.sas(write=True, create=True), path="big")
    script = "sh -c 'seq 1 1000 > big'"
    await run(runner, script, outputFiles=[output("big", destination, "tasksuccess")])
    assert box.contents() == {"big": b"".join(b"%d\n" % n for n in range(1, 1001))}
    committed, _ = box.client.get_blob_client("big").get_block_list()
    assert len(committed) == 4


async def test_a_missing_container_is_the_documented_failure(
    runner: ProcessRunner, box: Box
) -> None:
    me: Any = {"identityReference": {"resourceId": IDENTITY}}
    missing = to(box.url.replace("box-", "gone-"), path="a", **me)
    kept = to(box.url, path="kept", **me)
    files = [output("../stdout.txt", each, "TaskSuccess") for each in (missing, kept)]
    outcome = await run(runner, "echo x", outputFiles=files)
    assert (code(outcome), outcome.exit_code) == ("FileUploadContainerNotFound", 0)
    assert detail(outcome, "FilePath").endswith("/t/stdout.txt")
    assert detail(outcome, "FileDestination") == missing["container"]["containerUrl"]
    assert box.contents() == {"kept": b"x\n"}
    assert "FileUploadContainerNotFound" in text(runner, "fileuploaderr.txt")


async def test_a_signature_that_may_not_write_is_denied(runner: ProcessRunner, box: Box) -> None:
    files = [output("../stdout.txt", to(box.sas(read=True), path="a"), "TaskSuccess")]
    outcome = await run(runner, "true", outputFiles=files)
    assert code(outcome) == "FileUploadAccessDenied"
    assert "sig=" not in repr(outcome) + text(runner, "fileuploaderr.txt")


async def test_a_failed_command_outweighs_a_failed_upload(runner: ProcessRunner, box: Box) -> None:
    files = [output("../stdout.txt", to(box.sas(read=True), path="a"), "TaskCompletion")]
    assert code(await run(runner, "false", outputFiles=files)) == "FailureExitCode"


async def test_a_pattern_without_a_file_is_logged_and_no_failure(
    runner: ProcessRunner, box: Box
) -> None:
    files = [output("absent", to(box.url), "TaskCompletion")]
    assert (await run(runner, "true", outputFiles=files)).failure is None
    assert text(runner, "fileuploaderr.txt") == "no file matches absent\n"


async def test_a_header_that_is_none_fails_the_upload_alone(
    runner: ProcessRunner, box: Box
) -> None:
    for header in ({"name": "x-ms-meta-a", "value": "ü"}, {"name": "a b", "value": "1"}):
        destination = to(box.sas(write=True, create=True), path="a", uploadHeaders=[header])
        files = [output("../stdout.txt", destination, "TaskSuccess")]
        outcome = await run(runner, "true", outputFiles=files)
        assert (code(outcome), outcome.exit_code) == ("FileUploadMiscError", 0)


# --- users, packages, containers -------------------------------------------------------


async def test_a_user_that_cannot_be_had_is_a_clear_failure(
    runner: ProcessRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = await run(runner, "true", userIdentity={"username": "somebody"})
    assert code(outcome) == "UserIdentityError"
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    admin = {"autoUser": {"scope": "pool", "elevationLevel": "Admin"}}
    assert code(await run(runner, "true", userIdentity=admin)) == "UserIdentityError"
    plain = {"autoUser": {"scope": "task", "elevationLevel": "nonadmin"}}
    assert (await run(runner, "true", userIdentity=plain)).failure is None


async def test_a_package_that_cannot_be_had_is_told_by_name(runner: ProcessRunner) -> None:
    package = PackageFacts(application_id="blender", version="4", problem="there is none")
    wants = dataclasses.replace(launch("true"), packages=(package,))
    outcome = await runner.run_task(wants, lambda _at: None)
    assert code(outcome) == "ApplicationPackageError"
    assert detail(outcome, "ApplicationPackage") == "blender:4"
    assert detail(outcome) == "there is none"


@pytest.mark.parametrize("files", [[], [{"httpUrl": "http://127.0.0.1:9/f", "filePath": "f"}]])
async def test_directories_that_cannot_be_made_are_told_as_such(
    runner: ProcessRunner, files: list[dict[str, str]]
) -> None:
    (runner.node_directory(NODE) / "workitems" / "job").write_text("in the way")
    outcome = await run(runner, "true", resourceFiles=files)
    assert (code(outcome), outcome.exit_code) == ("ResourceDirectoryCreateFailed", None)
    assert detail(outcome, "FilePath") == str(directory(runner))
    assert detail(outcome) == os.strerror(errno.ENOTDIR)


async def test_without_a_runtime_a_container_task_says_what_to_install(
    runner: ProcessRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = await run(runner, "true", containerSettings={"imageName": "busybox"})
    assert (code(outcome), outcome.exit_code) == ("ContainerRuntimeError", None)
    assert "install one of them" in detail(outcome)


RUNTIME = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
    rm) exit 0 ;;
esac
while [ "$1" != busybox ]; do
    [ "$1" = --cidfile ] && [ -z "$REFUSE" ] && echo id > "$2"
    shift
done
[ -z "$REFUSE" ] || {{ echo "cannot pull busybox" >&2; exit 125; }}
shift
exec "$@"
"""


async def test_a_container_runs_the_command_with_its_variables_unseen(
    runner: ProcessRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "podman"
    tool.write_text(RUNTIME.format(log=tmp_path / "log"))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    outcome = await run(
        runner,
        "sh -c 'echo $TOKEN; exit 4'",
        containerSettings={"imageName": "busybox", "containerRunOptions": "--cpus 2"},
        environmentSettings=[{"name": "TOKEN", "value": "hidden"}],
    )
    assert (outcome.exit_code, text(runner)) == (4, "hidden\n")
    ran, removed = (tmp_path / "log").read_text().splitlines()
    root = runner.node_directory(NODE)
    assert f"--volume {root}:{root}" in ran
    assert f"--workdir {directory(runner)}/wd --cpus 2 busybox sh -c" in ran
    assert "--env TOKEN " in ran
    assert "hidden" not in ran
    assert removed.startswith("rm --force batch-")
    refused = [{"name": "REFUSE", "value": "1"}]
    settings = {"imageName": "busybox"}
    outcome = await run(runner, "true", containerSettings=settings, environmentSettings=refused)
    assert (code(outcome), outcome.exit_code) == ("ContainerRuntimeError", None)
    assert detail(outcome) == "cannot pull busybox"


async def test_many_tasks_at_once_keep_their_own(runner: ProcessRunner) -> None:
    def one(number: int) -> TaskLaunch:
        return dataclasses.replace(
            launch(f"sh -c 'echo {number}; exit {number}'"), task_id=f"t{number}"
        )

    begun = datetime.now(UTC)
    attempts = [runner.run_task(one(number), lambda _: None) for number in range(60)]
    outcomes = await asyncio.gather(*attempts)
    assert [outcome.exit_code for outcome in outcomes] == list(range(60))
    assert all(outcome.start_time >= begun - timedelta(seconds=1) for outcome in outcomes)
    for number in range(60):
        assert (runner.task_directory(one(number)) / "stdout.txt").read_text() == f"{number}\n"
