"""A job is reported as what it was: in the pool that it is in, whatever its file says by now."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs import InputError, Job
from jobs.cli import app
from jobs.history import History, Sample
from jobs.job import open_job
from jobs.managed import MANAGER_ID
from jobs.reporting import Reported
from jobs.results import Manifest, tree_of

TEXT = "name: n\npool: {pool}\ncommand: a\n"
POOL_OF_THE_FILE = "hpc"


@pytest.fixture
def submitted(
    batch: Any, values: Callable[..., Any], tmp_path: Path, service: Any
) -> Callable[..., Job]:
    """A job that is over, in pool `cpu`, and whose file names pool `hpc` by now."""

    def make(**members: Any) -> Job:
        pools = values()["pools"]
        pools["cpu"] |= {"max_spot_nodes": 0, **members}
        pools[POOL_OF_THE_FILE] = pools["cpu"] | {
            "id": "pool-hpc", "vm_size": "Standard_HB120rs_v3", "task_slots_per_node": 1,
            "dedicated_price_per_hour": 3600.0,
        }  # fmt: skip
        outputs = tmp_path / "outputs.json"
        outputs.write_text(json.dumps(values(batch_endpoint=batch.url, pools=pools)))
        workload = tmp_path / "job.yaml"
        workload.write_text(TEXT.format(pool=POOL_OF_THE_FILE))
        body = {"id": "job", "poolInfo": {"poolId": "pool-cpu"}, "onAllTasksComplete": "x"}
        service.call("POST", "/jobs", "adding", body=body)
        batch._add("job", {"id": "0000000-a", "commandLine": "a"})
        batch.complete("job", "0000000-a")
        start, end = "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z"
        batch.tasks["job"]["0000000-a"]["executionInfo"] |= {"startTime": start, "endTime": end}
        batch.jobs["job"] |= {"state": "completed"}
        tree_of("job", tmp_path / "results").write_manifest(
            Manifest(
                job_id="job", workload=str(workload), stack=None, outputs=str(outputs),
                plan="p", tasks=1, created=start,
            )
        )  # fmt: skip
        return open_job("job", tmp_path / "results")

    return make


def test_its_time_is_priced_where_it_was_used(submitted: Callable[..., Job]) -> None:
    made = submitted(dedicated_price_per_hour=0.5).report()
    assert isinstance(made, Reported)
    assert (made.report.pool, made.ground.pool.id) == ("cpu", "pool-cpu")
    assert made.report.cost == pytest.approx(0.5)
    assert "Standard_D4s_v5, id pool-cpu" in made.page()


@pytest.mark.parametrize(
    "unknown",
    [
        {"dedicated_price_per_hour": None},
        {"dedicated_price_per_hour": None, "max_spot_nodes": 3, "spot_price_per_hour": None},
    ],
)
def test_its_limits_are_those_of_its_pool(
    submitted: Callable[..., Job], unknown: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="no price of Standard_D4s_v5"):
        submitted(**unknown).wait(max_cost=5.0)


def test_what_it_has_cost_is_counted_at_its_pools_price(submitted: Callable[..., Job]) -> None:
    job = submitted(dedicated_price_per_hour=0.5)
    assert job.wait(max_cost=5.0).cost == pytest.approx(0.5)
    assert [look.cost for look in job.watch()] == [pytest.approx(0.5)]


def test_a_pool_that_the_stack_has_no_more_is_named(submitted: Callable[..., Job]) -> None:
    job = submitted(id="another")
    with pytest.raises(InputError, match="stack test has no pool 'pool-cpu' any more"):
        job.report()


def test_what_was_watched_of_a_task_that_ran_again_stays_in_its_report(
    submitted: Callable[..., Job], batch: Any
) -> None:
    job = submitted(dedicated_price_per_hour=0.5)
    info = batch.tasks["job"]["0000000-a"]["executionInfo"]
    batch.tasks["job"]["0000000-a"]["creationTime"] = "2026-11-21T08:00:00Z"
    watched = Sample(time=1.0, nodes=1, target=1, waiting=0, running=1, ended=0, cost=0.75)
    History(samples=[watched]).write(job.tree)
    assert job.report().report.cost == pytest.approx(0.5), "of one that ran once, all is known"
    info["retryCount"] = 1
    History(samples=[watched]).write(job.tree)
    made = job.report()
    assert made.report.cost == pytest.approx(1.0), "as long as the last, and more was not seen"
    History(samples=[replace(watched, cost=2.25)]).write(job.tree)
    made = job.report()
    assert made.report.cost == pytest.approx(2.25)
    cell = next(iter(made.rows()))[made.rows().columns.index("cost")]
    assert float(cell) == pytest.approx(2.25)
    assert "about $2.25 on Azure" in made.page()


def test_a_multi_instance_task_is_paid_for_on_all_its_nodes(
    submitted: Callable[..., Job], batch: Any
) -> None:
    job = submitted(dedicated_price_per_hour=0.5, task_slots_per_node=1)
    batch.tasks["job"]["0000000-a"]["multiInstanceSettings"] = {
        "numberOfInstances": 4, "coordinationCommandLine": "x",
    }  # fmt: skip
    made = job.report().report
    assert (made.nodes, made.dedicated_node_s) == (4, 4 * 3600)
    assert [node.node_id for node in made.by_node] == ["n_d", "n_d +1", "n_d +2", "n_d +3"]
    assert made.cost == pytest.approx(2.0)
    assert job.wait(max_cost=5.0).cost == pytest.approx(2.0)


def test_the_table_and_the_page_go_to_standard_output_where_a_dash_is_given(
    submitted: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted()
    monkeypatch.chdir(tmp_path)
    words = ["report", "job", "--out", str(tmp_path / "results")]
    done = CliRunner().invoke(app, [*words, "--csv", "-"])
    assert done.exit_code == 0, done.stderr
    read = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [tuple(row.values()) for row in read] == list(job.report().rows())
    page = CliRunner().invoke(app, [*words, "--html", "-"])
    assert page.stdout.startswith("<!doctype html>")
    assert page.stdout.endswith("</html>\n\n")
    for both in (["--csv", "-", "--html", "-"], ["--csv", "-", "--json"]):
        refused = CliRunner().invoke(app, [*words, *both])
        assert (refused.exit_code, "would both be written" in refused.stderr) == (2, True)
    assert not list(tmp_path.glob("**/-"))


@pytest.mark.parametrize(
    ("limit", "allowed"),
    [("PT2H", 7200), ("P10675199DT2H48M5.4775807S", None), (None, None)],
)
def test_the_time_that_tasks_may_take_is_asked_for_once(
    submitted: Callable[..., Job], batch: Any, limit: str | None, allowed: int | None
) -> None:
    job = submitted()
    batch.tasks["job"]["0000000-a"]["constraints"] = {"maxWallClockTime": limit}
    batch.tasks["job"]["main"] = batch.tasks["job"]["0000000-a"] | {
        "id": MANAGER_ID, "constraints": {"maxWallClockTime": "PT1M"},
    }  # fmt: skip
    made = job.report()
    assert made.report.stages[0].allowed_s == allowed
    assert sum("constraints" in request for request in batch.requests) == 1
    told = "<dt>Time</dt><dd><b>50%</b> of wall_clock by the longest (1h00m of 2h00m)"
    assert (told in made.page()) == (allowed is not None)


def test_of_a_job_of_which_no_task_ran_its_own_life_is_told(
    submitted: Callable[..., Job], batch: Any
) -> None:
    job = submitted()
    batch.tasks["job"]["0000000-a"] |= {"state": "active", "executionInfo": {}}
    created = datetime(2026, 11, 21, 10, tzinfo=UTC)
    batch.jobs["job"] |= {"creationTime": "2026-11-21T10:00:00Z", "state": "terminating"}
    made = job.report().report
    assert (made.failed, made.unfinished) == (0, 1)
    so_far = (datetime.now(UTC) - created).total_seconds()
    assert made.elapsed_s == pytest.approx(so_far, abs=60), "it goes on, or is being ended"
    batch.jobs["job"] |= {"executionInfo": {"endTime": "2026-11-21T10:00:15Z"}}
    assert job.report().report.elapsed_s == 15
