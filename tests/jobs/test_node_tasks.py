"""What nodes are asked to do: MPI, containers, preparation, addresses and blobs."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.checking import Checked, check
from jobs.command_lines import (
    command_line,
    coordination_log,
    in_place,
    mpi_arguments,
    written_command,
)
from jobs.contents import ContentCache
from jobs.errors import WorkloadError
from jobs.loading import LoadedWorkload
from jobs.plan import JobPlan, plan
from jobs.spec_tasks import MultiInstance
from jobs.stack import Stack, parse_stack
from jobs.stage import contents_of

MakeWorkload = Callable[..., LoadedWorkload]
Values = Callable[..., dict[str, Any]]
HEAD = "name: n\npool: cpu\n"
MPI = (
    HEAD
    + """\
program: {files: [solve]}
inputs: [mesh.dat]
command: ./solve mesh.dat
environment: {OMP_NUM_THREADS: "2"}
outputs: [field.out, "logs/*.txt"]
multi_instance: {nodes: 3, mpi: FLAVOUR, processes_per_node: 4, options: ["--verbose"]}
"""
)


@pytest.fixture
def wired(values: Values) -> Stack:
    """A stack whose pool has nodes that reach each other."""
    members = values()
    members["pools"]["cpu"] |= {
        "inter_node_communication": True,
        "task_slots_per_node": 1,
    }
    return parse_stack(members, where="test")


def planned(checked: Checked) -> JobPlan:
    with ContentCache(None) as cache:
        return plan(checked, contents_of(checked, cache), job_id="job")


def body_of(checked: Checked) -> dict[str, Any]:
    task = next(planned(checked).tasks())
    body: dict[str, Any] = json.loads(task.body)
    return body


def findings(workload: LoadedWorkload, stack: Stack) -> list[str]:
    with pytest.raises(WorkloadError) as caught:
        check(workload, stack)
    return [str(finding) for finding in caught.value.findings]


def test_a_multi_instance_task_has_its_files_on_all_its_nodes(
    workload: MakeWorkload, wired: Stack
) -> None:
    loaded = workload(MPI.replace("FLAVOUR", "mpich"), solve="", mesh_DOT_dat="")
    body = body_of(check(loaded, wired))
    settings = body["multiInstanceSettings"]
    assert settings["numberOfInstances"] == 3
    assert [file["filePath"] for file in settings["commonResourceFiles"]] == ["solve", "mesh.dat"]
    assert shlex.split(settings["coordinationCommandLine"])[-1] == "true"
    assert "resourceFiles" not in body
    assert "requiredSlots" not in body
    outputs = [
        (file["filePattern"], file["destination"]["container"]["path"].partition("/")[2])
        for file in body["outputFiles"]
        if file["filePattern"].startswith("$")
    ]
    name = body["id"]
    first = [f for f in body["outputFiles"] if f["filePattern"] == "../coordination/std*.txt"]
    assert [f["destination"]["container"]["path"] for f in first] == [f"job/{name}/coordination/0"]
    assert outputs == [
        ("$AZ_BATCH_TASK_SHARED_DIR/field.out", f"{name}/field.out"),
        ("$AZ_BATCH_TASK_SHARED_DIR/logs/*.txt", f"{name}/logs"),
    ]


def test_a_coordination_command_prints_to_files_of_its_own(tmp_path: Path) -> None:
    line = command_line(
        ["sh", "-c", 'echo "$1"; echo bad >&2; exit 3', "-", "two words"],
        windows=False,
        first=[coordination_log()],
    )
    assert shlex.split(written_command(line))[-1] == "two words"
    task = tmp_path / "a task"
    task.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "AZ_BATCH_TASK_DIR": str(task)}
    done = subprocess.run(
        shlex.split(line), env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    assert (task / "coordination" / "stdout.txt").read_text() == "two words\n"
    assert (task / "coordination" / "stderr.txt").read_text() == "bad\n"


@pytest.mark.parametrize("line", ["echo a", "/bin/sh -ec 'echo a'", "sh -c 'it", ""])
def test_a_command_that_nothing_runs_before_is_as_it_was_written(line: str) -> None:
    assert written_command(line) == line


LAUNCHERS = {
    "mpich": "-hosts 10.0.0.4,10.0.0.5 -ppn 4 -n 8 -wdir SHARED --verbose ./solve a b",
    "intelmpi": "-hosts 10.0.0.4,10.0.0.5 -ppn 4 -n 8 -wdir SHARED --verbose ./solve a b",
    "openmpi": "--host 10.0.0.4:4,10.0.0.5:4 --map-by ppr:4:node -np 8 -wdir SHARED -x A "
    "--verbose ./solve a b",
}


@pytest.mark.parametrize("flavour", ["mpich", "intelmpi", "openmpi", "hpcx"])
def test_mpi_is_started_on_all_nodes(tmp_path: Path, flavour: str) -> None:
    """The command line is run by a real shell, with a launcher that says what it was given."""
    launcher = "mpiexec" if flavour == "mpich" else "mpirun"
    for name in (launcher, "never"):
        (tmp_path / name).write_text('#!/bin/sh\necho "$@"\n')
        (tmp_path / name).chmod(0o755)
    several = MultiInstance.model_validate(
        {"nodes": 2, "mpi": flavour, "processes_per_node": 4, "options": ("--verbose",)}
    )
    arguments = mpi_arguments(several, ["./solve", "a b"], ["A"])
    done = subprocess.run(
        shlex.split(command_line(arguments, windows=False)),
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "AZ_BATCH_HOST_LIST": "10.0.0.4,10.0.0.5",
            "AZ_BATCH_TASK_SHARED_DIR": "SHARED",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    expected = LAUNCHERS.get(flavour, LAUNCHERS["openmpi"])
    assert done.stdout.strip() == expected, done.stderr


def test_a_node_without_mpi_says_so(tmp_path: Path) -> None:
    several = MultiInstance.model_validate({"nodes": 2, "mpi": "mpich"})
    done = subprocess.run(
        mpi_arguments(several, ["x"], []), env={"PATH": str(tmp_path)}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 127
    assert done.stderr.strip() == "mpiexec is not on this node: it needs mpich"


def test_what_a_pool_cannot_run_on_several_nodes_is_said(
    workload: MakeWorkload, stack: Stack
) -> None:
    text = MPI.replace("FLAVOUR", "mpich").replace("nodes: 3", "nodes: 9")
    text += "resources: {slots: 2}\n"
    found = findings(workload(text, solve="", mesh_DOT_dat=""), stack)
    assert any("9 nodes and pool 'cpu' has 4 at most" in text for text in found)
    assert any("cannot reach each other" in text for text in found)
    assert any("takes whole nodes" in text for text in found)
    assert any("have 4 task slots, and the service runs" in text for text in found)


def test_a_pool_that_is_small_is_warned_of(workload: MakeWorkload, wired: Stack) -> None:
    checked = check(workload(HEAD + "command: x\ntasks: 100\n"), wired)
    (warning,) = checked.warnings
    assert str(warning) == (
        "the job: 100 tasks, and the pool's formula has 4 nodes at most, for 4 of them at a "
        "time: 25 rounds [rounds]"
    )


def test_outputs_of_a_stage_are_put_in_place_by_position(tmp_path: Path) -> None:
    """The shell text, run by a shell: later jobs' tasks replace those of earlier ones."""
    for path, text in (
        ("job/100000000/n", "0"),
        ("job/100000001/n", "old"),
        ("job/100000001/left", "over"),
        ("job-r2/100000001/n", "1"),
    ):
        file = tmp_path / ".stages" / "sim" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    command = ["sh", "-ec", in_place("sim", "10", "in put", ["job", "job-r2"])]
    for _ in range(2):
        subprocess.run(command, cwd=tmp_path, check=True)
        found = {
            str(path.relative_to(tmp_path / "in put")): path.read_text()
            for path in (tmp_path / "in put").glob("*/*")
        }
        assert found == {"0000000/n": "0", "0000001/n": "1"}


def test_addresses_and_blobs_are_brought_by_the_nodes(
    workload: MakeWorkload, stack: Stack
) -> None:
    loaded = workload(
        HEAD + "command: x\nvariables: {v: 7}\ntasks: {list: [{name: a}]}\n"
        "inputs:\n"
        "  - {url: 'https://example.org/data/{name}%20b.csv?x=1', to: in}\n"
        f"  - {{url: '{stack.blob_endpoint}/data/m.bin'}}\n"
        "  - {blobs: 'data/run-{v}/', to: set}\n"
    )
    far, near, blobs = body_of(check(loaded, stack))["resourceFiles"]
    assert far == {
        "httpUrl": "https://example.org/data/a%20b.csv?x=1",
        "filePath": "in/a b.csv",
    }
    assert near["filePath"] == "m.bin"
    assert near["identityReference"]["resourceId"] == stack.pools["cpu"].identity_id
    assert (blobs["blobPrefix"], blobs["filePath"]) == ("run-7/", "set")
    assert blobs["storageContainerUrl"] == f"{stack.blob_endpoint}/data"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{url: 'ftp://example.org/x'}", "is no http or https address of a file"),
        ("{url: 'https://example.org/data/'}", "does not end with the name of a file"),
        ("{url: 'https://example.org/a%2Fb'}", "does not end with the name of a file"),
        ("{url: 'https://example.org/%2e%2e'}", "does not end with the name of a file"),
        ("{blobs: 'Data/x/'}", "should be CONTAINER/"),
        ("{blobs: 'data/x'}", "should be CONTAINER/"),
        ("{path: a, url: 'https://example.org/x'}", "needs exactly one of path, url, blobs, from"),
        ("{path: a, to: ../x}", "must be a relative path"),
    ],
)
def test_inputs_that_are_none_are_refused(
    workload: MakeWorkload, stack: Stack, entry: str, message: str
) -> None:
    with pytest.raises(WorkloadError, match=message):
        check(workload(HEAD + f"command: x\ninputs: [{entry}]\n"), stack)


def test_containers_are_the_services_settings(workload: MakeWorkload, stack: Stack) -> None:
    short = body_of(check(workload(HEAD + "command: x\ncontainer: ubuntu:24.04\n"), stack))
    assert short["containerSettings"] == {"imageName": "ubuntu:24.04"}
    text = (
        "container: {image: r.azurecr.io/a:1, run_options: --ipc=host, "
        "registry: r.azurecr.io, working_directory: image}\n"
    )
    long = body_of(check(workload(HEAD + "command: x\n" + text), stack))
    assert long["containerSettings"] == {
        "imageName": "r.azurecr.io/a:1",
        "containerRunOptions": "--ipc=host",
        "registry": {
            "registryServer": "r.azurecr.io",
            "identityReference": {"resourceId": stack.pools["cpu"].identity_id},
        },
        "workingDirectory": "containerImageDefault",
    }


def test_preparation_and_release_are_the_jobs(workload: MakeWorkload, stack: Stack) -> None:
    text = """\
preparation:
  script: tar xf {archive}
  inputs: [data.tar, {url: 'https://example.org/x.bin'}]
  environment: {MODE: fast}
  wall_clock: 5m
  retries: 2
  wait: false
release: rm -rf scratch
command: x
variables: {archive: "a b.tar"}
"""
    job = planned(check(workload(HEAD + text, data_DOT_tar="1"), stack)).body
    prepare = job["jobPreparationTask"]
    assert shlex.split(prepare["commandLine"]) == ["/bin/sh", "-ec", "tar xf 'a b.tar'"]
    assert [file["filePath"] for file in prepare["resourceFiles"]] == ["data.tar", "x.bin"]
    assert prepare["environmentSettings"] == [{"name": "MODE", "value": "fast"}]
    assert prepare["constraints"] == {"maxTaskRetryCount": 2, "maxWallClockTime": "PT5M"}
    assert prepare["waitForSuccess"] is False
    assert job["jobReleaseTask"] == {"commandLine": "rm -rf scratch"}


def test_what_a_node_task_cannot_have_is_said(workload: MakeWorkload, stack: Stack) -> None:
    text = "preparation: echo {index}\nrelease: {command: x, wall_clock: 20m}\ncommand: x\n"
    found = findings(workload(HEAD + text), stack)
    assert any("nothing gives {index} a value" in text for text in found)
    assert any("ends a release after 15 minutes" in text for text in found)
