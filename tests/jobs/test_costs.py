"""What several jobs cost, together, from their reports."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import Client
from jobs.cli import main
from jobs.costs import BY, costs_of
from jobs.errors import InputError, NotFoundError
from jobs.results import Manifest, ResultTree, tree_of, write_json

MakeTree = Callable[..., ResultTree]


@pytest.fixture
def tree(tmp_path: Path) -> MakeTree:
    """Makes the result tree of a job with the report of its end."""

    def make(job_id: str, *, tags: Mapping[str, str] | None = None, **report: Any) -> ResultTree:
        found = tree_of(job_id, tmp_path / "results")
        found.write_manifest(
            Manifest(
                job_id=job_id, workload=str(tmp_path / "job.yaml"), stack="local", outputs=None,
                plan="p", tasks=3, created="2026-11-21T10:00:00Z", tags=tags or {},
            )
        )  # fmt: skip
        write_json(found.report_file, reported(**report))
        return found

    return make


def reported(**members: Any) -> dict[str, Any]:
    return {
        "pool": "cpu", "succeeded": 2, "failed": 1, "unfinished": 0, "task_s": 30.0,
        "cost": 0.5, "currency": "USD", "stages": [], **members,
    }  # fmt: skip


def never(found: ResultTree) -> Mapping[str, Any]:
    raise AssertionError(f"{found.root.name} is reported on anew")


def told(trees: list[ResultTree], by: str) -> dict[str, tuple[Any, ...]]:
    rows = costs_of(trees, by, never).rows
    return {row.of: (row.jobs, row.tasks, row.failed, row.task_s, row.cost) for row in rows}


def test_costs_are_told_by_what_jobs_have_in_common(tree: MakeTree, tmp_path: Path) -> None:
    trees = [
        tree("a", tags={"project": "fraud", "team": "risk"}),
        tree("b", tags={"project": "fraud"}, pool="gpu", cost=4.0),
        tree("c", cost=1.0),
    ]
    assert told(trees, "tag.project") == {"fraud": (2, 6, 2, 60.0, 4.5), "": (1, 3, 1, 30.0, 1.0)}
    assert told(trees, "tag.team") == {"": (2, 6, 2, 60.0, 5.0), "risk": (1, 3, 1, 30.0, 0.5)}
    assert told(trees, "pool") == {"gpu": (1, 3, 1, 30.0, 4.0), "cpu": (2, 6, 2, 60.0, 1.5)}
    assert [row.of for row in costs_of(trees, "job", never).rows] == ["b", "c", "a"]
    assert list(told(trees, "workload")) == [str(tmp_path / "job.yaml")]


def test_stages_have_their_share(tree: MakeTree) -> None:
    def stage(name: str, cost: float) -> dict[str, Any]:
        return {"name": name, "ended": 2, "failed": 0, "task_s": 5.0, "cost": cost}

    rerun = {**stage("sim", 0.5), "ended": 3, "failed": 1, "tasks": 2, "tasks_failed": 0}
    trees = [
        tree("a", stages=[stage("sim", 0.4), stage("merge", 0.1)]),
        tree("b", stages=[rerun]),
    ]
    assert told(trees, "stage") == {"sim": (2, 4, 0, 10.0, 0.9), "merge": (1, 2, 0, 5.0, 0.1)}
    (total,) = costs_of(trees, "stage", never).total
    assert (total.jobs, total.cost) == (2, 1.0)


def test_currencies_are_not_added_and_unknown_costs_are_counted(tree: MakeTree) -> None:
    trees = [tree("a"), tree("b", currency="EUR"), tree("c", cost=None), tree("d", cost=0.0)]
    rows = {row.currency: row for row in costs_of(trees, "pool", never).rows}
    assert (rows["USD"].jobs, rows["USD"].cost, rows["USD"].unpriced) == (3, 0.5, 1)
    assert (rows["EUR"].jobs, rows["EUR"].cost, rows["EUR"].unpriced) == (1, 0.5, 0)


@given(costs=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99)), max_size=8))
def test_rows_add_up_to_the_total(
    tmp_path_factory: pytest.TempPathFactory, costs: list[tuple[str, int]]
) -> None:
    root = tmp_path_factory.mktemp("results")
    trees = []
    for number, (pool, cost) in enumerate(costs):
        found = tree_of(f"job-{number}", root)
        manifest = Manifest(
            job_id=f"job-{number}", workload="w", stack=None, outputs=None, plan="", tasks=1,
            created="2026-11-21T10:00:00Z",
        )  # fmt: skip
        found.write_manifest(manifest)
        write_json(found.report_file, reported(pool=pool, cost=cost))
        trees.append(found)
    made = costs_of(trees, "pool", never)
    assert sum(row.cost for row in made.rows) == sum(cost for _, cost in costs)
    assert sum(row.cost for row in made.total) == sum(cost for _, cost in costs)
    assert sum(row.jobs for row in made.rows) == len(costs)


@pytest.mark.parametrize("kept", ["unfinished", "before the last attempt", "damaged", "none"])
def test_a_job_without_the_report_of_its_end_is_reported_on(tree: MakeTree, kept: str) -> None:
    found = tree("a", unfinished=1 if kept == "unfinished" else 0)
    match kept:
        case "before the last attempt":
            os.utime(found.report_file, ns=(0, 0))
        case "damaged":
            found.report_file.write_text('{"pool": ')
        case "none":
            found.report_file.unlink()
    made = costs_of([found], "job", lambda _tree: reported(cost=7.0))
    assert [row.cost for row in made.rows] == [7.0]
    assert not made.stale


@pytest.mark.parametrize("error", [NotFoundError("gone\nadvice"), InputError("no such file")])
def test_a_job_that_is_gone_is_as_it_was_last_reported(tree: MakeTree, error: Exception) -> None:
    def gone(_tree: ResultTree) -> Mapping[str, Any]:
        raise error

    bare = tree("bare")
    bare.report_file.unlink()
    damaged = tree("damaged")
    damaged.manifest_file.write_text("{}")
    made = costs_of([tree("a", unfinished=2), bare, damaged, tree("over")], "job", gone)
    assert {row.of for row in made.rows} == {"a", "over"}
    assert made.stale == ("a",)
    assert made.left_out["bare"] == str(error).splitlines()[0]
    assert "damaged" in made.left_out["damaged"]


def test_a_job_that_ended_before_all_its_tasks_ran_has_its_last_report(tree: MakeTree) -> None:
    assert told([tree("a", unfinished=7, over=True)], "job") == {"a": (1, 3, 1, 30.0, 0.5)}
    made = costs_of([tree("a", over=False)], "job", lambda _tree: reported(cost=7.0))
    assert [row.cost for row in made.rows] == [7.0]


@pytest.mark.parametrize("by", ["tag", "tag.", "Job", "", "cost"])
def test_costs_are_told_by_nothing_else(by: str) -> None:
    with pytest.raises(InputError, match="--by") as raised:
        costs_of([], by, never)
    assert all(name in str(raised.value) for name in (*BY, "tag.NAME"))


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["jobs", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_verb_shows_a_table_rows_and_json(
    tree: MakeTree,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tree("a", tags={"project": "x, y"})
    tree("b", cost=None)
    words = ("costs", "--out", str(tmp_path / "results"), "--by", "tag.project")
    assert run(monkeypatch, *words) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["tag.project", "jobs", "tasks", "failed", "run", "time", "cost"]
    assert "x, y" in shown[1]
    assert shown[1].rstrip().endswith("$0.5000")
    assert shown[2].split()[0] == "-"
    assert shown[2].rstrip().endswith("1 unknown")
    assert shown[3].split()[:2] == ["total", "2"]
    assert shown[3].rstrip().endswith("$0.5000, 1 unknown")
    assert max(map(len, shown)) <= 80
    assert run(monkeypatch, *words, "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["tag.project"], row["cost"], row["unpriced"]) for row in rows] == [
        ("x, y", "0.5", "0"),
        ("", "0.0", "1"),
    ]
    assert run(monkeypatch, *words, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["version"], answer["by"], len(answer["rows"])) == (1, "tag.project", 2)
    assert answer["total"][0]["jobs"] == 2


def test_programs_get_them_too(tree: MakeTree, tmp_path: Path) -> None:
    tree("a", tags={"project": "fraud"})
    tree("b")
    made = Client(stack="local", out=tmp_path / "results").costs(by="tag.project")
    assert {row.of: row.cost for row in made.rows} == {"fraud": 0.5, "": 0.5}
