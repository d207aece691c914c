"""The network goes while somebody watches: the job goes on, and so does watching."""

from __future__ import annotations

import io
import json
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from rich.console import Console

from jobs.checking import check
from jobs.clients import Clients
from jobs.errors import EXIT_SERVICE, NotFoundError, UnavailableError, UnfinishedError
from jobs.following import leaving
from jobs.loading import LoadedWorkload
from jobs.looks import Look
from jobs.outages import OUTAGE_S
from jobs.plan import plan
from jobs.progress import Progress, Style
from jobs.results import ResultTree
from jobs.service import BatchService, RetryPolicy
from jobs.stack import Stack, parse_stack
from jobs.standing import outage_text
from jobs.submit import submit
from jobs.watch import Watcher, looks, watch

MakeWorkload = Callable[..., LoadedWorkload]
TEXT = "name: n\npool: cpu\ncommand: a {index}\ntasks: 20\n"
STAGES = """\
    name: n
    pool: cpu
    stages:
      sim: {command: a, tasks: 20}
      merge: {after: sim, command: b}
    """


class Clock:
    """A clock that moves when somebody waits; what is due by then happens."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.due: list[tuple[float, Callable[[], object]]] = []

    def now(self) -> float:
        return self.time

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        self.due.append((self.time + seconds, act))

    def pause(self, seconds: float) -> None:
        self.time += seconds
        for item in [item for item in self.due if item[0] <= self.time]:
            self.due.remove(item)
            item[1]()


@pytest.fixture
def clock(service: BatchService) -> Clock:
    clock = Clock()
    service.now, service.pause = clock.now, clock.pause
    return clock


@pytest.fixture
def watcher(
    workload: MakeWorkload, stack: Stack, service: BatchService, batch: Any, clock: Clock
) -> Watcher:
    submit(plan(check(workload(TEXT), stack), {}, job_id="job"), service)
    batch.requests.clear()
    return Watcher(service=service, job_id="job", now=clock.now)


@pytest.fixture
def cut(service: BatchService, values: Any) -> Iterator[Callable[[], Callable[[], None]]]:
    """Cuts the connection; gives what mends it."""
    here = service.client
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Clients(parse_stack(values(batch_endpoint=url), where="test")).batch as nowhere:

            def cut() -> Callable[[], None]:
                service.client = nowhere
                return lambda: setattr(service, "client", here)

            yield cut


def finish(batch: Any) -> None:
    for task in list(batch.tasks["job"]):
        batch.complete("job", task)


def test_watching_goes_on_after_minutes_without_a_network(
    watcher: Watcher, batch: Any, clock: Clock, cut: Callable[[], Callable[[], None]]
) -> None:
    seen: list[Look] = []

    def leave() -> None:
        mend = cut()
        clock.after(300, mend)
        clock.after(200, lambda: finish(batch))

    clock.after(5, leave)
    last = watch(watcher, seen.append, pause=clock.pause)
    assert (last.succeeded, last.over, last.outage) == (20, True, None)
    (away,) = [look for look in seen if look.outage is not None]
    assert away.outage is not None
    assert "cannot be reached: Connection refused" in away.outage.why
    assert (away.total, away.ended, away.over) == (20, 0, False), "as it last stood"


def test_nobody_waits_for_ever_and_the_last_error_is_the_services(
    watcher: Watcher, clock: Clock, cut: Callable[[], Callable[[], None]]
) -> None:
    clock.after(5, cut)
    began = clock.time
    with pytest.raises(UnavailableError, match="cannot be reached"):
        watch(watcher, lambda _look: None, pause=clock.pause)
    assert OUTAGE_S < clock.time - began < OUTAGE_S + 60
    assert OUTAGE_S >= 600


def test_a_time_limit_holds_without_a_network_too(
    watcher: Watcher, clock: Clock, cut: Callable[[], Callable[[], None]]
) -> None:
    clock.after(5, cut)
    with pytest.raises(UnfinishedError, match="20 of 20 tasks to go after 100 s"):
        watch(watcher, lambda _look: None, timeout_s=100, pause=clock.pause)
    assert clock.time < 1000 + 100 + 30


def test_what_cannot_be_reached_at_first_is_told_within_seconds(
    watcher: Watcher, clock: Clock, service: BatchService, cut: Callable[[], Callable[[], None]]
) -> None:
    cut()
    service.reached = False
    with pytest.raises(UnavailableError, match="cannot be reached"):
        watch(watcher, lambda _look: None, pause=clock.pause)
    assert clock.time - 1000 < 5


@pytest.mark.parametrize(
    "said", ["certificate verify failed: CERTIFICATE_VERIFY_FAILED", "Name or service not known"]
)
def test_the_page_of_a_hotels_network_is_outlasted(
    watcher: Watcher, batch: Any, clock: Clock, said: str
) -> None:
    """Such a network answers for every name, with a certificate of its own."""
    service, here = watcher.service, watcher.service.client

    class Elsewhere:
        def send_request(self, _request: Any) -> Any:
            raise ServiceRequestError(said)

    def leave() -> None:
        elsewhere: Any = Elsewhere()
        service.client = elsewhere
        clock.after(100, lambda: setattr(service, "client", here))
        finish(batch)

    clock.after(5, leave)
    assert watch(watcher, lambda _look: None, pause=clock.pause).succeeded == 20


def test_a_service_that_is_down_is_outlasted(
    watcher: Watcher, batch: Any, clock: Clock, fault: Any
) -> None:
    def fail() -> None:
        batch.fault = lambda *_: fault(status=503)
        clock.after(400, lambda: setattr(batch, "fault", lambda *_: None))

    clock.after(5, fail)
    clock.after(300, lambda: finish(batch))
    assert watch(watcher, lambda _look: None, pause=clock.pause).succeeded == 20


def test_a_job_that_was_deleted_meanwhile_is_not_waited_for(
    watcher: Watcher, batch: Any, clock: Clock, cut: Callable[[], Callable[[], None]]
) -> None:
    def leave() -> None:
        clock.after(100, cut())
        batch.jobs.clear()

    clock.after(5, leave)
    with pytest.raises(NotFoundError):
        watch(watcher, lambda _look: None, pause=clock.pause)
    assert clock.time < 1000 + 200


@pytest.mark.parametrize("seed", range(12))
def test_no_look_that_broke_off_loses_anything(
    workload: MakeWorkload,
    stack: Stack,
    service: BatchService,
    batch: Any,
    fault: Any,
    clock: Clock,
    seed: int,
) -> None:
    """Whatever request of whatever look fails, and whenever tasks end: all ends are known."""
    submit(plan(check(workload(STAGES), stack), {}, job_id="job"), service)
    draw = random.Random(seed)  # noqa: S311 - faults, not secrets
    left = sorted(batch.tasks["job"])
    draw.shuffle(left)
    batch.page = 3
    stuck, struck = list[str](), list[int]()

    def work() -> None:
        for task in left[: draw.randrange(4)]:
            batch.complete("job", task, exit_code=draw.choice((0, 0, 3)))
            left.remove(task)
        if left:
            clock.after(draw.random() * 20, work)

    def fail(_method: str, path: str, number: int) -> Any:
        if not stuck and len(struck) < 3 and draw.random() < 0.3:
            stuck.append(path)
            struck.append(number)
            clock.after(250, stuck.clear)
        return fault(status=503) if path in stuck else None

    watcher = Watcher(service=service, job_id="job", now=clock.now)
    watcher.look()
    batch.fault = fail
    work()
    seen = list(looks(watcher, pause=clock.pause))
    assert watcher.ends.keys() == batch.tasks["job"].keys()
    last = seen[-1]
    assert (last.ended, last.over) == (21, True)
    assert [stage.ended for stage in last.stages] == [20, 1]
    assert struck


def test_a_look_that_broke_off_is_taken_again_in_full(
    workload: MakeWorkload,
    stack: Stack,
    service: BatchService,
    batch: Any,
    fault: Any,
    clock: Clock,
) -> None:
    """What runs of each stage is asked for when that changed: also when nobody got to know."""
    submit(plan(check(workload(STAGES), stack), {}, job_id="job"), service)
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    watcher.look()
    batch.tasks["job"][min(batch.tasks["job"])]["state"] = "running"
    batch.fault = lambda _method, path, _number: fault() if path.endswith("/tasks") else None
    service.policy = RetryPolicy(attempts=1)
    with pytest.raises(UnavailableError):
        watcher.look()
    batch.fault = lambda *_: None
    assert [stage.running for stage in watcher.look().stages] == [1, 0]


def test_ends_on_a_page_that_was_not_read_are_learnt_by_the_next_look(
    watcher: Watcher, service: BatchService, batch: Any, fault: Any
) -> None:
    ids = sorted(batch.tasks["job"])
    watcher.look()
    for task in ids[:4]:
        batch.complete("job", task)
    # pages are in the order of ids: the first has the end that came last
    for task, second in zip(ids[:4], (50, 10, 11, 12), strict=True):
        batch.tasks["job"][task]["stateTransitionTime"] = f"2026-01-01T00:00:{second}Z"
    batch.page = 1
    before = len(batch.requests)
    batch.fault = lambda _method, _path, number: fault() if number > before + 3 else None
    service.policy = RetryPolicy(attempts=1)
    with pytest.raises(UnavailableError):
        watcher.look()
    assert 0 < len(watcher.ends) < 4
    batch.fault = lambda *_: None
    watcher.look()
    assert watcher.ends.keys() == set(ids[:4])


def told(
    watcher: Watcher,
    batch: Any,
    clock: Clock,
    cut: Callable[[], Callable[[], None]],
    style: Style,
    *,
    terminal: bool = False,
) -> list[str]:
    """What is shown of a job whose watcher is cut off for five minutes."""

    def leave() -> None:
        clock.after(300, cut())
        clock.after(302, lambda: finish(batch))

    clock.after(5, leave)
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=terminal, color_system=None)
    with Progress(console, "job", "dev", style=style, now=clock.now) as progress:
        watch(watcher, progress.show, pause=clock.pause)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("terminal", [False, True])
def test_one_line_says_that_the_service_is_away_and_one_that_it_is_back(
    watcher: Watcher,
    batch: Any,
    clock: Clock,
    cut: Callable[[], Callable[[], None]],
    terminal: bool,
) -> None:
    lines = told(watcher, batch, clock, cut, "auto", terminal=terminal)
    away = [line for line in lines if "job @dev: out of reach since " in line]
    back = [line for line in lines if "job @dev: in reach again, after " in line]
    assert (len(away), len(back)) == (1, 1)
    assert "the Batch endpoint cannot be reached: Connection refused" in away[0]
    assert "the job goes on" in away[0]
    assert lines.index(away[0]) < lines.index(back[0])


def test_a_program_is_told_by_a_member_of_the_look(
    watcher: Watcher, batch: Any, clock: Clock, cut: Callable[[], Callable[[], None]]
) -> None:
    found = [json.loads(line)["outage"] for line in told(watcher, batch, clock, cut, "json")]
    (away,) = [outage for outage in found if outage is not None]
    assert found.index(away) < len(found) - 1
    assert away["since"].endswith("Z")
    assert "Connection refused" in away["why"]


def test_who_gives_up_is_told_where_the_job_stood_and_how_to_come_back(
    watcher: Watcher,
    clock: Clock,
    cut: Callable[[], Callable[[], None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    clock.after(5, cut)
    tree = ResultTree(Path("results/tree"))
    with pytest.raises(UnavailableError) as caught, leaving(watcher, tree):
        watch(watcher, lambda _look: None, pause=clock.pause)
    error = caught.value
    assert error.exit_code == EXIT_SERVICE
    away = None if watcher.last is None else watcher.last.outage
    assert away is not None
    first, *others = str(error).splitlines()
    assert "cannot be reached: Connection refused" in first
    assert others == [
        "  job job goes on",
        "  tasks: 20: 20 waiting, 0 running, 0 succeeded, 0 failed",
        f"  {outage_text(away)}",
        "  why: the pool has no nodes and is not to get any: resize it",
        "  watch it again: python -m jobs wait tree",
        "  cancel it: python -m jobs cancel tree",
    ]
    assert error.details["commands"]["wait"] == "python -m jobs wait tree"
    assert error.details["job"]["outage"]["why"] == away.why


def test_who_cannot_begin_is_told_how_to_try_again(
    watcher: Watcher, cut: Callable[[], Callable[[], None]], tmp_path: Path
) -> None:
    cut()
    with pytest.raises(UnavailableError) as caught, leaving(watcher, ResultTree(tmp_path / "t")):
        watcher.look()
    assert "goes on" not in str(caught.value), "nobody knows"
    assert "watch it again: python -m jobs wait t" in str(caught.value)


def test_of_a_job_that_is_gone_nobody_is_told_to_watch_it(
    watcher: Watcher, batch: Any, tmp_path: Path
) -> None:
    batch.jobs.clear()
    with pytest.raises(NotFoundError) as caught, leaving(watcher, ResultTree(tmp_path / "t")):
        watcher.look()
    assert "watch it again" not in str(caught.value)
