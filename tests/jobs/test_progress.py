"""The live view and the lines, as docs/watching.md shows them."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from jobs.looks import Cause, Look, PoolView, StageLook, Standstill, TaskEnd
from jobs.pace import Pace, range_text
from jobs.progress import Progress, Style, missing
from jobs.terminal import Terminal
from jobs.transfer import adding, counting

POOL = PoolView(
    nodes={"running": 16, "idle": 2, "creating": 3, "starting": 1, "unusable": 1},
    target=27, allocation="steady", reasons=(), evaluated=880.0, missing="AccountCoreQuotaReached",
)  # fmt: skip
FAILURE = TaskEnd(
    id="110000412", succeeded=False, exit_code=137, failure="", retries=0, requeues=0,
    node_id="n", created=0, started=0, ended=1,
)  # fmt: skip


def look(**members: Any) -> Look:
    base: dict[str, Any] = {
        "total": 1000, "waiting": 936, "running": 64, "succeeded": 0, "failed": 0,
        "job_state": "active", "pool": None, "first_failure": None, "reasons": (), "over": False,
        "at": 1000.0,
    }  # fmt: skip
    return Look(**{**base, **members})


def shown(
    looks: list[tuple[float, Look]], style: Style = "auto", *, width: int = 80, **more: Any
) -> str:
    """What a terminal (`auto`) or a file got."""
    time = [0.0]
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=style == "auto", color_system=None)
    with Progress(console, "mc-7f3a", "dev", style=style, now=lambda: time[0], **more) as view:
        for moment, item in looks:
            time[0] = moment
            view.show(item)
    return stream.getvalue()


def last_view(text: str) -> list[str]:
    """The last block that was drawn, before the view was taken away."""
    block = text.split("\x1b[?25h", maxsplit=1)[0].rsplit("\x1b[2K", maxsplit=1)[-1]
    return [line.rstrip() for line in block.splitlines() if line.strip()]


def test_the_view_is_the_one_of_the_documentation() -> None:
    asked: list[str] = []

    def words(task: str) -> str:
        asked.append(task)
        return "Killed"

    half = look(
        succeeded=824, failed=7, running=64, waiting=105, retried=3, pool=POOL, cost=1.84,
        first_failure=FAILURE,
        stages=(
            StageLook(name="prepare", total=20, succeeded=20, failed=0),
            StageLook(name="simulate", total=970, succeeded=804, failed=7, running=64),
            StageLook(name="mesh", total=10, succeeded=0, failed=0, running=1),
            StageLook(name="merge", total=10, succeeded=0, failed=0, running=0),
            StageLook(name="check", total=10, succeeded=0, failed=0),
        ),
    )  # fmt: skip
    text = shown(
        [(0, look(cost=0.0)), (100, half), (101, half)],
        results="results/mc-7f3a", limit=5.0, words=words,
    )  # fmt: skip
    lines = last_view(text)
    assert lines[0] == "mc-7f3a @dev  running 1:41  → results/mc-7f3a"
    assert lines[1].startswith("tasks  ██")
    assert " 831/1000 run 64 wait 105 ok 824 ✘7 ↻3  8.2/s  ETA " in lines[1]
    assert lines[2] == "done   prepare 20"
    assert lines[3].startswith("simul… ██")
    assert lines[3].endswith(" 811/970 run 64 wait 95 ok 804 ✘7")
    assert lines[4].endswith(" 0/10 run 1 wait 9 ok 0")
    assert lines[5] == "nodes  run 16 idle 2 boot 4 bad 1 → target 27 (evaluated 2m00s ago)"
    assert lines[6].startswith("cost   $1.84 → $2.")
    assert lines[6].endswith(" (limit $5.00)")
    assert lines[7] == "! 5 nodes missing: AccountCoreQuotaReached"
    assert lines[8] == '✘ simulate/412 exit 137 "Killed" → jobs logs simulate/412'
    assert len(lines) == 9, "a stage that has not begun has no line"
    assert asked == [FAILURE.id], "the words of a task are asked for once"
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("id_", ["mix-261121-191328-57e4", "x" * 64])
def test_the_portal_can_be_clicked_whatever_the_job_is_called(id_: str) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system="standard")
    with Progress(
        console, id_, "local", results=f"results/{id_}", portal="https://portal/#x"
    ) as view:
        view.show(look())
    text = stream.getvalue()
    assert re.search(r"\x1b\]8;[^;]*;https://portal/#x\x1b\\\S*portal", text)
    (title,) = (line for line in last_view(_plain(text)) if "@local" in line)
    assert title.endswith(" @local  running 0:00  portal")
    assert len(title) <= 80
    assert "results" not in title, "they go first: they have the id once more"


def _plain(text: str) -> str:
    """Without colours and links, but with what the cursor does."""
    return re.sub(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\", "", text)


@pytest.mark.parametrize(
    "said", ["", "Killed", "a long story of how it came to this " * 3, "漢字" * 40]
)
@pytest.mark.parametrize("stage", ["s", "a-stage-that-has-a-long-name", "n" * 30])
@pytest.mark.parametrize(
    "failure", [FAILURE, replace(FAILURE, exit_code=None, failure="why " * 30)]
)
def test_the_command_that_tells_of_a_failure_is_whole(
    said: str, stage: str, failure: TaskEnd
) -> None:
    item = look(
        failed=1, first_failure=replace(failure, id="100000412"),
        stages=(StageLook(name=stage, total=1000, succeeded=0, failed=1),),
    )  # fmt: skip
    (line,) = (
        line
        for line in last_view(shown([(0, item)], words=lambda _task: said))
        if line.startswith("✘")
    )
    assert line.endswith(f" → jobs logs {stage}/412")
    assert cell_len(line) <= 80
    if said == "Killed" and failure is FAILURE and len(stage) < 20:
        assert f'exit 137 "{said}" →' in line


def test_a_stage_has_its_own_rate_time_left_and_repeats() -> None:
    def at(done: int) -> Look:
        stages = (
            StageLook(name="sim", total=900, succeeded=done, failed=0, running=4, retried=3),
            StageLook(name="fit", total=9000, succeeded=done * 2, failed=0, running=4),
        )
        return look(total=9900, succeeded=done * 3, running=8, waiting=9000, stages=stages)

    lines = last_view(shown([(0, at(0)), (50, at(300)), (100, at(600))]))
    (sim,) = (line for line in lines if line.startswith("sim "))
    (fit,) = (line for line in lines if line.startswith("fit "))
    assert sim.endswith(" 600/900 run 4 wait 296 ok 600 ↻3  6/s  ETA 46-54s")
    assert "  12/s  ETA " in fit
    assert len({line.count("█") + line.count("░") for line in (sim, fit)}) == 1
    assert all(len(line) <= 80 for line in lines)


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**5), st.integers(40, 200))
def test_no_line_is_wider_than_the_terminal(
    succeeded: int, failed: int, running: int, width: int
) -> None:
    item = look(total=10**8, succeeded=succeeded, failed=failed, running=running, cost=1e5)
    text = shown([(0, look(total=10**8)), (60, item)], width=width, results="r" * 300)
    assert all(len(line) <= width for line in last_view(text))


def test_it_is_redrawn_five_times_a_second_at_most() -> None:
    text = shown([(n / 100, look(succeeded=n, waiting=936 - n)) for n in range(301)])
    assert 10 <= text.count("mc-7f3a @dev") <= 3 * 5 + 1


def test_the_end_is_drawn_whenever_it_comes() -> None:
    over = look(waiting=0, running=0, succeeded=1000, over=True, job_state="completed")
    text = shown([(0, look()), (0.01, over)])
    assert "1000/1000" in text


def test_a_job_that_is_over_misses_no_nodes() -> None:
    ended = look(succeeded=3, waiting=0, pool=POOL, over=True, job_state="completed")
    assert "missing" not in shown([(0, ended)])


def test_nodes_are_missing_only_if_the_service_says_why() -> None:
    assert missing(None) is None
    assert missing(POOL) == 5
    assert missing(replace(POOL, nodes={"running": 30})) is None
    assert missing(replace(POOL, missing="")) is None


def test_lines_come_with_changes_of_state_and_else_twice_a_minute() -> None:
    looks = [(float(n), look(succeeded=n, waiting=936 - n)) for n in range(91)]
    looks.append((91.0, look(succeeded=90, waiting=846, job_state="disabled")))
    looks.append((91.5, look(succeeded=90, waiting=846, job_state="disabled", reasons=("why",))))
    lines = shown(looks, "plain").splitlines()
    assert len(lines) == 4 + 2
    assert lines[-1].endswith("- why")


def test_programs_get_an_object_a_change() -> None:
    same = look(succeeded=3)
    text = shown([(0, same), (1, same), (2, look(succeeded=4, cost=0.5))], "json")
    first, second = (json.loads(line) for line in text.splitlines())
    assert (first["version"], first["job_id"], first["succeeded"]) == (1, "mc-7f3a", 3)
    assert (second["succeeded"], second["cost"]) == (4, 0.5)
    assert shown([(0, same)], "none") == ""


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (240, 420, "4-7m"),
        (0.2, 0.5, "1s"),
        (40, 110, "40-110s"),
        (20, 150, "20s-2m"),
        (119, 121, "2m"),
        (3600, 9000, "1-2h"),
        (86400 * 2, 86400 * 3, "2-3d"),
    ],
)
def test_a_range_of_time_is_told_in_few_characters(low: float, high: float, text: str) -> None:
    assert range_text(low, high) == text


@given(st.floats(0, 1e7), st.floats(1, 100))
def test_every_range_of_time_has_words(low: float, factor: float) -> None:
    assert 2 <= len(range_text(low, low * factor)) <= 14


def test_a_transfer_is_counted_on_a_terminal_only() -> None:
    time = [0.0]
    terminal = Terminal()
    with counting(terminal, "collected") as step:
        assert step is None
    stream = io.StringIO()
    terminal.err = Console(file=stream, force_terminal=True, width=80, color_system=None)
    with counting(terminal, "collected", now=lambda: time[0]) as step:
        assert step is not None
        for n in range(1, 101):
            time[0] = n / 4
            step(n, n << 20)
            step(n, n << 20)
    text = stream.getvalue()
    assert "collected: 100 files, 100.0 MiB  4.0 MiB/s" in text
    assert text.count("collected:") <= 101, "redrawn five times a second at most"


def test_a_long_submission_is_told_now_and_then_where_nobody_redraws(
    capsys: pytest.CaptureFixture[str],
) -> None:
    time = [0.0]
    with adding(Terminal(), 100_000, now=lambda: time[0]) as step:
        assert step is not None
        for second in range(1, 26):
            time[0] = second
            step(second * 1000)
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "submitted: 10,000 of 100,000 tasks",
        "submitted: 20,000 of 100,000 tasks",
    ]
    for quiet in (Terminal(quiet=True), Terminal(progress="none"), Terminal(progress="json")):
        with adding(quiet, 3) as step:
            assert step is None


def test_a_submission_is_redrawn_on_a_terminal() -> None:
    time = [0.0]
    terminal, stream = Terminal(), io.StringIO()
    terminal.err = Console(file=stream, force_terminal=True, width=80, color_system=None)
    with adding(terminal, 4000, now=lambda: time[0]) as step:
        assert step is not None
        for at in range(1, 41):
            time[0] = at / 10
            step(at * 100)
    assert "submitted: 3,900 of 4,000 tasks" in stream.getvalue()
    assert stream.getvalue().count("submitted:") <= 20


def test_a_pace_of_money_is_a_rate_too() -> None:
    time = [0.0]
    pace = Pace(now=lambda: time[0])
    pace.add(0.0)
    time[0] = 10.0
    pace.add(2.5)
    assert pace.per_s() == pytest.approx(0.25)


def test_the_view_links_to_the_portal_and_counts_what_is_kept() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system="standard")
    with Progress(
        console, "j", "dev", results="results/j", portal="https://portal/#x", cached=64
    ) as view:
        view.show(look())
    text = stream.getvalue()
    assert re.search(r"\x1b\]8;[^;]*;https://portal/#x\x1b\\\S*portal", text)
    assert "cached 64" in re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_line_that_was_printed_is_not_printed_again() -> None:
    half = look(succeeded=50, failed=1, running=0, waiting=949)
    text = shown([(0, half), (40, half), (80, replace(half, over=True))], "plain")
    assert len(text.splitlines()) == 1
    assert not shown([(0, half)], "plain", said=text.strip())
    assert shown([(0, replace(half, succeeded=51))], "plain", said=text.strip())


def test_a_program_is_told_why_nothing_will_run() -> None:
    for cause in Cause:
        stopped = Standstill(cause=cause, number=3)
        told = json.loads(shown([(0, look(standstill=stopped, over=True))], "json"))
        assert (told["standstill"], told["over"]) == (cause.value, True)
        numbers = {name: told[name] for name in ("blocked", "unprepared")}
        assert numbers == {name: 3 if name == cause else 0 for name in numbers}
