from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from jobs.looks import TaskEnd
from jobs.node_spans import busy_s, nodes_at_least
from jobs.prices import (
    estimated_s,
    money,
    money_about,
    money_at_least,
    node_time,
    shares,
)
from jobs.report import FailureGroup, Report, grouped, last_lines, make_report
from jobs.report_text import cost_text, failure_lines, report_table, stage_table
from jobs.results import ResultTree
from jobs.stack import Pool, Stack
from jobs.task_names import TaskNames
from jobs.terminal import Terminal
from jobs.usage import MOST_NODES, Spread, StageUse, by_node, spread


def end(
    task: str = "t",
    started: float | None = 10,
    ended: float = 20,
    node: str = "n_d",
    code: int = 0,
) -> TaskEnd:
    return TaskEnd(
        id=task, succeeded=code == 0, exit_code=code,
        failure="FailureExitCode: bad" if code else "", retries=0, requeues=0, node_id=node,
        created=0, started=started, ended=ended,
    )  # fmt: skip


PLAIN = Report(
    job_id="j", pool="cpu", vm_size="Standard_D4s_v5", tasks=3, succeeded=3, failed=0,
    unfinished=0, retries=0, reruns=0, requeues=0, elapsed_s=1, waited_s=1, task_s=1, slowest_s=1,
    slowest_task="t", nodes=1, dedicated_node_s=1, spot_node_s=0, cost=0.1, currency="USD",
    prices_as_of="2026-11-01", failures=(),
)  # fmt: skip


STAGE = StageUse(
    name="sim", ended=1, failed=0, retries=0, waited=Spread(), ran=Spread(), task_s=1, cost=0.1
)


def shown(report: Report) -> str:
    stream = io.StringIO()
    Console(file=stream, width=80).print(report_table(report))
    return stream.getvalue()


spans = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 20), st.sampled_from(["a_d", "b_d"])), max_size=30
)


class ByLetter(TaskNames):
    """Names of tasks whose stage is how their ids begin."""

    def stage(self, task_id: str) -> str:
        return task_id[0]


@given(spans)
def test_node_seconds_are_the_union_of_the_tasks_times(items: list[tuple[int, int, str]]) -> None:
    ends = [end(started=start, ended=start + length, node=node) for start, length, node in items]
    covered = {(node, s) for start, length, node in items for s in range(start, start + length)}
    assert busy_s(ends, 99) == len(covered)


@given(
    st.integers(0, 3), st.integers(0, 3), st.integers(0, 100), st.integers(0, 50),
    st.integers(1, 4),
)  # fmt: skip
def test_earlier_attempts_lie_between_submission_and_the_last_one(
    retries: int, requeues: int, waited: int, ran: int, instances: int
) -> None:
    again = replace(
        end(started=waited, ended=waited + ran),
        retries=retries, requeues=requeues, instances=instances,
    )  # fmt: skip
    earlier = min((retries + requeues) * ran, waited)
    assert again.earlier_s == earlier
    assert again.wait_s + again.earlier_s == waited
    assert again.estimated == (earlier > 0)
    assert node_time([again], 1).total_s == (earlier + ran) * instances
    assert estimated_s([again], 1) == earlier * instances
    assert nodes_at_least([again], 1) == (instances if earlier + ran else 1)
    counted = replace(again, attempts_s=float(ran))
    left = earlier if requeues else 0
    assert estimated_s([counted], 1) == left * instances
    assert node_time([counted], 1).total_s == (left + ran) * instances
    more = replace(again, attempts_s=ran + 2.5)
    known = min(2.5, waited) if retries or requeues else 0
    assert (more.earlier_s, more.estimated) == (known, False)


def test_a_count_that_leaves_out_what_ended_with_its_node_is_not_taken_for_the_whole() -> None:
    """Of attempts before the last, the service says of retries that it counts them."""
    lost = replace(end(started=30.0, ended=36.5), requeues=2, attempts_s=6.5000004)
    assert (lost.earlier_s, lost.estimated, lost.wait_s) == (13, True, 17)
    retried = replace(lost, requeues=0, retries=2)
    assert retried.earlier_s == pytest.approx(0, abs=1e-3)
    assert not retried.estimated
    counted = replace(lost, attempts_s=9.5)
    assert (counted.earlier_s, counted.estimated) == (3, False)


def test_what_failed_is_told_where_it_was_not_the_program() -> None:
    uploaded = "FileUploadMiscError: no role"
    alike = [
        replace(end(f"u{n}"), succeeded=False, failure=uploaded) for n in range(8)
    ]  # fmt: skip
    ended = replace(end("w", code=143), failure="TaskEnded: Task Was Ended by User Request")
    never = replace(end("n"), succeeded=False, exit_code=None, failure="CommandProgramNotFound")
    unknown = replace(end("z"), succeeded=False, exit_code=None)
    program = end("p", code=2)
    lines = failure_lines(grouped([*alike, ended, never, unknown, program], {}))
    assert lines == [
        "8 tasks: FileUploadMiscError: no role - such as u0",
        "1 task: CommandProgramNotFound - such as n",
        "1 task: exit code 2 - such as p",
        "1 task: TaskEnded: Task Was Ended by User Request (exit code 143) - such as w",
        "1 task: no reason given - such as z",
    ]


def test_the_slots_of_a_node_share_the_time_of_its_earlier_attempts() -> None:
    four = [replace(end(f"t{n}", started=30, ended=40), retries=2) for n in range(4)]
    assert node_time(four, 4).total_s == 30
    assert estimated_s(four, 4) == 20


def test_a_report_counts_the_nodes_and_attempts_that_the_service_does_not_list(
    stack: Stack,
) -> None:
    pool = stack.pools["cpu"].model_copy(
        update={"dedicated_price_per_hour": 3600.0, "task_slots_per_node": 1}
    )
    mpi = replace(end("a", 0, 12), instances=2)
    plain = make_report(job_id="j", pool_name="c", pool=pool, total=1, ends=[mpi])
    assert (plain.nodes, plain.dedicated_node_s) == (2, 24)
    assert plain.cost == pytest.approx(24)
    assert (plain.estimated_node_s, plain.slot_efficiency) == (0, 1)
    assert plain.slowest[0].cost == pytest.approx(24)
    again = replace(end("b", 12, 16, "m_d", 1), retries=3)
    ends = [mpi, again]
    report = make_report(job_id="j", pool_name="c", pool=pool, total=2, ends=ends)
    assert (report.dedicated_node_s, report.estimated_node_s) == (24 + 16, 12)
    assert report.waited.longest == 0
    assert "40.0 node seconds, 12.0 of them estimated" in shown(report)
    assert cost_text(report).startswith("about $40.00 on Azure")
    watched = make_report(job_id="j", pool_name="c", pool=pool, total=2, ends=ends, watched=60.0)
    assert watched.cost == pytest.approx(60)
    assert watched.estimated_node_s == pytest.approx(32)
    assert sum(stage.cost or 0 for stage in watched.stages) == pytest.approx(60)
    rates = shares(ends, pool, watched.used)
    assert sum(rates.of(each) or 0 for each in ends) == pytest.approx(60)
    known = make_report(job_id="j", pool_name="c", pool=pool, total=1, ends=[mpi], watched=60.0)
    assert known.cost == pytest.approx(24), "where nothing ran again the tasks tell all"


def test_cost_is_by_kind_of_node_and_unknown_without_a_price(stack: Stack) -> None:
    pool = stack.pools["cpu"]
    ends = [end(ended=10 + 3600), end(ended=10 + 3600, node="s_p"), end("w", started=None)]
    report = make_report(job_id="j", pool_name="cpu", pool=pool, total=4, ends=ends)
    assert report.cost == pytest.approx(0.192 + 0.04)
    assert (report.dedicated_node_s, report.spot_node_s, report.nodes) == (3600, 3600, 2)
    assert (report.tasks, report.succeeded, report.unfinished) == (4, 3, 1)
    blind = pool.model_copy(update={"dedicated_price_per_hour": None})
    assert make_report(job_id="j", pool_name="c", pool=blind, total=1, ends=ends).cost is None


def test_a_spot_node_without_a_price_costs_at_most_what_a_dedicated_one_does(
    stack: Stack,
) -> None:
    pool = stack.pools["cpu"].model_copy(update={"spot_price_per_hour": None})
    ends = [end(ended=10 + 3600), end(ended=10 + 3600, node="s_p")]
    report = make_report(job_id="j", pool_name="cpu", pool=pool, total=2, ends=ends)
    assert report.cost == pytest.approx(2 * 0.192)
    assert cost_text(report).startswith("at most $0.3840 on Azure")
    alone = make_report(job_id="j", pool_name="cpu", pool=pool, total=1, ends=ends[:1])
    assert cost_text(alone).startswith("$0.1920 on Azure")


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


def test_what_is_stale_is_told_beside_what_succeeded_and_by_stage() -> None:
    stages = (STAGE, replace(STAGE, name="sum", stale=2))
    report = replace(PLAIN, stale=2, stages=stages)
    assert "3 of 3 succeeded, 2 stale" in shown(report)
    stream = io.StringIO()
    Console(file=stream, width=80).print(stage_table(report))
    head, first, second = stream.getvalue().splitlines()
    assert head.split() == ["stage", "ended", "failed", "stale", "wait", "run", "p95", "cost"]
    assert (first.split()[:4], second.split()[:4]) == (
        ["sim", "1", "0", "0"], ["sum", "1", "0", "2"],
    )  # fmt: skip
    fresh = replace(PLAIN, stages=(STAGE,))
    stream = io.StringIO()
    Console(file=stream, width=80).print(stage_table(fresh))
    assert "stale" not in shown(fresh) + stream.getvalue()


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


@pytest.mark.parametrize(
    ("amount", "about", "at_least"),
    [
        (0.01, "about $0.0100", "more than $0.0100"),
        (1e-6, "less than $0.0001", ""),
        (0, "about $0.00", ""),
    ],
)
def test_small_amounts_that_are_not_exact_read_well(
    amount: float, about: str, at_least: str
) -> None:
    assert (money_about(amount, "USD"), money_at_least(amount, "USD")) == (about, at_least)


def test_shares_of_tasks_and_stages_add_up_to_the_cost(stack: Stack) -> None:
    pool = stack.pools["cpu"]
    ends = [
        replace(end("a1", 0, 100), slots=2), end("a2", 50, 200), end("b1", 0, 90, node="s_p"),
        end("b2", None, 5), end("b3", 150, 300, code=1),
    ]  # fmt: skip
    report = make_report(
        job_id="j", pool_name="c", pool=pool, total=9, ends=ends, names=ByLetter()
    )
    assert report.cost is not None
    assert [stage.name for stage in report.stages] == ["a", "b"]
    assert sum(stage.cost or 0 for stage in report.stages) == pytest.approx(report.cost)
    rates = shares([e for e in ends if e.started is not None], pool)
    assert sum(rates.of(e) or 0 for e in ends) == pytest.approx(report.cost)
    assert [(stage.ended, stage.failed) for stage in report.stages] == [(2, 0), (3, 1)]
    assert report.slot_efficiency == pytest.approx((200 + 150 + 90 + 150) / (4 * (300 + 90)))
    assert report.slowest[0].run_s == 150
    assert report.starting_s == 0


def test_processor_time_is_held_against_the_slots_that_were_taken(stack: Stack) -> None:
    pool = stack.pools["cpu"]
    known = replace(end("a", 0, 100), slots=2, cpu_s=150.0)
    report = make_report(job_id="j", pool_name="c", pool=pool, total=2, ends=[known, end("b")])
    assert report.cpu_efficiency == pytest.approx(0.75)
    report = make_report(job_id="j", pool_name="c", pool=pool, total=2, ends=[end("b")])
    assert report.cpu_efficiency is None


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_spread_is_of_values_that_are_there(values: list[float]) -> None:
    made = spread(values)
    assert {made.median, made.p95, made.longest} <= set(values)
    assert made.median <= made.p95 <= made.longest == max(values)
    assert sum(value <= made.median for value in values) * 2 >= len(values)
    assert sum(value <= made.p95 for value in values) >= 0.95 * len(values)


def test_a_reason_that_a_task_gave_comes_before_its_last_line(tmp_path: Path) -> None:
    tree = ResultTree(tmp_path)
    logs = tree.logs / "t"
    logs.mkdir(parents=True)
    (logs / "stderr.txt").write_text("Traceback\n")
    (logs / "reason.txt").write_text("mesh 12:\n  cell\x1b[31m 7 is inverted\n" + "x" * 5000)
    line = last_lines(tree, [end(code=1)])["t"]
    assert line.startswith("mesh 12: cell[31m 7 is inverted x")
    assert len(line) == 200
    assert line.endswith("x…"), "what was cut is marked"


def test_the_command_of_an_example_is_one_line_that_steers_no_terminal() -> None:
    group = FailureGroup(
        exit_code=3, failure="", last_line="", count=1, example="0000004-ab", name="4",
        command="sh -c 'a\n  b\x1b[31m'" + "x" * 900,
    )  # fmt: skip
    lines = failure_lines([group])
    assert lines[0] == "1 task: exit code 3 - such as 4"
    assert lines[1] == "  its command: sh -c 'a … (2 lines)"
    one = failure_lines([replace(group, command="/bin/sh -ec 'exit 3'")])[1]
    assert one == "  its command: /bin/sh -ec 'exit 3'", "it can be copied"
    long = failure_lines([replace(group, command="./solve " + "x" * 900)])[1]
    assert long.endswith("xx…")
    assert len(long) < 220


def test_a_command_that_several_kinds_of_failure_have_is_told_once() -> None:
    group = FailureGroup(
        exit_code=3, failure="", last_line="", count=1, example="0000004-ab", name="4",
        command="/bin/sh -ec '\nset -u\n./solve\n'",
    )  # fmt: skip
    lines = failure_lines([group, replace(group, exit_code=4), replace(group, command="./other")])
    assert [line for line in lines if "its command" in line] == [
        "  its command: set -u … (2 lines)",
        "  its command: ./other",
    ]


numbers = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.integers(0, 2**64).map(hex),
    st.uuids().map(str),
)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6))
def test_failures_whose_words_differ_only_in_numbers_are_of_one_kind(
    found: list[tuple[str, str]],
) -> None:
    ends = [end(f"t{n}", code=1) for n in range(len(found))] + [end("u", code=1)]
    lines = {f"t{n}": f"cell {a} is inverted (volume {b})" for n, (a, b) in enumerate(found)}
    groups = grouped(ends, lines | {"u": "cell is inverted"})
    by_example = {group.example: (group.count, group.last_line) for group in groups}
    assert by_example == {"t0": (len(found), lines["t0"]), "u": (1, "cell is inverted")}


worked = st.lists(
    st.builds(
        lambda start, length, node, code, instances, retries: replace(
            end("t", start, start + length, node, code), instances=instances, retries=retries
        ),
        st.integers(0, 50), st.integers(0, 20), st.sampled_from(["a_d", "b_d", "c_p"]),
        st.integers(0, 1), st.integers(1, 3), st.integers(0, 1),
    ),
    max_size=20,
)  # fmt: skip
PRICED = Pool(
    id="p", vm_size="v", vcpus=4, os="linux", task_slots_per_node=1, min_nodes=0, max_nodes=4,
    max_dedicated_nodes=2, max_spot_nodes=2, inter_node_communication=True, identity_id=None,
    dedicated_price_per_hour=3600.0, spot_price_per_hour=1800.0, price_currency="USD",
    prices_as_of="2026-11-01",
)  # fmt: skip


@given(worked, st.floats(0, 1e6))
def test_what_the_nodes_did_adds_up_to_the_job(ends: list[TaskEnd], watched: float) -> None:
    made = make_report(
        job_id="j", pool_name="c", pool=PRICED, total=20, ends=ends, watched=watched
    )
    assert sum(node.busy_s for node in made.by_node) == pytest.approx(made.used.total_s)
    assert sum(node.cost or 0 for node in made.by_node) == pytest.approx(made.cost)
    assert sum(node.tasks for node in made.by_node) == sum(end.instances for end in ends)
    failed = [node.failed for node in made.by_node]
    assert failed == sorted(failed, reverse=True)
    assert made.nodes <= len(made.by_node)


def test_nodes_of_a_task_that_are_known_are_counted_by_their_names() -> None:
    here = replace(end("t", 0, 10, "a_d"), instances=2, beside=("b_d",))
    there = replace(end("u", 10, 20, "b_d"), instances=2, beside=("a_d",))
    assert nodes_at_least([here, there], 1) == 2
    uses = by_node([here, there], PRICED, node_time([here, there], 1))
    assert [(use.node_id, use.tasks, use.busy_s) for use in uses] == [
        ("a_d", 2, 20.0), ("b_d", 2, 20.0),
    ]  # fmt: skip
    assert nodes_at_least([here, replace(there, beside=())], 1) == 2, "no more were busy at once"


def test_of_very_many_nodes_those_on_which_most_failed_are_told() -> None:
    ends = [end(str(n), 0, 10, f"{n}_d", int(n == 300)) for n in range(400)]
    made = make_report(job_id="j", pool_name="c", pool=PRICED, total=400, ends=ends)
    assert (made.nodes, len(made.by_node), made.by_node[0].node_id) == (400, MOST_NODES, "300_d")


def test_time_is_held_against_what_is_allowed_and_processors_are_told_raw() -> None:
    ends = [replace(end("a1", 0, 30), cpu_s=60.0), end("b1", 0, 20, "m_d")]
    made = make_report(
        job_id="j", pool_name="c", pool=PRICED, total=2, ends=ends, names=ByLetter(),
        allowed={"a": 60.0},
    )  # fmt: skip
    assert [stage.allowed_s for stage in made.stages] == [60.0, None]
    assert (made.cpu_s, made.cpu_given_s, made.cpu_efficiency) == (60.0, 120.0, 0.5)
