"""The report's page: its series by property, its text, and what a real browser makes of it."""

from __future__ import annotations

import csv
import os
import random
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, sync_playwright

from jobs.history import Sample
from jobs.looks import TaskEnd
from jobs.node_spans import busy_s
from jobs.prices import shares
from jobs.report import Report, make_report
from jobs.reportpage import Facts, charts, render, series
from jobs.rerun import Ends
from jobs.stack import Pool, Stack
from jobs.stale import Stale
from jobs.task_names import TaskNames, Values
from jobs.task_table import COLUMNS, TaskRows, write_csv

HOSTILE = '</td></script><script>window.stolen=1</script><img src=x onerror="window.stolen=2">"\''
T0 = 1_790_000_000.0


def ends_of(number: int, *, nodes: int = 6, slots: int = 4, seed: int = 7) -> list[TaskEnd]:
    """Tasks dealt to slots as a pool would, some of them failing."""
    rng = random.Random(seed)  # noqa: S311 - made-up tasks
    free = [(T0 + 45 + rng.random() * 20, n) for n in range(nodes * slots)]
    made = []
    for index in range(number):
        free.sort()
        started, lane = free[0]
        run = rng.lognormvariate(2.3, 0.5)
        code = 0 if rng.random() > 0.04 else rng.choice((137, 1, 3))
        kind = "p" if lane % (nodes * slots) >= slots * (nodes // 2) else "d"
        made.append(
            TaskEnd(
                id=f"{index:07d}-{index:012x}", succeeded=code == 0, exit_code=code,
                failure="FailureExitCode: it failed" if code else "",
                retries=int(rng.random() < 0.02), requeues=int(rng.random() < 0.01),
                node_id=f"tvmps_{lane // slots:06d}aabbccddeeff_{kind}", created=T0,
                started=started, ended=started + run, completed=started + run + 0.4,
            )
        )  # fmt: skip
        free[0] = (started + run + 0.5, lane)
    return made


class Staged(TaskNames):
    """Names of tasks of two stages that had a parameter."""

    def stage(self, task_id: str) -> str:
        return "prepare" if int(task_id[:7]) < 20 else "simulate"

    def each(self, task_ids: Iterable[str]) -> Iterator[Values]:
        for task_id in task_ids:
            yield {"strike": int(task_id[:7]) * 5}


class AtStage(TaskNames):
    """Names of tasks whose stage looks like a formula."""

    def stage(self, _task_id: str) -> str:
        return "@stage"


def page_of(
    pool: Pool,
    ends: list[TaskEnd],
    *,
    job_id: str = "montecarlo-261121-090000-7f3a",
    facts: Facts | None = None,
    reasons: dict[str, str] | None = None,
    total: int | None = None,
    stages: bool = False,
) -> tuple[str, Report]:
    said = {137: "Killed", 1: "ValueError: volatility must be positive", 3: "licence server away"}
    words = reasons or {e.id: said[e.exit_code or 1] for e in ends if not e.succeeded}

    names = Staged() if stages else TaskNames()
    report = make_report(
        job_id=job_id, pool_name="cpu", pool=pool, total=total or len(ends), ends=ends,
        last_lines=words, names=names,
    )  # fmt: skip
    made = Ends(latest=tuple(ends), earlier=())
    return render(report, made, pool, words, facts or Facts(), names), report


def facts_of(ends: list[TaskEnd]) -> Facts:
    last = max(end.ended for end in ends)
    moments = [T0 + (last - T0) * n / 60 for n in range(61)]
    history = tuple(
        Sample(time=t, nodes=min(6, int((t - T0) / 12)), target=6 if t < last - 30 else 2,
               waiting=0, running=0, ended=0, cost=None)
        for t in moments
    )  # fmt: skip
    return Facts(
        facts=(
            ("command", "./montecarlo --paths {paths} --seed {seed} --out part-{index}.json"),
            ("workload", "/home/ana/work/montecarlo/job.yaml"),
            ("set", "paths=1000000"),
            ("jobs", "montecarlo-261121-090000-7f3a"),
            ("stack", "dev (westeurope)"),
            ("input hash", "9d2c" * 16),
            ("versions", "Python 3.11.9, azure-batch 15.1.0, Batch API 2025-06-01"),
        ),
        csv="tasks.csv",
        history=history,
        limit=5.0,
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium of this machine; without one these tests are skipped, in CI they fail."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        text = f"no browser: none of {', '.join(names)} is on PATH"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    """Opens a page's text from a file; whatever it says to the console or asks for fails."""
    complaints: list[str] = []
    contexts = []

    def show(text: str, **options: Any) -> Page:
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                complaints.append(request.url) if not request.url.startswith("file:") else None
            ),
        )
        page.goto(path.as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def pool(stack: Stack) -> Pool:
    return stack.pools["cpu"]


@pytest.mark.slow
def test_a_browser_shows_the_page_and_sorts_and_filters_its_tables(
    opened: Any, pool: Pool
) -> None:
    ends = ends_of(300)
    text, report = page_of(pool, ends, facts=facts_of(ends), stages=True)
    page: Page = opened(text, viewport={"width": 1280, "height": 900})
    assert page.title().startswith(report.job_id)
    head = page.locator("#tasks thead th", has_text="Run time")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    first = page.locator("#tasks tbody tr").first.locator("td").nth(0)
    assert first.get_attribute("title") == report.slowest_task
    assert first.inner_text() == str(int(report.slowest_task[:7]))
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    order = page.locator("#tasks tbody tr td:nth-child(5)").evaluate_all(
        "cells => cells.map(cell => Number(cell.dataset.v))"
    )
    assert order == sorted(order)
    page.get_by_label("Show tasks with").fill("licence")
    wanted = sum(end.exit_code == 3 for end in ends)
    assert page.locator("#shown").inner_text() == f"{wanted} shown"
    assert page.locator("#tasks tbody tr:visible").count() == wanted
    for told in ("strike=40", ends[8].id):
        page.get_by_label("Show tasks with").fill(told)
        assert ends[8].id in {
            row.get_attribute("data-id") for row in page.locator("#tasks tbody tr:visible").all()
        }
    rows = page.locator("#nodes tbody tr")
    assert rows.count() == len(report.by_node)
    assert rows.filter(has_not_text="not known").count() == report.nodes == 6
    for told, number in (("strike=1", 0), ("strike=10", 1), ("rike=10", 0), ("strike=", 300)):
        page.get_by_label("Show tasks with").fill(told)
        assert page.locator("#tasks tbody tr:visible").count() == number, told
    assert page.locator("figure svg[role=img][aria-label]").count() == 6
    assert page.get_by_role("link", name="All tasks as CSV").get_attribute("href") == "tasks.csv"
    assert page.pdf()[:4] == b"%PDF", "it prints"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_fits_its_window_and_is_legible_in_light_and_dark(
    opened: Any, pool: Pool, scheme: str, width: int
) -> None:
    ends = ends_of(300)
    text, _ = page_of(pool, ends, facts=facts_of(ends), stages=True, total=310)
    page: Page = opened(text, viewport={"width": width, "height": 900}, color_scheme=scheme)
    if directory := os.environ.get("REPORT_SCREENSHOTS"):
        page.screenshot(path=f"{directory}/{scheme}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    table = page.locator("table.cards")
    assert table.evaluate("e => e.parentElement.scrollWidth <= e.parentElement.clientWidth")
    if width < 560:
        assert (
            table.locator("td").nth(3).evaluate("e => getComputedStyle(e, '::before').content")
            == '"Example"'
        )
    wide = page.locator(".scroll").evaluate_all(
        "all => all.filter(e => e.scrollWidth > e.clientWidth + 1)"
        ".map(e => [e.tabIndex, getComputedStyle(e).backgroundAttachment])"
    )
    assert bool(wide) == (width < 560)
    for tab, attachment in wide:  # a shade stays at the edge, what covers it goes with the table
        assert (tab, attachment) == (0, "local, local, scroll, scroll, scroll")
    faint = page.evaluate(CONTRAST)
    assert not faint, faint


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_stale_answer_is_marked_at_the_head_its_stage_and_its_task(
    opened: Any, pool: Pool, scheme: str
) -> None:
    ends = [
        replace(end, id=task, succeeded=True, exit_code=0)
        for task, end in zip(("100000000", "100000001", "110000000"), ends_of(3), strict=True)
    ]
    counts = {"sim": 2, "a<b": 1}
    stale = Stale(tasks={110000000: 100000001}, counts=counts)
    names = TaskNames(counts=counts)
    report = make_report(
        job_id="j", pool_name="cpu", pool=pool, total=3, ends=ends, names=names, stale=stale
    )
    facts = Facts(stale=stale, mend="python -m jobs rerun j --out 'a&b'")
    made = Ends(latest=tuple(ends), earlier=())
    page: Page = opened(render(report, made, pool, {}, facts, names), color_scheme=scheme)
    assert page.title() == "j: 1 of 3 stale"
    assert page.locator("header .state").inner_text() == "1 of 3 stale"
    assert page.locator("header .stale").inner_text() == (
        "stale: a<b (1 task), such as a<b/0, made from what sim/1 left before that ran again. "
        "Bring it up to date: python -m jobs rerun j --out 'a&b'"
    )
    stages = page.locator("section", has=page.get_by_role("heading", name="Stages"))
    told = {
        row.locator("th").inner_text(): (
            row.locator("td").nth(2).inner_text(), row.get_attribute("class")
        )
        for row in stages.locator("tbody tr").all()
    }  # fmt: skip
    assert told == {"sim": ("0", None), "a<b": ("1", "bad")}
    (marked,) = page.locator("#tasks tbody tr.bad").all()
    assert marked.get_attribute("data-id") == "110000000"
    assert marked.locator("td").nth(1).inner_text() == "stale"
    assert marked.locator("td").last.inner_text() == "stale: sim/1 ran again since"
    page.get_by_label("Show tasks with").fill("stale")
    assert page.locator("#tasks tbody tr:visible").count() == 1
    faint = page.evaluate(CONTRAST)
    assert not faint, faint


CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const c = rgb(getComputedStyle(node).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  const kinds = "h1, h2, p, td, th, dt, dd, text, figcaption, li, a";
  for (const node of document.querySelectorAll(kinds)) {
    if (!node.textContent.trim()) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(rgb(node.tagName === "text" ? style.fill : style.color)),
                    light(behind(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(`${node.tagName} ${node.textContent}`);
  }
  return bad;
}"""


@pytest.mark.slow
def test_what_tasks_and_people_wrote_is_inert(opened: Any, pool: Pool) -> None:
    ends = [
        TaskEnd(
            id=f"{n:07d}-{HOSTILE}", succeeded=n > 3, exit_code=None if n < 2 else 1,
            failure=HOSTILE, retries=0, requeues=0, node_id=HOSTILE, created=T0, started=T0 + n,
            ended=T0 + n + 5,
        )
        for n in range(8)
    ]  # fmt: skip
    facts = Facts(facts=(("command", HOSTILE), (HOSTILE, HOSTILE)), csv=f"{HOSTILE}.csv")
    reasons = {end.id: HOSTILE for end in ends[:3]}
    text, _ = page_of(pool, ends, job_id=HOSTILE, facts=facts, reasons=reasons)
    page: Page = opened(text)
    page.locator("#tasks thead button").first.click()
    assert page.evaluate("window.stolen") is None
    assert page.locator("img, main script").count() == 0
    assert page.locator(".words").first.inner_text() == HOSTILE


@pytest.mark.slow
def test_markup_that_slipped_through_would_still_not_run(browser: Browser, pool: Pool) -> None:
    text, _ = page_of(pool, ends_of(5))
    broken = text.replace("<main>", f"<main>{HOSTILE}", 1)
    page = browser.new_page()
    page.set_content(broken)
    page.wait_for_selector("#tasks")
    assert page.evaluate("window.stolen") is None, "the policy holds"
    page.close()


def test_the_size_of_the_page_does_not_follow_the_number_of_tasks(pool: Pool) -> None:
    ends = ends_of(20_000, nodes=40)
    text, _ = page_of(pool, ends)
    assert len(text) < 1.5e6
    assert text.count("<tr") < 2200
    fast = min((end for end in ends if end.succeeded), key=lambda end: end.run_s)
    assert f'data-id="{fast.id}"' not in text
    more = [replace(end, retries=9) if end is fast else end for end in ends]
    text, _ = page_of(pool, more)
    assert f'data-id="{fast.id}"' in text, "it ran again more often than any other"


def test_a_job_of_which_nothing_ended_or_one_task_did_has_a_page(pool: Pool) -> None:
    text, _ = page_of(pool, [], total=3)
    assert "3 of 3 not finished" in text
    text, _ = page_of(pool, ends_of(1))
    assert "<title>" in text
    never = TaskEnd(
        id="0000000-a", succeeded=False, exit_code=None, failure="TaskEnded", retries=0,
        requeues=0, node_id="", created=T0, started=None, ended=T0,
    )  # fmt: skip
    text, _ = page_of(pool, [never], reasons={})
    assert "TaskEnded" in text


tasks = st.lists(
    st.builds(
        lambda created, wait, run, node, ok, index, again, instances: TaskEnd(
            id=f"{index:07d}-a", succeeded=ok, exit_code=0 if ok else 1, failure="", retries=again,
            requeues=0, node_id=node, created=T0 + created, instances=instances,
            started=None if wait is None else T0 + created + wait,
            ended=T0 + created + (wait or 0) + run,
        ),
        st.integers(0, 50), st.one_of(st.none(), st.integers(0, 50)), st.integers(0, 50),
        st.sampled_from(["a_d", "b_p"]), st.booleans(), st.integers(0, 20), st.integers(0, 2),
        st.integers(1, 2),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


@given(tasks, st.integers(0, 5))
def test_at_every_moment_each_task_is_in_one_state(ends: list[TaskEnd], unfinished: int) -> None:
    made = series.states(ends, unfinished)
    for n, moment in enumerate(made.times):
        there = {end.id for end in ends if end.created - series.start_of(ends) <= moment}
        states = (made.waiting[n], made.running[n], made.succeeded[n], made.failed[n])
        assert sum(states) == len(there) + unfinished
        assert min(states) >= 0
    last = {end.id: end for end in sorted(ends, key=lambda end: (end.created, end.ended))}
    assert made.succeeded[-1] == sum(end.succeeded for end in last.values())
    assert made.failed[-1] == sum(not end.succeeded for end in last.values())


def test_a_task_that_was_run_again_by_hand_ends_as_its_last_attempt_did(pool: Pool) -> None:
    ends = ends_of(30)
    failed = [replace(end, succeeded=False, exit_code=1) for end in ends[:4]]
    later = max(end.ended for end in ends) + 60
    again = [
        replace(end, created=later, started=later + 1, ended=later + 9, completed=None)
        for end in ends[:4]
    ]
    ended = [*again, *(replace(end, succeeded=True, exit_code=0) for end in ends[4:])]
    ended[:4] = [replace(end, succeeded=True, exit_code=0) for end in again]
    report = make_report(
        job_id="j", pool_name="cpu", pool=pool, total=30, ends=ended, earlier=failed
    )
    made = Ends(latest=tuple(ended), earlier=tuple(failed))
    text = render(report, made, pool, {}, Facts())
    assert "all 30 succeeded" in text
    assert "at the end 30 had succeeded, 0 failed and 0 waited" in text


def test_attempts_before_the_last_and_all_nodes_of_a_task_are_in_the_timeline(pool: Pool) -> None:
    again = replace(ends_of(1)[0], started=T0 + 12, ended=T0 + 16, retries=3, requeues=0)
    several = replace(
        again, id="0000001-b", created=T0 + 16, started=T0 + 16, ended=T0 + 20, retries=0,
        instances=3,
    )  # fmt: skip
    ends = [again, several]
    made = series.timeline(ends, 1)
    assert [lane.node[len(again.node_id) :] for lane in made.lanes] == ["", " +1", " +2"]
    kinds = [(s.kind, round(s.start), round(s.stop)) for s in made.lanes[0].segments]
    assert kinds[0] == ("again", 0, 12), "it did not wait"
    assert max(series.busy_nodes(ends, 1).values) == 3
    assert series.busy_nodes(ends, 1).values[30] == 1
    one_slot = pool.model_copy(update={"task_slots_per_node": 1})
    text, report = page_of(one_slot, ends)
    assert report.estimated_node_s == 12
    assert "12s estimated: attempts before the last" in text
    assert "earlier attempts (estimated) 0.0s to 12s" in text
    rows = list(
        TaskRows(
            ends=Ends(latest=tuple(ends), earlier=()), reasons={},
            rates=shares(ends, one_slot, report.used),
        )
    )  # fmt: skip
    cells = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    assert [(c["nodes"], c["earlier_s"], c["earlier_is"]) for c in cells] == [
        ("1", "12.000", "estimated"), ("3", "0.000", ""),
    ]  # fmt: skip
    assert report.cost is not None
    assert sum(float(c["cost"]) for c in cells) == pytest.approx(report.cost, abs=1e-8)


def test_nodes_are_not_drawn_where_nobody_watched(pool: Pool) -> None:
    ends = ends_of(20)
    seen = [*range(11), *range(50, 54)]
    history = tuple(
        Sample(time=T0 + t, nodes=2 if t < 50 else 5, target=2 if t < 50 else 5, waiting=0,
               running=0, ended=0, cost=None)
        for t in seen
    )  # fmt: skip
    text, _ = page_of(pool, ends, facts=Facts(history=history, gap_s=20.0))
    found = re.search(r'<path class="line ready" d="([^"]*)"', text)
    assert found is not None
    pieces = found[1].removeprefix("M").split("M")
    assert len(pieces) == 2
    for piece in pieces:
        points = [tuple(map(float, point.split(","))) for point in piece.split("L")]
        assert len({y for _, y in points}) == 1, "a flat line"
    assert "as far as somebody watched" in text


@given(st.lists(st.integers(0, 100), min_size=2, max_size=20, unique=True), st.integers(1, 50))
def test_pieces_hold_every_moment_once_and_no_gap(moments: list[int], gap_s: int) -> None:
    moments.sort()
    pieces = series.watched_pieces(moments, gap_s)
    assert [n for piece in pieces for n in piece] == list(range(len(moments)))
    for piece in pieces:
        assert all(moments[b] - moments[a] <= gap_s for a, b in pairwise(piece))
    for before, after in pairwise(pieces):
        assert moments[after[0]] - moments[before[-1]] > gap_s


def test_a_line_of_counts_holds_each_value_until_the_next() -> None:
    curve = series.Curve(times=(0.0, 1.0, 2.0, 4.0), values=(1.0, 1.0, 3.0, 2.0))
    line = charts.Line(kind="ready", name="ready", curves=(curve,))
    chart = charts.lines_chart("Nodes", [line], str, "said", counts=True)
    found = re.search(r'class="line ready" d="M([^"]*)"', chart)
    assert found is not None
    points = [tuple(map(float, point.split(","))) for point in found[1].split("L")]
    assert [x for x, _ in points] == [0, 500, 500, 1000, 1000, 1000]
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(points)), "no diagonal"


@given(tasks)
def test_the_curve_of_the_cost_ends_at_the_cost(ends: list[TaskEnd]) -> None:
    pool = Pool(
        id="p", vm_size="v", vcpus=4, os="linux", task_slots_per_node=4, min_nodes=0, max_nodes=4,
        max_dedicated_nodes=2, max_spot_nodes=2, inter_node_communication=False, identity_id=None,
        dedicated_price_per_hour=3600.0, spot_price_per_hour=1800.0, price_currency="USD",
        prices_as_of="2026-11-01",
    )  # fmt: skip
    curve = series.cost(ends, pool)
    assert curve is not None
    whole = (
        busy_s((e for e in ends if not e.on_spot), 4)
        + busy_s((e for e in ends if e.on_spot), 4) / 2
    )
    assert curve.values[-1] == pytest.approx(whole, abs=1e-3)
    assert all(b >= a - 1e-6 for a, b in pairwise(curve.values))
    rates = shares([end for end in ends if end.started is not None], pool)
    assert sum(rates.of(end) or 0 for end in ends) == pytest.approx(
        sum(c for c in [whole] if any(end.run_s for end in ends)), abs=1e-3
    )


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
@example([1.0, 51.0, 2.2250738585e-313])
def test_a_histogram_has_every_value_once(values: list[float]) -> None:
    made = series.histogram(values)
    assert made is not None
    assert sum(made.counts) == len(values)
    assert list(made.edges) == sorted(made.edges)
    assert made.edges[0] <= min(values)
    assert made.edges[-1] >= max(values)


def test_the_axis_of_short_times_tells_its_ticks_apart() -> None:
    made = series.histogram([0.3 + n / 1000 for n in range(100)])
    assert made is not None
    chart = charts.histogram_chart("Run time", made, "succeeded", "run time")
    axis = re.findall(r'<text class="(?:first|middle|last)"[^>]*>([^<]*)<', chart)
    assert axis == ["0.30s", "0.32s", "0.35s", "0.37s", "0.40s"]
    titles = re.findall(r"<title>(\S+) to (\S+): ", chart)
    assert titles
    assert all(low != high for low, high in titles)


@given(tasks)
def test_no_two_tasks_of_a_lane_overlap(ends: list[TaskEnd]) -> None:
    made = series.timeline(ends, 4)
    for lane in made.lanes:
        spans = [s for s in lane.segments if s.kind in {"succeeded", "failed"}]
        assert all(a.stop <= b.start + 1e-6 for a, b in pairwise(spans))
    drawn = sum(s.tasks for lane in made.lanes for s in lane.segments
                if s.kind in {"succeeded", "failed"})  # fmt: skip
    assert drawn == sum(end.instances for end in ends if end.run_s > 0)


def test_a_spreadsheet_takes_no_cell_for_a_formula(pool: Pool, tmp_path: Path) -> None:
    ends = ends_of(40)
    reasons = {ends[0].id: '=HYPERLINK("http://x","y")', ends[1].id: "plain, with\ncomma"}
    rows = TaskRows(
        ends=Ends(latest=tuple(ends), earlier=(ends[0],)), reasons=reasons,
        rates=shares(ends, pool), names=AtStage(),
    )  # fmt: skip
    assert {row[COLUMNS.index("stale")] for row in rows} == {""}
    path = tmp_path / "deep" / "tasks.csv"
    write_csv(path, rows)
    with path.open(newline="", encoding="utf-8") as stream:
        read = list(csv.DictReader(stream))
    assert tuple(read[0]) == COLUMNS
    assert [tuple(row.values()) for row in read] == list(rows)
    assert len(read) == 41
    assert read[0]["reason"].startswith("'=")
    assert read[0]["stage"] == "'@stage"
    assert read[1]["reason"] == "plain, with\ncomma"
    assert read[-1]["attempt"] == "earlier"
    total = sum(float(row["cost"]) for row in read[:-1])
    both = [busy_s((e for e in ends if e.on_spot == spot), 4) for spot in (False, True)]
    assert total == pytest.approx(both[0] / 3600 * 0.192 + both[1] / 3600 * 0.04, rel=1e-3)
    assert [path.name for path in path.parent.iterdir()] == ["tasks.csv"]
