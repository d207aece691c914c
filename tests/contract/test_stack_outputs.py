"""Stack outputs: what `infra` exports, what `jobs` reads and what the page says agree."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from emulator.arm.mocks import run_program
from infra.outputs import SCHEMA_VERSION as EXPORTED_VERSION
from infra.sources import read_stack_file, stack_names
from jobs.errors import StackError
from jobs.stack import SCHEMA_VERSION as READ_VERSION
from jobs.stack import PipelineIdentity, Pool, Stack, Telemetry, parse_stack

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "stack-outputs.md").read_text(encoding="utf-8")


def members(table: str) -> set[str]:
    """The names in the first column of a table of the page."""
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


_TOP, _, _REST = PAGE.partition("A pool:")
_POOL, _, _REST = _REST.partition("Telemetry, what")
_TELEMETRY, _, _PIPELINE = _REST.partition("Pipeline, what")
OUTPUTS, POOL, TELEMETRY = members(_TOP), members(_POOL), members(_TELEMETRY)
PIPELINE = members(_PIPELINE)
MAY_BE_ABSENT = {name for row in _TOP.splitlines() if "absent |" in row for name in members(row)}


@pytest.fixture(scope="module", params=stack_names())
def exported(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the program exports for a stack of the repository."""
    config = {
        f"hpc:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in read_stack_file(request.param).items()
    }

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"))

    run = run_program(program, project="hpc", stack=request.param, config=config)
    return dict(run.outputs)


def test_infra_exports_just_what_the_page_says(exported: dict[str, Any]) -> None:
    assert set(exported) == OUTPUTS
    assert exported["pools"]
    for pool in exported["pools"].values():
        assert set(pool) == POOL
    if exported["telemetry"] is not None:
        assert set(exported["telemetry"]) == TELEMETRY
    if exported["pipeline"] is not None:
        assert set(exported["pipeline"]) == PIPELINE


def test_jobs_reads_just_what_the_page_says() -> None:
    def read(model: type[BaseModel]) -> set[str]:
        return set(model.model_fields)

    assert read(Stack) == OUTPUTS
    assert read(Pool) == POOL
    assert read(Telemetry) == TELEMETRY
    assert read(PipelineIdentity) == PIPELINE


def test_jobs_reads_every_value_as_it_was_exported(exported: dict[str, Any]) -> None:
    wire = json.loads(json.dumps(exported))
    stack = parse_stack(wire, where="exported")
    assert stack.model_dump(mode="json") == wire
    assert all(pool.id and pool.identity_id for pool in stack.pools.values())


def test_an_export_of_before_an_output_was_added_is_read(exported: dict[str, Any]) -> None:
    older = {key: value for key, value in exported.items() if key not in MAY_BE_ABSENT}
    assert parse_stack(older, where="exported").telemetry is None
    assert {"telemetry", "registry_server", "pipeline", "nodes_submit_jobs"} == MAY_BE_ABSENT


@pytest.mark.parametrize("name", sorted(OUTPUTS - MAY_BE_ABSENT))
def test_an_export_that_lacks_an_output_is_refused_by_name(
    exported: dict[str, Any], name: str
) -> None:
    lacking = {key: value for key, value in exported.items() if key != name}
    with pytest.raises(StackError, match=name):
        parse_stack(lacking, where="exported")


def test_both_sides_speak_one_version(exported: dict[str, Any]) -> None:
    assert EXPORTED_VERSION == READ_VERSION == exported["schema_version"]
    for version in (READ_VERSION - 1, READ_VERSION + 1, "1", None):
        with pytest.raises(StackError):
            parse_stack({**exported, "schema_version": version}, where="exported")


def test_the_registries_that_a_pool_tells_are_those_that_its_nodes_sign_in_to() -> None:
    config = dict(read_stack_file("local"))
    pools = json.loads(json.dumps(config["pools"]))
    pools["cpu"] |= {
        "containers": {"registries": ["theirs.azurecr.io"]},
        "image": "ubuntu-hpc-24.04",
    }
    values = {**config, "pools": pools, "registry": {"name": "ourimages"}}

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"))

    run = run_program(
        program,
        project="hpc",
        stack="local",
        config={
            f"hpc:{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in values.items()
        },
    )
    stack = parse_stack(json.loads(json.dumps(dict(run.outputs))), where="test")
    assert stack.pools["cpu"].registries == ("ourimages.azurecr.io", "theirs.azurecr.io")
    assert stack.pools["rdma"].registries is None
    assert stack.pools["rdma"].tells_registries
    assert stack.registry_server == "ourimages.azurecr.io"
