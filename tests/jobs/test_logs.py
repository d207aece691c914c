from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from jobs import logs
from jobs.log_lines import Lines
from jobs.logs import LogReader
from jobs.results import ResultTree
from jobs.selection import parse_selection
from jobs.terminal import Terminal


@given(st.lists(st.binary(max_size=8).map(lambda b: b.replace(b"x", b"\n"))))
def test_lines_do_not_depend_on_how_their_bytes_arrive(pieces: list[bytes]) -> None:
    def read(arriving: list[bytes]) -> list[str]:
        splitter = Lines("t", "stdout")
        found = [line.text for piece in arriving for line in splitter.add(piece)]
        return found + [line.text for line in splitter.end()]

    whole = b"".join(pieces)
    assert read(pieces) == read([whole])
    assert len(read(pieces)) == whole.count(b"\n") + (not whole.endswith(b"\n") and whole != b"")


def test_a_log_that_ends_without_a_newline_has_its_last_line_and_no_carriage_returns() -> None:
    splitter = Lines("t", "stderr")
    assert [line.text for line in splitter.add(b"a\r\nb")] == ["a"]
    assert [line.text for line in splitter.end()] == ["b"]
    assert splitter.size == 4


def test_few_positions_are_asked_for_by_name_and_many_are_not() -> None:
    condition = logs._condition(parse_selection("3,5"))
    assert condition == "startswith(id,'0000003-') or startswith(id,'0000005-')"
    assert logs._condition(parse_selection("0-999")) == ""
    assert logs._condition(parse_selection("failed")) == "state eq 'completed'"


class Node:
    """A service with one task, whose log grows, and begins anew where it runs again."""

    def __init__(self) -> None:
        self.task: dict[str, Any] = {
            "id": "0000000-a", "stateTransitionTime": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        self.log = b""

    def runs(self, log: bytes, *, node: str = "a", retries: int = 0, requeues: int = 0) -> None:
        self.log = log
        self.task |= {
            "state": "running",
            "nodeInfo": {"nodeId": node},
            "executionInfo": {
                "startTime": f"2026-01-01T00:0{retries}:0{requeues}Z",
                "retryCount": retries,
                "requeueCount": requeues,
            },
        }

    def waits(self, *, requeues: int) -> None:
        self.task |= {"state": "active", "executionInfo": {"requeueCount": requeues}}
        self.task.pop("nodeInfo", None)

    def ends(self, log: bytes) -> None:
        self.log = log
        self.task["state"] = "completed"
        self.task["executionInfo"] |= {"result": "success", "exitCode": 0}

    def pages(self, _path: str, _doing: str, **query: str) -> Iterator[dict[str, Any]]:
        yield {name: self.task[name] for name in query["$select"].split(",") if name in self.task}

    def content(self, _path: str, _doing: str, *, start: int, length: int) -> bytes:
        return self.log[start : start + length]


Follow = Callable[..., list[str]]


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def follow(node: Node, tmp_path: Path) -> Follow:
    """What a follower prints while, at each pause, the next thing happens."""

    def follow(*happens: Callable[[], None], tail: int | None = None) -> list[str]:
        service: Any = node
        container: Any = None
        reader = LogReader(
            service=service, job_id="j", tree=ResultTree(tmp_path), container=container
        )
        first, *others = happens
        left = iter(others)
        first()
        lines = reader.follow(
            parse_selection("0"), ("stdout",), tail=tail, pause=lambda _s: next(left)()
        )
        return [line.text for line in lines]

    return follow


@pytest.mark.parametrize(
    "again", [{"node": "b", "requeues": 1}, {"retries": 1}, {"requeues": 1}], ids=str
)
def test_a_task_that_runs_again_is_followed_from_the_beginning_of_its_new_log(
    node: Node, follow: Follow, again: dict[str, Any]
) -> None:
    assert follow(
        lambda: node.runs(b"first 1\nfirst 2\nbroken o"),
        lambda: node.runs(b"again 1\nagain 2\nagain 3\n", **again),
        lambda: node.ends(b"again 1\nagain 2\nagain 3\nagain 4\n"),
    ) == ["first 1", "first 2", "broken o", "again 1", "again 2", "again 3", "again 4"]


def test_a_task_that_waits_to_run_again_prints_nothing_twice(node: Node, follow: Follow) -> None:
    assert follow(
        lambda: node.runs(b"1\n2\n"),
        lambda: node.waits(requeues=1),
        lambda: node.waits(requeues=1),
        lambda: node.runs(b"3\n", node="b", requeues=1),
        lambda: node.ends(b"3\n4"),
    ) == ["1", "2", "3", "4"]


def test_the_tail_is_of_what_was_there_before_somebody_followed(
    node: Node, follow: Follow
) -> None:
    assert follow(
        lambda: node.runs(b"1\n2\n3\n"),
        lambda: node.runs(b"4\n5\n", node="b", requeues=1),
        lambda: node.ends(b"4\n5\n6\n"),
        tail=1,
    ) == ["3", "4", "5", "6"]


@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_line_steers_no_terminal_and_a_file_gets_it_as_it_is(
    capsys: pytest.CaptureFixture[str], *, on_terminal: bool
) -> None:
    terminal, line = Terminal(), "\x1b]0;pwned\x07a\tb\u202ec"
    terminal.out = Console(force_terminal=on_terminal)
    terminal.line(line)
    assert capsys.readouterr().out == ("]0;pwneda\tbc\n" if on_terminal else f"{line}\n")
