"""Command lines, limits and multi-instance variables."""

from __future__ import annotations

import errno
import shlex
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.nodes.command import environment, split, wall_clock_s
from emulator.nodes.failures import CATALOGUE, TaskFailureError, of_system_error
from emulator.nodes.interface import NodeFacts, TaskLaunch


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1))
def test_quoted_arguments_arrive_as_they_were(argv: list[str]) -> None:
    if not argv[0]:
        with pytest.raises(TaskFailureError):
            split(shlex.join(argv))
    else:
        assert split(shlex.join(argv)) == argv


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)))
def test_any_limit_is_read_in_the_services_form(limit: timedelta) -> None:
    days, rest = divmod(limit, timedelta(days=1))
    hours, rest = divmod(rest, timedelta(hours=1))
    minutes, rest = divmod(rest, timedelta(minutes=1))
    text = f"P{days}DT{hours}H{minutes}M{rest.seconds}.{rest.microseconds:06d}S"
    read = wall_clock_s({"constraints": {"maxWallClockTime": text}})
    assert read == pytest.approx(limit.total_seconds())


@pytest.mark.parametrize(
    "task",
    [
        {},
        {"constraints": None},
        {"constraints": {}},
        {"constraints": {"maxWallClockTime": "P10675199DT2H48M5.4775807S"}},
    ],
)
def test_no_limit_is_none(task: dict[str, object]) -> None:
    assert wall_clock_s(task) is None


def test_a_multi_instance_task_knows_its_nodes() -> None:
    node = NodeFacts(
        account="a",
        batch_url="http://h",
        pool_id="p",
        node_id="n",
        is_dedicated=False,
        ip_address="10.0.0.5",
    )
    launch = TaskLaunch(
        node=node,
        job_id="j",
        task_id="t",
        task={"multiInstanceSettings": {"numberOfInstances": 2}},
        nodes=("10.0.0.4", "10.0.0.5"),
    )
    env = environment(launch, Path("/r"), Path("/r/workitems/j/job-1/t"))
    names = (
        "HOST_LIST",
        "NODE_LIST",
        "MASTER_NODE",
        "IS_CURRENT_NODE_MASTER",
        "NODE_IS_DEDICATED",
    )
    assert [env[f"AZ_BATCH_{name}"] for name in names] == [
        "10.0.0.4,10.0.0.5",
        "10.0.0.4;10.0.0.5",
        "10.0.0.4:6000",
        "false",
        "false",
    ]
    assert env["CCP_NODES"] == "2 10.0.0.4 1 10.0.0.5 1"


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "DiskFull"), (errno.EDQUOT, "DiskFull"), (errno.EIO, "Unknown")],
)
def test_a_full_disk_is_told_apart(number: int, code: str) -> None:
    failed = of_system_error(OSError(number, "x"), "Unknown", FilePath="a").failure
    assert (failed.code, failed.category) == (code, "ServerError")
    assert dict(failed.details).keys() == {"Message", "FilePath"}


def test_every_failure_has_a_category_of_the_service() -> None:
    assert {category for category, _ in CATALOGUE.values()} == {"UserError", "ServerError"}
