"""What a job may cost, before it is sent: by its limit, by the run before, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.checking import check
from jobs.contents import ContentCache
from jobs.estimate import estimate, node_price
from jobs.loading import LoadedWorkload
from jobs.plan import JobPlan, plan
from jobs.results import Manifest, ResultTree, write_json
from jobs.stack import parse_stack
from jobs.stage import contents_of

MakeWorkload = Callable[..., LoadedWorkload]
Values = Callable[..., dict[str, Any]]
HEAD = "name: n\npool: cpu\ncommand: x\ntasks: 8\n"
DEDICATED, SPOT = 0.192, 0.04
SLOTS = 4


@pytest.fixture
def planned(workload: MakeWorkload, values: Values) -> Callable[..., JobPlan]:
    def make(text: str = "", **pool: Any) -> JobPlan:
        outputs = values()
        outputs["pools"]["cpu"].update(pool)
        checked = check(workload(HEAD + text), parse_stack(outputs, where="test"))
        with ContentCache(None) as cache:
            return plan(checked, contents_of(checked, cache), job_id="now")

    return make


def ran_before(job: JobPlan, root: Path, report: dict[str, Any]) -> None:
    """A result tree of an earlier run of the same workload file."""
    tree = ResultTree(root / "earlier")
    tree.root.mkdir(parents=True)
    tree.write_manifest(
        Manifest(
            job_id="earlier",
            workload=str(job.checked.workload.path.absolute()),
            stack="test",
            outputs=None,
            plan="p",
            tasks=8,
            created="2026-11-01T00:00:00Z",
        )
    )
    write_json(tree.report_file, report)


def test_every_try_that_takes_all_its_time_is_the_bound(
    planned: Callable[..., JobPlan], tmp_path: Path
) -> None:
    job = planned("resources: {wall_clock: 1h, retries: 1}\n")
    found = estimate(job, tmp_path)
    assert found.least == 0
    assert found.most == pytest.approx(8 * 2 / SLOTS * DEDICATED)
    assert str(found) == "$0.7680 at most, by resources.wall_clock"
    whole_nodes = planned("resources: {wall_clock: 1h, retries: 1, slots: 3}\n")
    assert estimate(whole_nodes, tmp_path).most == pytest.approx(8 * 2 * DEDICATED)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "resources.wall_clock would be a bound"),
        (
            "resources: {wall_clock: 10, retries: -1}\n",
            "resources.retries is -1, so that a task may run for ever",
        ),
        (
            "resources: {retries: -1}\n",
            "resources.wall_clock would be a bound, with resources.retries other than -1",
        ),
    ],
)
def test_without_a_limit_and_a_run_nothing_is_made_up(
    planned: Callable[..., JobPlan], tmp_path: Path, text: str, why: str
) -> None:
    found = estimate(planned(text), tmp_path)
    assert found.most is None
    assert str(found) == f"unknown before a first run: {why}"


def test_the_run_before_gives_a_range_that_the_limit_bounds(
    planned: Callable[..., JobPlan], tmp_path: Path
) -> None:
    job = planned()
    ran_before(job, tmp_path, {"succeeded": 3, "failed": 1, "task_s": 400.0})
    node_h = 8 * 100 / SLOTS / 3600
    found = estimate(job, tmp_path)
    assert found.least == pytest.approx(node_h * SPOT)
    assert found.most == pytest.approx(node_h * DEDICATED)
    assert str(found) == "$0.0022 to $0.0107, as earlier took (100.0 s a task), on full nodes"
    limited = estimate(planned("resources: {wall_clock: 50s, retries: 0}\n"), tmp_path)
    assert limited.most == pytest.approx(node_h * DEDICATED / 2)
    assert limited.as_json()["source"] == found.source
    short = estimate(planned("resources: {wall_clock: 1s, retries: 0}\n"), tmp_path)
    assert short.least == short.most == pytest.approx(8 / SLOTS / 3600 * DEDICATED)
    only_spot = estimate(planned(max_dedicated_nodes=0), tmp_path)
    assert only_spot.least == only_spot.most == pytest.approx(node_h * SPOT)
    took = "as earlier took (100.0 s a task), on full nodes"
    assert str(only_spot) == f"about $0.0022, {took}", "a range of one amount is none"
    tiny = replace(found, least=1e-6, most=2e-6)
    assert str(tiny) == f"less than $0.0001, {took}"
    alike = replace(found, least=0.00221, most=0.00223)
    assert str(alike) == f"about $0.0022, {took}"


@pytest.mark.parametrize(
    "report", [{}, {"succeeded": 0, "failed": 0, "task_s": 0}, {"succeeded": "x"}]
)
def test_a_report_that_tells_nothing_is_passed_over(
    planned: Callable[..., JobPlan], tmp_path: Path, report: dict[str, Any]
) -> None:
    job = planned()
    ran_before(job, tmp_path, report)
    assert estimate(job, tmp_path).most is None


def test_a_pool_without_prices_has_neither_estimate_nor_price(
    planned: Callable[..., JobPlan], tmp_path: Path
) -> None:
    job = planned(dedicated_price_per_hour=None, spot_price_per_hour=None)
    assert str(estimate(job, tmp_path)) == "no price is known"
    assert node_price(job.checked) == "price unknown"


def test_all_nodes_of_a_pool_cost_what_each_kind_does(planned: Callable[..., JobPlan]) -> None:
    assert node_price(planned().checked) == "$0.1920 an hour each, $0.4640 an hour at most"
    dear = planned(spot_price_per_hour=None).checked
    assert node_price(dear) == "$0.1920 an hour each, $0.7680 an hour at most"
