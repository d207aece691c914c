"""Which outputs are told to have matched nothing, from the names of what was collected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.checking import check
from jobs.job import Job
from jobs.loading import LoadedWorkload
from jobs.output_files import OutputFiles
from jobs.plan import output_parts, plan
from jobs.reasons import keep_parts
from jobs.results import Manifest, ResultTree, write_json
from jobs.session import Session
from jobs.spec_tasks import Output
from jobs.stack import Stack
from jobs.stages import stages_of
from jobs.unmatched import left_as, output_warnings

MakeWorkload = Callable[..., LoadedWorkload]
Collect = Callable[[LoadedWorkload, Iterable[str]], ResultTree]


@pytest.fixture
def collect(tmp_path: Path, stack: Stack) -> Collect:
    """A tree of a workload that was submitted as it is, with these collected names."""

    def make(loaded: LoadedWorkload, names: Iterable[str]) -> ResultTree:
        tree = ResultTree(tmp_path / "results" / "j")
        job = plan(check(loaded, stack), {}, job_id="j")
        tree.write_manifest(
            Manifest(
                job_id="j",
                workload=str(loaded.path),
                stack="test",
                outputs=None,
                plan=job.digest,
                tasks=job.count,
                created="",
                stages=job.checked.stage_counts,
            )
        )
        keep_parts(tree, job)
        write_json(tree.collected_file, {name: ["etag", 1] for name in names})
        return tree

    return make


def logs(*tasks: str) -> list[str]:
    return [f"logs/{task}/{name}.txt" for task in tasks for name in ("stdout", "stderr")]


def told(tree: ResultTree, succeeded: Iterable[str] | None = None) -> list[str]:
    return [str(one) for one in output_warnings(tree, None if succeeded is None else [*succeeded])]


A, B, C = "0000000-aaa", "0000001-bbb", "0000002-ccc"


def test_an_output_that_nothing_matched_is_told_with_how_many_tasks(
    workload: MakeWorkload, collect: Collect
) -> None:
    loaded = workload("{name: a, pool: cpu, command: c, outputs: [result.csv], tasks: 3}")
    tree = collect(loaded, logs(A, B, C))
    assert told(tree) == ["result.csv matched nothing in 3 of 3 tasks [outputs]"]
    tree = collect(loaded, [*logs(A, B, C), f"outputs/{B}/result.csv"])
    assert told(tree) == ["result.csv matched nothing in 2 of 3 tasks [outputs]"]
    assert told(tree, [B]) == [], "of a task that failed nothing is expected"
    assert told(collect(loaded, [*logs(A), f"outputs/{A}/result.csv"])) == [], "others still run"


@pytest.mark.parametrize(
    ("output", "came", "not_came"),
    [
        ("out.txt", "out.txt", "a/out.txt"),
        ("a/out.txt", "a/out.txt", "out.txt"),
        ("'*.csv'", "x.csv", "a/x.csv"),
        ("'a/**/*.csv'", "a/b/c/x.csv", "b/x.csv"),
        ("'a/**/*.csv'", "a/x.csv", "a/x.txt"),
        ("'**'", "a/b", None),
        ("'x?.[ct]sv'", "x1.csv", "x.csv"),
        ("{pattern: a/b/x.csv, to: res}", "res/x.csv", "a/b/x.csv"),
        ("{pattern: 'a/*/x.csv', to: res}", "res/1/x.csv", "a/1/x.csv"),
        ("'sum-{index}.txt'", "sum-7.txt", "sums.txt"),
        ("'{dir}/x.csv'", "a/b/x.csv", "a/b/y.csv"),
        ("'a+b (1).txt'", "a+b (1).txt", "aab (1).txt"),
    ],
)
def test_what_a_pattern_leaves_is_known_by_its_name(
    workload: MakeWorkload, collect: Collect, output: str, came: str, not_came: str | None
) -> None:
    loaded = workload(
        f"{{name: a, pool: cpu, variables: {{dir: a/b}}, command: c, outputs: [{output}]}}"
    )
    assert told(collect(loaded, [*logs(A), f"outputs/{A}/{came}"])) == []
    if not_came is not None:
        assert told(collect(loaded, [*logs(A), f"outputs/{A}/{not_came}"])) != []


@pytest.mark.parametrize("pattern", ["a/b/x", "*.csv", "a/*/x", "a/**", "a?/x"])
@pytest.mark.parametrize("to", [None, "res"])
def test_names_are_those_that_the_service_is_told_to_write(
    workload: MakeWorkload, stack: Stack, pattern: str, to: str | None
) -> None:
    """The submitted path, and the pattern's own parts from its first wildcard on."""
    member = f"{{pattern: '{pattern}'{f', to: {to}' if to else ''}}}"
    loaded = workload(f"{{name: a, pool: cpu, command: c, outputs: [{member}]}}")
    files = OutputFiles(check(loaded, stack), loaded.spec)
    sent = files._members("J/T", {})[-1]
    path = sent["destination"]["container"]["path"].removeprefix("J/T").strip("/")
    assert left_as(Output(pattern=pattern, to=to)).startswith(path)


def test_what_is_expected_depends_on_the_outcome(workload: MakeWorkload, collect: Collect) -> None:
    loaded = workload(
        """
        name: a
        pool: cpu
        command: c
        tasks: 2
        outputs: [{pattern: ok, when: succeeded}, {pattern: core, when: failed}, any]
        """
    )
    tree = collect(loaded, logs(A, B))
    assert told(tree) == ["any matched nothing in 2 of 2 tasks [outputs]"]
    assert told(tree, [A]) == [
        "ok matched nothing in 1 of 1 task [outputs]",
        "any matched nothing in 1 of 1 task [outputs]",
    ]


STAGES = """
    name: a
    pool: cpu
    outputs: [x]
    stages:
      one: {command: c, tasks: 2}
      two: {command: c, after: one, outputs: [y]}
    """


def test_each_stage_is_judged_by_its_own_tasks(workload: MakeWorkload, collect: Collect) -> None:
    tree = collect(
        workload(STAGES), [*logs("100000000", "100000001", "110000000"), "outputs/100000001/x"]
    )
    assert told(tree) == [
        "stage one: x matched nothing in 1 of 2 tasks [outputs]",
        "stage two: y matched nothing in 1 of 1 task [outputs]",
    ]


def test_outputs_that_are_others_by_now_are_not_judged(
    workload: MakeWorkload, collect: Collect
) -> None:
    tree = collect(workload(STAGES), logs("100000000", "110000000"))
    workload(STAGES.replace("[y]", "[z]"))
    assert told(tree) == ["stage one: x matched nothing in 1 of 1 task [outputs]"]
    Path(tree.read_manifest().workload).write_text("no: workload")
    assert told(tree) == []
    Path(tree.read_manifest().workload).unlink()
    assert told(tree) == []


@pytest.mark.parametrize("text", [STAGES, "{name: a, pool: cpu, command: c, outputs: ['*']}"])
def test_the_outputs_of_a_plan_are_found_again(
    workload: MakeWorkload, stack: Stack, text: str
) -> None:
    loaded = workload(text)
    parts = plan(check(loaded, stack), {}, job_id="j").parts
    found = output_parts(stages_of(loaded))
    assert found
    assert found.items() <= parts.items()


def test_a_program_is_told_the_same(
    workload: MakeWorkload, collect: Collect, stack: Stack
) -> None:
    tree = collect(workload(STAGES), logs("100000000"))
    (one,) = Job(tree=tree, session=Session(stack=stack)).unmatched()
    assert (one.code, one.message) == ("outputs", "stage one: x matched nothing in 1 of 1 task")


def test_a_tree_that_does_not_know_what_it_was_is_not_judged(
    workload: MakeWorkload, collect: Collect
) -> None:
    tree = collect(workload(STAGES), logs("100000000"))
    tree.write_manifest(replace(tree.read_manifest(), plan=""))
    (tree.root / "plan.json").unlink()
    assert told(tree) == []
