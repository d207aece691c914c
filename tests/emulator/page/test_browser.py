"""The page in a real browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from emulator.clock import SystemClock
from emulator.server import Server
from tests.emulator.page.world import World, world_of
from tests.emulator.simulation import ACCOUNT, KEY, QUICK, SimulatedRunner, serving, until

pytestmark = pytest.mark.slow

PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)

SIDEWAYS = """[...document.querySelectorAll("html, .scroll, td, th")]
    .filter((one) => one.closest("details:not([open])") === null)
    .filter((one) => one.scrollWidth > one.clientWidth
        || one.getBoundingClientRect().right > document.documentElement.clientWidth)
    .filter((one) => one.closest("thead") === null)
    .map((one) => `${one.localName} ${one.textContent.slice(0, 40)}`)"""
"""What one has to scroll sideways to see whole."""


@pytest.fixture
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A quick service; as many times quicker still as the test asks for."""
    clock = SystemClock(getattr(request, "param", 1))
    runner = SimulatedRunner(tmp_path / "nodes", clock)
    server = Server(data=None, clock=clock, runner=runner, settings=QUICK)
    server.add_account(ACCOUNT, KEY)
    async with serving(server), world_of(server) as found:
        yield found


@pytest.fixture
async def page(world: World, chromium: str) -> AsyncIterator[Page]:
    """The page, opened; a test that makes it complain in the console fails."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        # Its sandbox needs what containers seldom grant; only our own page is opened.
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = await browser.new_page(viewport={"width": 1200, "height": 900})
        opened.set_default_timeout(PATIENCE_MS)
        opened.on("console", lambda message: complaints.append(message.text))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        await opened.goto(f"{world.server.base_url}/_emulator/")
        yield opened
        await browser.close()
    # What a test cuts off or makes miss is no complaint of the page's.
    assert [text for text in complaints if "Failed to load resource" not in text] == []


async def test_what_happens_shows_without_a_reload(world: World, page: Page) -> None:
    await expect(page.locator("#pools")).to_contain_text("None yet.")
    await world.pool("p", 3)
    await world.job("j")
    await world.tasks("j", {"good": "print hi", "bad": "exit 3"})
    nodes = page.locator("[data-pool=p] .map button")
    await expect(nodes).to_have_count(3)
    await expect(page.locator("[data-pool=p] .legend")).to_have_text("3 idle")
    await expect(page.locator("[data-job=j]")).to_contain_text("1 succeeded, 1 failed")

    await world.pool("q", 0, spot=2)
    await expect(page.locator("[data-pool=q] .map button.spot")).to_have_count(2)


async def test_one_goes_from_a_job_to_what_its_task_writes_while_it_runs(
    world: World, page: Page
) -> None:
    await world.pool("p", 1)
    await world.job("j")
    await world.tasks("j", {"t": "wait", "later": "print never"})
    await page.get_by_role("link", name="j", exact=True).click()
    await page.get_by_role("link", name="t", exact=True).click()
    await expect(page.get_by_role("heading", name="Task t")).to_be_focused()
    await expect(page.locator("#detail")).to_contain_text("running")

    host = world.server.host(ACCOUNT)
    stdout = host.task_directory(host.world.jobs["j"].tasks["t"]) / "stdout.txt"
    shown = page.locator("[data-output='stdout.txt']")
    await expect(shown).to_have_text("(empty so far)")
    with stdout.open("a", encoding="utf-8") as stream:
        for line in ("first ü", "second"):
            stream.write(f"{line}\n")
            stream.flush()
            await expect(shown).to_contain_text(line)
    assert await shown.inner_text() == "first ü\nsecond\n"

    await page.go_back()
    await expect(page.get_by_role("heading", name="Job j")).to_be_visible()


async def test_of_many_tasks_the_newest_show_and_how_many_there_are(
    world: World, page: Page
) -> None:
    await world.job("j")
    await world.tasks("j", {f"t{number:03d}": "print hi" for number in range(100)})
    await page.get_by_role("link", name="j", exact=True).click()
    await expect(page.locator("#detail tbody tr")).to_have_count(100)
    await expect(page.locator("#detail")).not_to_contain_text("that changed last")
    await world.tasks("j", {"one-more": "print hi"})
    await expect(page.locator("#detail")).to_contain_text("The 100 that changed last, of 101.")
    await expect(page.locator("#detail tbody tr")).to_have_count(100)


async def test_what_a_task_writes_stays_text(world: World, page: Page) -> None:
    hostile = "<img src=x onerror=\"document.title='owned'\"><script>1</script>"
    await world.pool("p", 1)
    await world.job("j")
    await world.tasks("j", {"t": f"print {hostile}"})
    await world.settled("j", 1)
    await page.goto(f"{world.server.base_url}/_emulator/#{ACCOUNT}/task/j/t")
    await expect(page.locator("[data-output='stdout.txt']")).to_have_text(hostile)
    await expect(page.locator("#detail dd code")).to_have_text(f"print {hostile}")
    assert await page.title() == "Batch emulator"
    assert await page.locator("#detail img, #detail script").count() == 0


async def test_a_spot_node_is_preempted_from_the_page_and_comes_back(
    world: World, page: Page
) -> None:
    await world.pool("p", 0, spot=1)
    await expect(page.locator("[data-pool=p] .legend")).to_have_text("1 idle")
    (node,) = world.server.host(ACCOUNT).world.pools["p"].nodes.values()
    before = node.boots
    await page.locator(".map button").click()
    await page.get_by_role("button", name="Preempt it").click()
    await until(lambda: node.boots > before and node.state == "idle")
    await expect(page.locator("[data-pool=p] .legend")).to_have_text("1 idle")


async def test_decisions_and_formula_of_autoscale_show(world: World, page: Page) -> None:
    await world.pool("p", formula="$TargetDedicatedNodes = 2;")
    await page.get_by_text("Autoscale: 2 + 0 spot").click()
    table = page.locator("[data-pool=p] details")
    await expect(table).to_contain_text("0 + 0 spot → 2 + 0 spot")
    await expect(table).to_contain_text("$TargetDedicatedNodes = 2;")


@pytest.mark.parametrize("world", [600], indirect=True)
async def test_a_pool_that_never_had_a_node_is_said_to_have_had_none(
    world: World, page: Page
) -> None:
    await world.pool("p", formula="$TargetDedicatedNodes = 0;")
    await expect(page.locator("[data-pool=p] p.counts")).to_contain_text("nodes, at most 0 ·")
    await expect(page.locator("[data-pool=p] svg")).to_have_attribute(
        "aria-label", re.compile("at most 0 nodes and 0 tasks")
    )
    drawn = await page.locator("[data-pool=p] svg path.nodes").get_attribute("d")
    assert drawn is not None
    assert "NaN" not in drawn


async def test_nodes_are_reached_by_keyboard_and_stay_in_focus(world: World, page: Page) -> None:
    await world.pool("p", 3)
    nodes = page.locator(".map button")
    await expect(nodes).to_have_count(3)
    await nodes.first.focus()
    await page.keyboard.press("ArrowRight")
    await expect(nodes.nth(1)).to_be_focused()
    await world.job("j")
    await expect(page.locator("[data-job=j]")).to_be_visible()
    await expect(nodes.nth(1)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#detail-title")).to_contain_text("Node ")


async def test_it_says_so_when_the_emulator_is_gone(world: World, page: Page) -> None:
    await world.pool("p", 1)
    await expect(page.locator("[data-pool=p]")).to_be_visible()
    await page.route("**/overview", lambda route: route.abort())
    await expect(page.locator("#status")).to_have_text(
        "The emulator does not answer; this is what it said last."
    )
    await expect(page.locator("[data-pool=p]")).to_be_visible()
    await page.unroute("**/overview")
    await expect(page.locator("#status")).to_contain_text("as of")


async def test_a_link_that_leads_nowhere_harms_nothing(world: World, page: Page) -> None:
    base = f"{world.server.base_url}/_emulator/"
    for fragment in ("#%E0%A4%A", "#local/task/none/t", "#local/node/p", "#//"):
        await page.goto(base + fragment)
        await expect(page.locator("#status")).to_contain_text("as of")
    await page.goto(f"{base}#")
    await world.pool("p", 1)
    await expect(page.locator("[data-pool=p]")).to_be_visible()


@pytest.mark.parametrize("width", [360, 800])
async def test_nothing_needs_scrolling_sideways(world: World, page: Page, width: int) -> None:
    await world.pool("a-pool-with-a-name-that-is-rather-long-for-a-telephone-screen", 40)
    await world.job("a-job-with-a-name-that-is-rather-long-for-a-telephone-screen")
    await page.set_viewport_size({"width": width, "height": 800})
    await expect(page.locator(".map button")).to_have_count(40)
    overflow = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overflow <= 0


@pytest.mark.parametrize("width", [360, 400, 500])
async def test_on_a_narrow_screen_each_cell_is_whole_beside_the_name_of_its_column(
    world: World, page: Page, width: int
) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await world.pool("p", 1)
    await world.pool("scaled", formula="$TargetDedicatedNodes = 0;")
    await world.job("montecarlo-20261121t190205")
    await world.tasks("montecarlo-20261121t190205", {"estimate-000123": "exit 3"})
    await world.settled("montecarlo-20261121t190205", 1)
    await page.get_by_text("Autoscale: 0 + 0 spot").click()
    await page.get_by_role("link", name="montecarlo-20261121t190205").click()
    await expect(page.locator("#detail tbody tr")).to_have_count(1)
    await expect(page.locator("#detail tbody td")).to_have_count(5)
    assert await page.evaluate(SIDEWAYS) == []
    task = page.get_by_role("link", name="estimate-000123", exact=True)
    assert await task.evaluate("link => link.getClientRects().length") == 1
    columns = page.locator("#detail tbody td")
    assert [await one.get_attribute("data-column") for one in await columns.all()] == [
        "Task",
        "State",
        "Exit code",
        "Node",
        "Since",
    ]
    for one in await columns.all():
        shown = await one.evaluate("cell => getComputedStyle(cell, '::before').content")
        assert shown == f'"{await one.get_attribute("data-column")}"'


async def test_a_node_is_told_by_the_beginning_of_its_id_and_shows_the_whole(
    world: World, page: Page
) -> None:
    await world.pool("p", 1)
    await world.job("j")
    await world.tasks("j", {"t": "print hi"})
    await world.settled("j", 1)
    (node,) = world.server.host(ACCOUNT).world.pools["p"].nodes
    short = node.removeprefix("tvmps_")[:8]
    await page.get_by_role("link", name="j", exact=True).click()
    await page.get_by_role("link", name=short, exact=True).click()
    await expect(page.get_by_role("heading", name=f"Node {short}")).to_be_focused()
    await expect(page.locator("#detail dd").first).to_have_text(node)


async def test_beside_each_other_columns_break_no_words(world: World, page: Page) -> None:
    await page.set_viewport_size({"width": 700, "height": 800})
    await world.pool("p", 1)
    await world.job("j")
    await world.tasks("j", {"estimate_of_pi_000123": "print hi"})
    await world.settled("j", 1)
    await page.get_by_role("link", name="j", exact=True).click()
    link = page.get_by_role("link", name="estimate_of_pi_000123")
    await expect(link).to_be_visible()
    assert await link.evaluate("link => link.getClientRects().length") == 1
    assert await page.evaluate(SIDEWAYS) == []
