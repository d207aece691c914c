from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.again import Again
from jobs.checking import check
from jobs.contents import ContentCache, Contents
from jobs.loading import LoadedWorkload
from jobs.plan import JobPlan, plan
from jobs.reasons import Before
from jobs.results import Manifest, ResultTree
from jobs.row_digests import keep_rows
from jobs.stack import Stack
from jobs.stage import contents_of
from jobs.stage_plan import stage_plans, whole_job_reasons
from jobs.stale import Stale

TWO = """\
    name: n
    pool: cpu
    variables: {{n: {n}}}
    stages:
      sim:
        script: "{script}"
        tasks: {{csv: x.csv}}
        inputs: [data.txt]
      sum: {{command: "{command}", after: sim{more}}}
    """
SIM, SUM = 10, 11


@pytest.fixture
def made(
    workload: Callable[..., LoadedWorkload], stack: Stack
) -> Callable[..., tuple[JobPlan, dict[Path, Contents]]]:
    def make(
        n: int = 1, script: str = "a {x}", command: str = "b", more: str = "",
        x: str = "1\n2\n3\n", data: str = "d", only: str | None = None,
    ) -> tuple[JobPlan, dict[Path, Contents]]:  # fmt: skip
        text = TWO.format(n=n, script=script, command=command, more=more)
        checked = check(workload(text, x_DOT_csv=f"x\n{x}", data_DOT_txt=data), stack)
        with ContentCache(None) as cache:
            contents = contents_of(checked, cache)
        return plan(checked, contents, job_id="n-1", only=only), contents

    return make


def before_of(job: JobPlan, root: Path = Path("nowhere")) -> Before:
    manifest = Manifest(
        job_id="old", workload="w", stack="s", outputs=None, plan=job.digest, tasks=job.count,
        created="", stages=dict(job.checked.stage_counts),
    )  # fmt: skip
    return Before(job_id="old", parts=job.parts, tree=ResultTree(root), manifest=manifest)


def test_of_a_table_just_the_lines_that_are_others_are_counted(
    made: Callable[..., tuple[JobPlan, object]], tmp_path: Path
) -> None:
    job, _ = made()
    before = before_of(job, tmp_path / "old")
    before.tree.write_manifest(before.manifest)
    keep_rows(before.tree, job.checked)
    sim, total = stage_plans(made(x="1\n9\n3\n")[0], before=before)
    assert (sim.changed, total.changed) == (1, 0)
    assert next(sim.lines()) == "sim: 3 tasks: 3 new, 1 changed"
    assert stage_plans(made(x="1\n2\n")[0], before=before)[0].changed is None
    assert stage_plans(made(n=2, x="1\n2\n3\n")[0], before=before)[0].changed is None


def test_all_that_was_never_submitted_is_new(made: Callable[..., tuple[JobPlan, object]]) -> None:
    job, _ = made()
    plans = stage_plans(job)
    assert [(p.stage, p.total, p.new, p.cached, p.changed) for p in plans] == [
        ("sim", 3, 3, 0, None), ("sum", 1, 1, 0, None),
    ]  # fmt: skip
    assert list(plans[0].lines()) == ["sim: 3 tasks: 3 new"]


def test_what_a_rerun_keeps_is_cached_and_what_it_runs_has_reasons(
    made: Callable[..., tuple[JobPlan, object]],
) -> None:
    job, _ = made(only="100000001,110000000")
    again = Again(
        own={100_000_001: "exit code 1"}, behind={110_000_000: 100_000_001},
        stale=Stale(counts={"sim": 3, "sum": 1}),
    )  # fmt: skip
    sim, total = stage_plans(job, again=again)
    assert (sim.new, sim.again, sim.cached) == (0, 1, 2)
    assert sim.reasons == ("1 exit code 1 (1)",)
    assert list(total.lines()) == ["sum: 1 task: 1 again", "  1 waits for sim/1 (0)"]


def test_what_a_job_has_already_is_cached(made: Callable[..., tuple[JobPlan, object]]) -> None:
    sim, total = stage_plans(made()[0], there={SIM: 2})
    assert (sim.new, sim.cached) == (1, 2)
    assert (total.new, total.cached) == (1, 0)


def test_what_changed_is_told_of_the_stage_that_has_it(
    made: Callable[..., tuple[JobPlan, object]],
) -> None:
    before = before_of(made()[0])

    def changed(**edits: object) -> list[tuple[int | None, tuple[str, ...]]]:
        plans = stage_plans(made(**edits)[0], before=before)
        return [(p.changed, p.reasons) for p in plans]

    assert changed() == [(0, ()), (0, ())]
    assert changed(script="c {x}") == [(3, ("script changed since old",)), (0, ())]
    assert changed(data="e") == [(3, ("file data.txt changed since old",)), (0, ())]
    assert changed(command="c") == [(0, ()), (1, ("command changed since old",))]
    assert changed(x="1\n2\n4\n") == [(None, ("rows of its tasks changed since old",)), (0, ())]
    third = stage_plans(made(more="}\n      end: {command: c")[0], before=before)[2]
    assert (third.changed, third.reasons) == (1, ("stage end is new since old",))


def test_what_no_single_stage_has_is_told_of_the_job(
    made: Callable[..., tuple[JobPlan, object]],
) -> None:
    before = before_of(made()[0])
    job, _ = made(n=2)
    assert whole_job_reasons(job, before) == ("variables changed since old",)
    assert [p.changed for p in stage_plans(job, before=before)] == [None, None]
    assert whole_job_reasons(job, None) == ()
    fewer = before_of(made(more="}\n      end: {command: c")[0])
    assert whole_job_reasons(made()[0], fewer) == ("stage end is gone since old",)


def test_files_with_contents_that_were_there_are_not_new(
    made: Callable[..., tuple[JobPlan, dict[Path, Contents]]],
) -> None:
    before = before_of(made()[0])
    assert before.new_files(made()[1]) == []
    (new,) = before.new_files(made(data="e")[1])
    assert new.name == "data.txt"


def test_a_file_without_stages_is_one(
    workload: Callable[..., LoadedWorkload], stack: Stack
) -> None:
    text = "name: n\npool: cpu\npriority: {p}\ncommand: echo {c}\ntasks: 2\n"
    old, now = (
        plan(check(workload(text.format(p=p, c=c)), stack), {}, job_id="j")
        for p, c in ((1, "a"), (2, "b"))
    )
    (only,) = stage_plans(now, before=before_of(old))
    assert list(only.lines()) == ["2 tasks: 2 new, 2 changed", "  command changed since old"]
    assert whole_job_reasons(now, before_of(old)) == ("priority changed since old",)
