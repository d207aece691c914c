"""Programs that are application packages: in the file, in the task, on the node's shell."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checking import check
from jobs.errors import InputError, NotFoundError, WorkloadError
from jobs.loading import LoadedWorkload
from jobs.plan import plan
from jobs.program_package import ProgramPackage, require_published
from jobs.stack import Stack, parse_stack

MakeWorkload = Callable[..., LoadedWorkload]
HEAD = """
name: packaged
pool: cpu
program:
  application: {application}
"""


def first_task(loaded: LoadedWorkload, stack: Stack) -> dict[str, Any]:
    job = plan(check(loaded, stack), {}, job_id="j")
    body: dict[str, Any] = json.loads(next(iter(job.tasks())).body)
    return body


def started(body: dict[str, Any], directory: Path) -> str:
    """What the command line prints on a node that has the package there."""
    variable = "AZ_BATCH_APP_PACKAGE_tool_1_0"
    done = subprocess.run(
        shlex.split(body["commandLine"]),
        env={**os.environ, variable: str(directory)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    "command",
    [
        "command: ['{{program}}/bin/show', 'a b', '{{program}}', \"it's\", '$HOME']",
        "script: \"{{program}}/bin/show 'a b' {{program}} \\\"it's\\\" '$HOME'\"",
    ],
)
def test_the_directory_is_filled_in_on_the_node_and_nothing_else_is(
    workload: MakeWorkload, stack: Stack, tmp_path: Path, command: str
) -> None:
    node = tmp_path / "a node's directory"
    (node / "bin").mkdir(parents=True)
    (node / "bin" / "show").write_text('#!/bin/sh\nfor one; do echo "[$one]"; done\n')
    (node / "bin" / "show").chmod(0o755)
    text = HEAD.format(application="tool\n  version: '1.0'") + command.replace(
        "{{program}}", "{program}"
    )
    body = first_task(workload(text), stack)
    assert body["applicationPackageReferences"] == [{"applicationId": "tool", "version": "1.0"}]
    assert "resourceFiles" not in body
    assert started(body, node) == f"[a b]\n[{node}]\n[it's]\n[$HOME]\n"


def test_without_a_version_the_variable_has_none(workload: MakeWorkload, stack: Stack) -> None:
    text = HEAD.format(application="tool") + "command: '{program}/run'"
    body = first_task(workload(text), stack)
    assert body["applicationPackageReferences"] == [{"applicationId": "tool"}]
    assert '"${AZ_BATCH_APP_PACKAGE_tool}"' in body["commandLine"]


def test_all_that_is_wrong_with_a_package_is_told_at_once(
    workload: MakeWorkload, values: Callable[..., dict[str, Any]]
) -> None:
    windows = {"cpu": {**values()["pools"]["cpu"], "os": "windows"}}
    stack = parse_stack(values(pools=windows), where="test")
    text = HEAD.format(application="tol") + (
        "command: run\nvariables: {program: x}\nenvironment: {WHERE: '{directory}'}\n"
    )
    with pytest.raises(WorkloadError) as wrong:
        check(workload(text), stack)
    told = str(wrong.value)
    for part in ("did you mean 'tool'?", "Linux pools", "another name", "{directory}"):
        assert part in told


def test_the_directory_is_no_value_of_an_environment_variable(
    workload: MakeWorkload, stack: Stack
) -> None:
    text = HEAD.format(application="tool") + "command: run\nenvironment: {WHERE: '{program}'}\n"
    with pytest.raises(WorkloadError, match=r"nothing gives \{program\} a value"):
        check(workload(text), stack)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("{files: [a], version: '1'}", "version is of an application"),
        ("{}", "neither files, build nor"),
    ],
)
def test_a_program_is_something(workload: MakeWorkload, program: str, why: str) -> None:
    with pytest.raises(WorkloadError, match=why):
        workload(f"name: x\npool: cpu\ncommand: run\nprogram: {program}\n")


class Batch:
    """Answers what versions there are."""

    def __init__(self, **versions: list[str]) -> None:
        self.versions = versions

    def get(self, path: str, doing: str, **_query: str) -> dict[str, Any]:
        name = path.rpartition("/")[2]
        if name not in self.versions:
            raise NotFoundError(doing, code="ApplicationNotFound", status=404)
        return {"id": name, "versions": self.versions[name]}


@pytest.mark.parametrize(
    ("package", "there", "why"),
    [
        (("tool", "1.0"), {}, "no published version: python -m jobs publish tool PATH"),
        (("tool", "1.0"), {"tool": ["0.9"]}, "no published version 1.0, it has: 0.9"),
        (("tool", None), {}, "--version VERSION --default"),
        (("solver", None), {"solver": ["2.0"]}, "no published version 2.1"),
    ],
)
def test_what_is_not_published_is_told_with_the_command_that_publishes_it(
    stack: Stack, package: tuple[str, str | None], there: dict[str, list[str]], why: str
) -> None:
    wanted = ProgramPackage(application=package[0], version=package[1])
    with pytest.raises(InputError) as refused:
        require_published([wanted], stack, Batch(**there))
    assert why in str(refused.value)


def test_what_is_published_passes(stack: Stack) -> None:
    wanted = [
        ProgramPackage(application="tool", version="1.0-RC"),
        ProgramPackage(application="tool", version=None),
        ProgramPackage(application="solver", version=None),
    ]
    require_published(wanted, stack, Batch(tool=["1.0-rc"], solver=["2.1"]))


@given(st.lists(st.text(st.characters(blacklist_characters="\0"), max_size=8), max_size=4))
def test_a_shell_gives_back_every_argument(parts: list[str]) -> None:
    package = ProgramPackage(application="t", version=None)
    directory = package.values["program"]
    argument = str(directory).join(["", *parts])
    try:
        argument.encode()
    except UnicodeEncodeError:
        return
    shell = ["/bin/sh", "-c", f"printf %s {package.quote(argument)}"]
    env = {"AZ_BATCH_APP_PACKAGE_t": "/n o/de"}
    done = subprocess.run(shell, env=env, capture_output=True, check=True)
    assert done.stdout.decode() == argument.replace(str(directory), "/n o/de")
