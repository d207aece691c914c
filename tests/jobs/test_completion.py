from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from jobs.cli import app
from jobs.completion import CHOICES, script
from jobs.stack import load_stack

JOBS = ("mc-1", "mc-2", "nightly", "nightly.job-1", "other", "weekly")


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
    (tmp_path / ".local" / "jobs" / "stacks").mkdir(parents=True)
    for stack, names in (("dev", "pool cpu\npool gpu\npool $(id)\n"), ("azure", "pool mpi\n")):
        path = tmp_path / ".local" / "jobs" / "stacks" / f"{stack}.names"
        path.write_text(f"application {stack}-tool\n{names}")
    (tmp_path / "results" / "mc-2" / "job.json").write_text(
        '{\n  "job_id": "mc-2",\n  "tasks": 3,\n  "tags": {"x": "\\"job_id\\": \\"t-r2\\""},\n'
        '  "attempts": [\n    {\n      "job_id": "mc-2-r2"\n    },\n    {\n'
        '      "job_id": "mc-2-r3"\n    },\n    {\n      "job_id": "$(id)-r4"\n    }\n  ],\n'
        '  "stages": {}\n}\n'
    )
    (tmp_path / "script").write_text(script(app, "bash"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("python -m jobs wa", {"wait", "watch"}),
        (
            "python -m jobs wait ",
            {"last", "mc-2-r2", "mc-2-r3", *JOBS},
        ),
        ("python -m jobs wait mc-2-r", {"mc-2-r2", "mc-2-r3"}),
        ("python -m jobs logs --job mc-2-r", {"mc-2-r2", "mc-2-r3"}),
        ("python -m jobs logs --job mc-2-r3 2", {"2"}),
        ("python -m jobs status ", {"last", "all", "mc-2-r2", "mc-2-r3", *JOBS}),
        ("python -m jobs wait a", set()),
        (
            "python -m jobs collect mc-1,mc",
            {"mc-1,mc-1", "mc-1,mc-2", "mc-1,mc-2-r2", "mc-1,mc-2-r3"},
        ),
        ("python -m jobs cancel mc-", {"mc-1", "mc-2", "mc-2-r2", "mc-2-r3"}),
        ("python -m jobs wait --progress ", {"auto", "plain", "json", "none"}),
        ("python -m jobs wait --progress=p", {"--progress=plain"}),
        ("python -m jobs validate --fail-on ", {"error", "warning"}),
        ("python -m jobs run --ignore re", {"registry"}),
        ("python -m jobs costs --by ", {"job", "stage", "pool", "workload", "tag."}),
        ("python -m jobs list --fields job_id,out", {"job_id,outcome"}),
        ("python -m jobs list --filter out", {"outcome="}),
        ("python -m jobs list --filter pool=", {"pool=cpu", "pool=gpu", "pool=mpi"}),
        ("python -m jobs list --stack dev --filter pool=", {"pool=cpu", "pool=gpu"}),
        ("python -m jobs list --stack=azure --filter=pool=", {"--filter=pool=mpi"}),
        ("python -m jobs publish ", {"dev-tool", "azure-tool"}),
        ("python -m jobs publish --stack dev ", {"dev-tool"}),
        ("python -m jobs publish dev-tool ", set()),
        ("python -m jobs completion ", {"bash", "zsh"}),
        ("python -m jobs status o", {"other"}),
        ("python -m jobs logs 0 --job mc", {"mc-1", "mc-2", "mc-2-r2", "mc-2-r3"}),
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
        ("python -m jobs list --stack ", {"dev", "prod", "azure"}),
        ("python -m jobs rerun --exit", {"--exit-code"}),
        ("python -m jobs wait night", {"nightly", "nightly.job-1"}),
        ("python -m jobs wait nightly:", {"nightly:job-1"}),
        ("python -m jobs logs --job week", {"weekly"}),
        ("python -m jobs logs --job nightly 1", {"1", "10", "11"}),
        ("python -m jobs logs --job nightly:job-1 1", {"1", "10", "11"}),
        ("python -m jobs logs --job=nightly:job-1 1", {"1", "10", "11"}),
        ("python -m jobs logs --job=mc-1", {"--job=mc-1"}),
        ("python -m jobs wait --report ", set()),
        ("python -m jobs wait --report o", set()),
        ("python -m jobs wait --report=o", set()),
        ("python -m jobs wait --report out o", {"other"}),
        ("python -m jobs logs --source ", {"coordination", "stdout", "stderr"}),
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
        ("logs --source stdo", ["logs", "--source", "stdout"]),
        ("list --filter outc", ["list", "--filter", "outcome="]),
        ("list --filter pool=m", ["list", "--filter", "pool=mpi"]),
        ("wait --progress=pl", ["wait", "--progress=plain"]),
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
        assert shell.wait(120) == 0
    os.close(parent)
    assert re.findall(r"(?m)^<(.*)>\r?$", told.decode()) == ["-m", "jobs", *completed]


def test_every_option_with_few_words_is_completed_with_them() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    told = {
        option
        for verb in group.commands.values()
        for option in getattr(verb, "params", ())
        if option.param_type_name == "option" and "not one of" in refusal(verb, option)
    }
    names = {max(option.opts, key=len) for option in told}
    assert names >= {"--progress", "--fail-on", "--source"}
    assert names <= CHOICES.keys()


def refusal(verb: Any, option: Any) -> str:
    """What an option says to a word that is none of its own, if that is all it is asked."""
    if option.is_flag or option.multiple:
        return ""
    workload = ["w"] if verb.params[0].name == "workload" else []
    return CliRunner().invoke(app, [verb.name, *workload, option.opts[0], "no word"]).output


def test_names_of_a_stack_are_noted_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: Any
) -> None:
    monkeypatch.setenv("HPC_LOCAL_DIR", str(tmp_path))
    monkeypatch.setattr("jobs.stack._pulumi_outputs", lambda _name: values())
    load_stack(name="far")
    noted = tmp_path / "jobs" / "stacks" / "far.names"
    assert noted.read_text().splitlines() == ["application solver", "application tool", "pool cpu"]
    before = noted.stat().st_ino
    load_stack(name="far")
    load_stack(name="org/project/far")
    assert noted.stat().st_ino == before
    assert [path.name for path in noted.parent.iterdir()] == ["far.names"]
    noted.unlink()
    noted.parent.rmdir()
    noted.parent.write_text("in the way")
    load_stack(name="far")


def test_zsh_gets_what_it_needs_first() -> None:
    assert script(app, "zsh").splitlines()[0].endswith("bashcompinit")
    assert script(app, "zsh").endswith(script(app, "bash"))
