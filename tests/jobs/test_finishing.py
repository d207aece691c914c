from __future__ import annotations

import hmac
import io
import json
import math
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.arguments import checked_amount, require_limits
from jobs.errors import InputError, InterruptError, NotFoundError
from jobs.finishing import (
    Finishing,
    LimitReachedError,
    checked_command,
    end_job,
    ended_on_interrupt,
    limited,
    tell,
)
from jobs.looks import Look
from jobs.notify import SIGNATURE_HEADER, checked_url
from jobs.report import FailureGroup, Report
from jobs.results import ResultTree
from jobs.service import BatchService


def look(failed: int, *, over: bool = False, cost: float | None = None) -> Look:
    return Look(
        total=9, waiting=2, running=1, succeeded=0, failed=failed, job_state="active", pool=None,
        first_failure=None, reasons=(), over=over, cost=cost,
    )  # fmt: skip


REPORT = Report(
    job_id="j", pool="cpu", vm_size="v", tasks=3, succeeded=2, failed=1, unfinished=0, retries=0,
    reruns=0, requeues=0, elapsed_s=1, waited_s=1, task_s=1, slowest_s=1, slowest_task="t",
    nodes=1, dedicated_node_s=1, spot_node_s=0, cost=None, currency="USD", prices_as_of="x",
    failures=(),
)  # fmt: skip


def test_a_limit_is_reached_by_so_many_failures_of_a_job_that_goes_on() -> None:
    seen: list[Look] = []
    show = limited(seen.append, Finishing(max_fails=2))
    show(look(1))
    show(look(5, over=True))
    with pytest.raises(LimitReachedError, match="the job was ended with 3 tasks to go"):
        show(look(2))
    assert [item.failed for item in seen] == [1, 5, 2]
    limited(seen.append, Finishing())(look(9))


def test_a_limit_is_reached_by_so_much_cost_of_a_job_that_goes_on() -> None:
    show = limited(lambda _look: None, Finishing(max_cost=2.0), "EUR")
    show(look(1, cost=1.99))
    show(look(1))
    show(look(1, cost=9.0, over=True))
    with pytest.raises(LimitReachedError, match=r"it has cost EUR 2\.50 so far") as caught:
        show(look(1, cost=2.5))
    assert caught.value.reason == "MaxCost"


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (2.0, "--max-cost $2.00"),
        (0.00001, "--max-cost $0.00001"),
        (0.00015, "--max-cost $0.00015"),
        (1234.5, "--max-cost $1,234.50"),
    ],
)
def test_a_limit_is_told_as_money_with_all_its_digits(amount: float, words: str) -> None:
    with pytest.raises(LimitReachedError, match=re.escape(f"({words})")):
        limited(lambda _look: None, Finishing(max_cost=amount))(look(0, cost=amount))


@given(st.floats(0, 1e12))
def test_every_limit_is_told_as_the_number_that_it_is(amount: float) -> None:
    with pytest.raises(LimitReachedError) as caught:
        limited(lambda _look: None, Finishing(max_cost=amount))(look(0, cost=amount))
    told = re.search(r"--max-cost \$([\d.,]+)\)", str(caught.value))
    assert told is not None
    assert float(told[1].replace(",", "")) == amount


@pytest.mark.parametrize("amount", [math.inf, -math.inf, math.nan, -0.01])
def test_what_no_job_can_cost_is_no_limit(amount: float) -> None:
    with pytest.raises(InputError, match=r"--max-cost .* is no amount"):
        checked_amount("--max-cost", amount)
    with pytest.raises(InputError, match=r"max_cost .* is no amount"):
        require_limits(max_cost=amount)
    assert checked_amount("--max-cost", 0.0) == 0.0
    assert checked_amount("--max-cost", None) is None


@pytest.mark.parametrize("text", ["", "  ", "echo 'a", "if true; then", "a\0b"])
def test_what_no_shell_can_read_is_refused_and_nothing_is_run(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="--on-finish"):
        checked_command(text)
    command = 'echo "$JOBS_ID" > told && sleep 1'
    assert checked_command(command) == command
    assert checked_command(None) is None
    assert not list(tmp_path.iterdir())


def test_a_command_is_a_shells_and_finds_what_became_of_the_job(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tree = ResultTree(tmp_path)
    words = "$JOBS_STATE:$JOBS_COST:$JOBS_FAILED:$JOBS_UNFINISHED"
    good = Finishing(on_finish=f'echo "{words}" | tr a-z A-Z')
    assert list(tell(good, replace(REPORT, unfinished=5), tree, succeeded=True)) == []
    assert capfd.readouterr() == ("", "SUCCEEDED::1:5\n")


def test_a_command_prints_to_stderr_where_that_is_no_file_of_python(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in (io.StringIO(), None):
        monkeypatch.setattr("sys.stderr", stream)
        assert (
            list(
                tell(Finishing(on_finish="echo hi"), REPORT, ResultTree(tmp_path), succeeded=True)
            )
            == []
        )
    assert capfd.readouterr() == ("", "hi\nhi\n")


def test_a_command_that_fails_or_is_not_there_or_hangs_is_only_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = ResultTree(tmp_path)
    (bad,) = tell(Finishing(on_finish="exit 4"), REPORT, tree, succeeded=False)
    assert bad == "--on-finish: the command ended with exit code 4"
    (gone,) = tell(Finishing(on_finish="./gone"), REPORT, tree, succeeded=False)
    assert gone.endswith("exit code 127")
    assert "./gone" in capfd.readouterr().err
    assert list(tell(Finishing(), REPORT, tree, succeeded=False)) == []
    monkeypatch.setattr("jobs.finishing.ON_FINISH_TIMEOUT_S", 0.2)
    alive, mine = os.pipe()
    monkeypatch.setattr("subprocess.Popen", partial(subprocess.Popen, pass_fds=(mine,)))
    (slow,) = tell(Finishing(on_finish="sleep 600 & sleep 600"), REPORT, tree, succeeded=True)
    os.close(mine)
    assert slow == "--on-finish: the command was ended after 0.2 s"
    with open(alive, "rb") as pipe:  # noqa: PTH123 - a descriptor
        assert pipe.read() == b"", "nothing that it started holds the pipe"


@pytest.fixture
def listener() -> Iterator[tuple[str, list[tuple[bytes, str | None]]]]:
    """A web server that keeps what it is told; below /no it refuses."""
    told: list[tuple[bytes, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((body, self.headers.get(SIGNATURE_HEADER)))
            self.send_response(403 if self.path.startswith("/no") else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", told
        server.shutdown()
        thread.join()


def test_an_address_is_told_once_with_a_signature(
    listener: tuple[str, list[tuple[bytes, str | None]]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    url, told = listener
    tree = ResultTree(tmp_path)
    assert list(tell(Finishing(notify=url), REPORT, tree, succeeded=False)) == []
    monkeypatch.setenv("JOBS_NOTIFY_SECRET", "s")
    assert list(tell(Finishing(notify=url), REPORT, tree, succeeded=True)) == []
    (first, unsigned), (body, signed) = told
    assert unsigned is None
    assert signed == "sha256=" + hmac.new(b"s", body, "sha256").hexdigest()
    assert json.loads(first)["state"] == "failed"
    value = json.loads(body)
    assert (value["version"], value["job_id"], value["state"]) == (1, "j", "succeeded")
    assert (value["tasks"], value["failed"], value["cost"]) == (3, 1, None)


def test_a_teams_channel_is_told_by_a_card_with_words_that_are_only_words(
    listener: tuple[str, list[tuple[bytes, str | None]]], tmp_path: Path
) -> None:
    url, told = listener
    group = FailureGroup(
        exit_code=3, failure="", last_line="[click](http://evil) **x**", count=2, example="t"
    )
    report = replace(REPORT, failures=(group,), cost=1.5)
    asked = Finishing(notify=checked_url(f"teams+{url}"))
    assert list(tell(asked, report, ResultTree(tmp_path), succeeded=False)) == []
    ((body, _),) = told
    message = json.loads(body)
    assert message["type"] == "message"
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    title, facts, words = card["body"]
    assert title["text"] == "j failed"
    assert {fact["title"]: fact["value"] for fact in facts["facts"]}["Cost"] == "$1.50"
    assert words["type"] == "RichTextBlock", "markdown in it means nothing"
    assert "[click](http://evil)" in words["inlines"][0]["text"]
    with pytest.raises(InputError, match="must be https"):
        checked_url("teams+http://example.com/x")


def test_who_is_told_of_a_failure_without_failed_tasks_learns_that_an_answer_is_stale(
    listener: tuple[str, list[tuple[bytes, str | None]]], tmp_path: Path
) -> None:
    url, told = listener
    report = replace(REPORT, failed=0, succeeded=3, stale=2)
    for address in (url, f"teams+{url}"):
        asked = Finishing(notify=address)
        assert list(tell(asked, report, ResultTree(tmp_path), succeeded=False)) == []
    (plain, _), (card, _) = told
    value = json.loads(plain)
    assert (value["state"], value["failed"], value["stale"]) == ("failed", 0, 2)
    _, facts = json.loads(card)["attachments"][0]["content"]["body"]
    assert {"title": "Stale", "value": "2 of outputs replaced since"} in facts["facts"]


def test_an_address_that_refuses_or_is_gone_is_told_without_its_path(
    listener: tuple[str, list[tuple[bytes, str | None]]], tmp_path: Path
) -> None:
    url, _ = listener
    tree = ResultTree(tmp_path)
    (problem,) = tell(Finishing(notify=f"{url}/no/secret"), REPORT, tree, succeeded=True)
    assert problem == "--notify: 127.0.0.1 answered with HTTP 403"
    gone = Finishing(notify="http://127.0.0.1:9/secret")
    (problem,) = tell(gone, REPORT, tree, succeeded=True)
    assert problem == "--notify: 127.0.0.1 was not reached: ConnectionError"
    assert "secret" not in repr(gone)


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://a/b", "http://example.com/x", "https://", "http://[::1"]
)
def test_an_address_that_cannot_be_told_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="--notify"):
        checked_url(url)
    assert checked_url("https://example.com/x") == "https://example.com/x"
    assert checked_url(None) is None


def test_ctrl_c_ends_the_job_only_if_asked(service: BatchService, batch: Any, fault: Any) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        ended_on_interrupt(service, "j", Finishing(), collect="come"),
    ):
        raise KeyboardInterrupt
    assert not batch.requests
    batch.fault = lambda *_: fault(status=409, code="JobCompleted")
    asked = Finishing(cancel_on_interrupt=True)
    with (
        pytest.raises(InterruptError, match=r"is being ended.*what it left: come"),
        ended_on_interrupt(service, "j", asked, collect="come"),
    ):
        raise KeyboardInterrupt
    assert batch.requests[0].startswith("POST /jobs/j/terminate")
    assert end_job(service, "j", "again") is False
    batch.fault = lambda *_: fault(status=404, code="JobNotFound")
    with pytest.raises(NotFoundError):
        end_job(service, "j", "again")
