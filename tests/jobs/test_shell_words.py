"""Shell syntax in a `command`, which no shell reads."""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.advice import SHELL
from jobs.checking import check
from jobs.loading import LoadedWorkload
from jobs.shell_words import shell_warnings, shell_words
from jobs.stack import Stack
from jobs.stages import stages_of

MakeWorkload = Callable[..., LoadedWorkload]
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('python3 -c "print(1)" > out.txt && cat out.txt', [">", "&&"]),
        ("a | b", ["|"]),
        ("a|| b", ["||"]),
        ("a&&b", ["&&"]),
        ("a; b", [";"]),
        ("a &", ["&"]),
        ("a 2>&1", ["2>&1"]),
        ("a 2> err >>out <in", ["2>", ">>", "<"]),
        ("a >out.txt", [">"]),
        ("OMP_NUM_THREADS=4 ./solver", ["OMP_NUM_THREADS="]),
        ("./solver $AZ_BATCH_NODE_SHARED_DIR/mesh", ["$AZ_BATCH_NODE_SHARED_DIR"]),
        ('./solver "${HOME}/mesh" {index}', ["${HOME}"]),
        ("echo $(date) `date`", ["$(", "`"]),
        ("cat *.csv", ["*"]),
        ("sh -c 'a' > out", [">"]),
    ],
)
def test_what_only_a_shell_would_understand_is_found(text: str, words: list[str]) -> None:
    assert shell_words(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "echo hello {index}",
        "sh -c 'a > b && c $HOME *'",
        'sh -c "a > b && c | d; e *"',
        "awk '{ print $1 > \"x\" }' f",
        r"find . -name \*.txt -exec rm x \;",
        r"echo \$HOME \> \&\&",
        "curl https://host/path?a=1&b=2",
        "solve {index:>04d} {x:>8}",
        "solve --if a>b --cost 5$",
        "solve --set NAME=VALUE",
        'grep "a$" f',
        "./solver # 1",
        "",
    ],
)
def test_what_means_itself_is_not(text: str) -> None:
    assert shell_words(text) == []


@given(st.lists(st.text(string.printable, min_size=1, max_size=12), min_size=1, max_size=6))
def test_arguments_that_were_quoted_as_a_shell_wants_it_have_nothing(words: list[str]) -> None:
    assert shell_words(shlex.join(["./solver", *words])) == []


@given(st.text(string.printable, max_size=60))
def test_any_text_is_read(text: str) -> None:
    for word in shell_words(text):
        assert word in text


def warnings(loaded: LoadedWorkload, stack: Stack) -> list[str]:
    return [one.message for one in check(loaded, stack).warnings if one.code == SHELL]


def test_the_command_is_named_with_what_to_write(workload: MakeWorkload, stack: Stack) -> None:
    loaded = workload("{name: a, pool: cpu, command: 'echo 1 > out.txt && cat out.txt'}")
    (told,) = warnings(loaded, stack)
    assert told == (
        "command: no shell reads it, so that > and && reach the program as they stand: write "
        "`script` in place of `command`, or quote what is meant so"
    )


def test_every_command_of_a_file_is_looked_at_once(workload: MakeWorkload, stack: Stack) -> None:
    loaded = workload(
        """
        name: a
        pool: cpu
        program: {build: {command: "cp x build/x && true", sources: [x], output: build/x}}
        preparation: tar xf a.tar && true
        release: {command: rm -rf /tmp/x*}
        merge: cat outputs/*/a > all
        check: [sh, -c, "test -s all && true"]
        stages:
          one: {command: "./x | tee out"}
          two: {script: "./x | tee out", after: one}
          three: {command: [./x, ">", out]}
        """,
        x="x",
    )
    assert [text.partition(": no shell")[0] for text in warnings(loaded, stack)] == [
        "stage one: command",
        "stage one: build",
        "preparation",
        "release",
        "merge",
    ]


EXAMPLES = [
    *re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "workloads.md").read_text(), re.DOTALL),
    *(path.read_text() for path in sorted(ROOT.glob("workloads/*/job.yaml"))),
]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_what_is_shown_to_people_does_not_need_a_shell_that_is_not_there(
    workload: MakeWorkload, stack: Stack, number: int
) -> None:
    loaded = workload(EXAMPLES[number])
    assert list(shell_warnings(loaded, stages_of(loaded), stack.pools["cpu"])) == []


def test_the_shell_of_windows_is_another(workload: MakeWorkload, stack: Stack) -> None:
    pool = stack.pools["cpu"].model_copy(update={"os": "windows"})
    windows = stack.model_copy(update={"pools": {"cpu": pool}})
    loaded = workload("{name: a, pool: cpu, command: 'echo $HOME * > out.txt'}")
    (told,) = warnings(loaded, windows)
    assert "so that > reaches the program as it stands: write cmd /c before it" in told
    assert warnings(workload("{name: a, pool: cpu, command: cmd /c dir > x}"), windows) == []


@pytest.mark.parametrize(
    "text",
    [
        '/bin/bash -c "for i in 1 2; do echo $i > out-$i.txt; done"',
        "bash -lc 'a && b'",
        'sh -ec "echo $HOME"',
        'perl -ne "print $_ if /x/"',
        'python3.11 -c "print(1) or $x"',
    ],
)
def test_what_an_interpreter_is_given_is_its_own(text: str) -> None:
    assert shell_words(text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('bash -c "echo $HOME" > out.txt', [">"]),
        ("bash -c a && b", ["&&"]),
        ('bash run.sh "$HOME"', ["$HOME"]),
        ('echo -c "$HOME"', ["$HOME"]),
    ],
)
def test_what_stands_outside_of_that_is_not(text: str, words: list[str]) -> None:
    assert shell_words(text) == words
