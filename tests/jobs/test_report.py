from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from jobs.report import Report, busy_s, failure_lines, last_lines, make_report, money, report_table
from jobs.results import ResultTree
from jobs.stack import Stack
from jobs.terminal import Terminal
from jobs.watch import TaskEnd


def end(
    task: str = "t",
    started: float | None = 10,
    ended: float = 20,
    node: str = "n_d",
    code: int = 0,
) -> TaskEnd:
    return TaskEnd(
        id=task, succeeded=code == 0, exit_code=code, failure="bad" if code else "",
        retries=0, requeues=0, node_id=node, created=0, started=started, ended=ended,
    )  # fmt: skip


PLAIN = Report(
    job_id="j", pool="cpu", vm_size="Standard_D4s_v5", tasks=3, succeeded=3, failed=0,
    unfinished=0, retries=0, reruns=0, requeues=0, elapsed_s=1, waited_s=1, task_s=1, slowest_s=1,
    slowest_task="t", nodes=1, dedicated_node_s=1, spot_node_s=0, cost=0.1, currency="USD",
    prices_as_of="2026-11-01", failures=(),
)  # fmt: skip
spans = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 20), st.sampled_from(["a_d", "b_d"])), max_size=30
)


@given(spans)
def test_node_seconds_are_the_union_of_the_tasks_times(items: list[tuple[int, int, str]]) -> None:
    ends = [end(started=start, ended=start + length, node=node) for start, length, node in items]
    covered = {(node, s) for start, length, node in items for s in range(start, start + length)}
    assert busy_s(ends) == len(covered)


def test_cost_is_by_kind_of_node_and_unknown_without_a_price(stack: Stack) -> None:
    pool = stack.pools["cpu"]
    ends = [end(ended=10 + 3600), end(ended=10 + 3600, node="s_p"), end("w", started=None)]
    report = make_report(job_id="j", pool_name="cpu", pool=pool, total=4, ends=ends)
    assert report.cost == pytest.approx(0.192 + 0.04)
    assert (report.dedicated_node_s, report.spot_node_s, report.nodes) == (3600, 3600, 2)
    assert (report.tasks, report.succeeded, report.unfinished) == (4, 3, 1)
    blind = pool.model_copy(update={"spot_price_per_hour": None})
    assert make_report(job_id="j", pool_name="c", pool=blind, total=1, ends=ends).cost is None


def test_failures_are_grouped_by_exit_code_and_last_words(stack: Stack, tmp_path: Path) -> None:
    tree = ResultTree(tmp_path)
    ends = [end(f"t{i}", code=137) for i in range(3)] + [end("u", code=1), end("v")]
    for task, text in (("t0", "x\nKilled\n\n"), ("t1", "Killed\n"), ("t2", "oh\x1b[31m no")):
        (tree.logs / task).mkdir(parents=True)
        (tree.logs / task / "stderr.txt").write_text(text)
    report = make_report(
        job_id="j", pool_name="cpu", pool=stack.pools["cpu"], total=5, ends=ends,
        last_lines=last_lines(tree, ends),
    )  # fmt: skip
    assert failure_lines(report.failures) == [
        '2 tasks: exit code 137 "Killed" - such as t0',
        '1 task: exit code 137 "oh[31m no" - such as t2',
        "1 task: exit code 1 - such as u",
    ]


def test_the_table_fits_80_columns(stack: Stack) -> None:
    report = make_report(
        job_id="j" * 60, pool_name="cpu", pool=stack.pools["cpu"], total=2,
        ends=[end(ended=100_000), end("x", code=1, node="s_p")],
    )  # fmt: skip
    stream = io.StringIO()
    Console(file=stream, width=80).print(report_table(report))
    lines = stream.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert any("1 of 2 succeeded, 1 failed" in line for line in lines)
    assert any("of them spot" in line for line in lines)


times = st.floats(0, 99 * 86400)


@given(times, times, times, times)
def test_no_line_of_the_table_wraps_for_jobs_of_up_to_99_days(
    elapsed: float, waited: float, ran: float, longest: float
) -> None:
    report = replace(PLAIN, elapsed_s=elapsed, waited_s=waited, task_s=ran, slowest_s=longest)
    stream = io.StringIO()
    Console(file=stream, width=80).print(report_table(report))
    assert len(stream.getvalue().splitlines()) == 5


def test_plain_output_has_no_trailing_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().show(report_table(PLAIN), "text  ", "")
    assert capsys.readouterr().out.splitlines()[0] == "job    j"
    Terminal().show(report_table(PLAIN))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines == [line.rstrip() for line in lines]


def test_a_job_of_which_nothing_ended_has_a_report(stack: Stack) -> None:
    report = make_report(job_id="j", pool_name="c", pool=stack.pools["cpu"], total=3, ends=[])
    assert (report.unfinished, report.cost, report.elapsed_s) == (3, 0, 0)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"),
        (0.00031, "$0.0003"),
        (1e-6, "less than $0.0001"),
        (1.836, "$1.84"),
        (12345, "$12,345.00"),
    ],
)
def test_small_amounts_keep_their_digits(amount: float, text: str) -> None:
    assert money(amount, "USD") == text
