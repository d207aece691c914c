from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from jobs.cli import app
from jobs.completion import script


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for schedule in ("nightly", "weekly", "$(id)"):
        (tmp_path / "results" / ".schedules" / schedule).mkdir(parents=True)
        (tmp_path / "results" / ".schedules" / schedule / "schedule.json").touch()
    for job in ("mc-1", "mc-2", "nightly.job-1", "other", "no-job", "$(id) *"):
        (tmp_path / "results" / job).mkdir(parents=True)
        if job != "no-job":
            (tmp_path / "results" / job / "job.json").touch()
    (tmp_path / "elsewhere" / "there").mkdir(parents=True)
    (tmp_path / "elsewhere" / "there" / "job.json").touch()
    (tmp_path / "results" / "nightly.job-1" / "job.json").write_text('{\n  "tasks": 12\n}\n')
    latest = tmp_path / "results" / "other"
    for task in ("0000001-aaa", "0000002-bbb", "0000002-$(id)"):
        (latest / "logs" / task).mkdir(parents=True)
    (latest / "job.json").write_text(
        '{\n  "job_id": "other",\n  "tasks": 42,\n  "attempts": [\n    {\n      "tasks": "0-3"\n'
        '    }\n  ],\n  "stages": {},\n  "version": 1\n}\n'
    )
    (tmp_path / "results" / "mc-1" / "job.json").write_text(
        '{\n  "tasks": 14,\n  "stages": {\n    "sim": 13,\n    "$(id)": 2,\n    "sum": 1\n  },\n'
        '  "version": 1\n}\n'
    )
    os.utime(latest / "job.json", (4_000_000_000, 4_000_000_000))
    for stack in ("dev", "prod", "half", "a b"):
        (tmp_path / ".local" / "stacks" / stack).mkdir(parents=True)
        if stack != "half":
            (tmp_path / ".local" / "stacks" / stack / "outputs.json").touch()
    (tmp_path / "script").write_text(script(app, "bash"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("python -m jobs wa", {"wait", "watch"}),
        (
            "python -m jobs wait ",
            {"last", "mc-1", "mc-2", "nightly", "nightly.job-1", "other", "weekly"},
        ),
        ("python -m jobs cancel mc", {"mc-1", "mc-2"}),
        ("python -m jobs status o", {"other"}),
        ("python -m jobs logs 0 --job mc", {"mc-1", "mc-2"}),
        ("python -m jobs logs 0000002", {"0000002-bbb"}),
        ("python -m jobs logs ", {"all", "failed"}),
        ("python -m jobs explain f", {"failed"}),
        ("python -m jobs logs 4", {"4", "40", "41"}),
        ("python -m jobs logs 0", {"0", "0000001-aaa", "0000002-bbb"}),
        ("python -m jobs logs 2,4", {"2,4", "2,40", "2,41"}),
        ("python -m jobs logs 43", set()),
        ("python -m jobs logs --job mc-1 s", {"sim", "sum"}),
        ("python -m jobs logs --job mc-1 sim/1", {"sim/1", "sim/10", "sim/11", "sim/12"}),
        ("python -m jobs explain --job mc-1 sum/", {"sum/0"}),
        ("python -m jobs explain --job mc-1 $", set()),
        ("python -m jobs explain --job nosuch ", {"all", "failed"}),
        ("python -m jobs rerun mc-1 --tasks si", {"sim"}),
        ("python -m jobs rerun --tasks 4", {"4", "40", "41"}),
        ("python -m jobs list --stack ", {"dev", "prod"}),
        ("python -m jobs rerun --exit", {"--exit-code"}),
        ("python -m jobs wait night", {"nightly", "nightly.job-1"}),
        ("python -m jobs wait nightly:", {"nightly:job-1"}),
        ("python -m jobs logs --job week", {"weekly"}),
        ("python -m jobs logs --job nightly 1", {"1", "10", "11"}),
        ("python -m jobs logs --job nightly:job-1 1", {"1", "10", "11"}),
        ("python -m jobs logs --job=nightly:job-1 1", {"1", "10", "11"}),
        ("python -m jobs logs --job=mc", {"--job=mc-1", "--job=mc-2"}),
        ("python -m jobs wait --report ", set()),
        ("python -m jobs wait --report o", set()),
        ("python -m jobs wait --report=o", set()),
        ("python -m jobs wait --report out o", {"other"}),
        ("python -m jobs logs --source ", set()),
        ("python -m jobs logs --tail ", set()),
        ("python -m jobs rerun --exit-code 3 mc-1 --tasks si", {"sim"}),
        ("python -m jobs wait --quiet o", {"other"}),
        ("python -m jobs wait --out elsewhere ", {"last", "there"}),
        ("python -m jobs sched", {"schedule"}),
        ("python -m jobs schedule p", {"pause"}),
        ("python -m jobs schedule show ", {"nightly", "weekly"}),
        ("python -m jobs schedule pause w", {"weekly"}),
        ("python -m jobs schedule delete weekly --dr", {"--dry-run"}),
        ("python -m jobs schedule list --stack p", {"prod"}),
        ("python -m jobs schedule list ", set()),
        ("python -m jobs.run job.yaml --det", {"--detach"}),
        ("python -m jobs run job", set()),
        ("python -m json.tool x", set()),
        ("python script.py w", set()),
    ],
)
def test_what_is_typed_is_completed(directory: Path, typed: str, offered: set[str]) -> None:
    words = typed.split(" ")
    program = (
        'source ./script; COMP_CWORD=$(( $# - 1 )); COMP_WORDS=("$@"); _hpc_jobs; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", program, "bash", *words],
        cwd=directory, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == offered
    assert not done.stderr


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("wait nightly:", ["wait", "nightly:job-1"]),
        ("wait nightly:jo", ["wait", "nightly:job-1"]),
        ("wait --report x ot", ["wait", "--report", "x", "other"]),
        ("logs --job=oth", ["logs", "--job=other"]),
        ("logs --job=nightly:j", ["logs", "--job=nightly:job-1"]),
        ("logs --job nightly:job-1 al", ["logs", "--job", "nightly:job-1", "all"]),
        ("logs --source st", ["logs", "--source", "st"]),
        ("wait --report=sc", ["wait", "--report=script"]),
    ],
)
def test_bash_itself_completes_words_that_it_cuts_up(
    directory: Path, typed: str, completed: list[str]
) -> None:
    keys = (
        "source ./script; python() { printf '<%s>\\n' \"$@\"; }; bind 'set bell-style none'\n"
        f"python -m jobs {typed}\t\nexit\n"
    )
    parent, child = pty.openpty()
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        cwd=directory, stdin=child, stdout=child, stderr=child, start_new_session=True,
        env={"PATH": "/usr/bin:/bin", "TERM": "dumb", "PS1": "", "HOME": str(directory)},
    ) as shell:  # fmt: skip
        os.close(child)
        os.write(parent, keys.encode())
        told = b""
        with contextlib.suppress(OSError):  # Linux ends a terminal that nobody has with EIO
            while piece := os.read(parent, 4096):
                told += piece
        assert shell.wait(30) == 0
    os.close(parent)
    assert re.findall(r"(?m)^<(.*)>\r?$", told.decode()) == ["-m", "jobs", *completed]


def test_zsh_gets_what_it_needs_first() -> None:
    assert script(app, "zsh").splitlines()[0].endswith("bashcompinit")
    assert script(app, "zsh").endswith(script(app, "bash"))
