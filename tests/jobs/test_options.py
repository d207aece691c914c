"""Every option of every verb is a variable, too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup, TyperOption
from typer.testing import CliRunner

from jobs.cli import app
from jobs.finishing import told
from jobs.options import parse_timeout
from jobs.report import REASON_VARIABLE, Report
from jobs.results import ResultTree

ROOT = Path(__file__).resolve().parents[2]
REPORT = Report(
    job_id="j", pool="cpu", vm_size="v", tasks=3, succeeded=2, failed=1, unfinished=0, retries=0,
    reruns=0, requeues=0, elapsed_s=1, waited_s=1, task_s=1, slowest_s=1, slowest_task="t",
    nodes=1, dedicated_node_s=1, spot_node_s=0, cost=None, currency="USD", prices_as_of="x",
    failures=(),
)  # fmt: skip


def options() -> list[tuple[str, TyperOption]]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return [
        (name, parameter)
        for name, verb in group.commands.items()
        if name != "completion"
        for parameter in verb.params
        if isinstance(parameter, TyperOption)
    ]


def test_every_option_of_every_verb_has_a_variable_that_says_its_name() -> None:
    walked = options()
    assert len(walked) > 100
    names: dict[str, set[str]] = {}
    for verb, option in walked:
        variable = option.envvar
        assert isinstance(variable, str), f"{verb} {option.opts}"
        assert variable.startswith("JOBS_")
        names.setdefault(variable, set()).add(max(option.opts, key=len))
    assert all(len(options) == 1 for options in names.values()), "one option a variable"


def test_no_option_reads_what_tasks_and_finishing_commands_are_told(tmp_path: Path) -> None:
    taken = {*told(REPORT, ResultTree(tmp_path), succeeded=True), REASON_VARIABLE}
    assert taken.isdisjoint(option.envvar for _, option in options())


def run(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JOBS_")}
    return subprocess.run(
        [sys.executable, "-m", "jobs", *arguments], cwd=directory,
        env={**environment, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "variables", "said"),
    [
        (("--outputs", "a.json"), {"JOBS_STACK": "b"}, "a.json"),
        (("--stack", "b"), {"JOBS_OUTPUTS": "a.json"}, "stack b"),
        ((), {"JOBS_OUTPUTS": "a.json"}, "a.json"),
        (("--stack", "b", "--outputs", "a.json"), {}, "both a stack (b)"),
        ((), {"JOBS_STACK": "b", "JOBS_OUTPUTS": "a.json"}, "file of outputs (a.json) are given"),
    ],
)
def test_a_flag_names_the_stack_before_the_other_ones_variable(
    flags: tuple[str, ...],
    variables: dict[str, str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jobs.stack._pulumi_outputs", lambda _name: {})
    (tmp_path / "job.yaml").write_text("name: v\npool: cpu\ncommand: echo hello\n")
    (tmp_path / "a.json").write_text("{}")
    done = CliRunner().invoke(app, ["validate", "job.yaml", *flags], env=variables)
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["explain", "last"], "Write: --job last"),
        (["explain", "last", "0"], "Write: 0 --job last"),
        (["logs", "mc-7f3a", "failed"], "Write: failed --job mc-7f3a"),
    ],
)
def test_a_job_where_tasks_are_meant_is_told_with_the_right_words(
    words: list[str], remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "mc-7f3a").mkdir(parents=True)
    (tmp_path / "results" / "mc-7f3a" / "job.json").write_text("{}")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "is a job, and here TASKS are meant" in done.output
    assert remedy in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ((), 0, "25 rounds [rounds]"),
        (("--fail-on", "warning"), 2, "25 rounds [rounds]"),
        (("--fail-on", "warning", "--ignore", "rounds"), 0, "valid, fits the stack"),
        (("--ignore", "nosuch"), 2, "the codes of warnings are rounds, registry"),
        (("--fail-on", "never"), 2, "'never' is not one of error, warning"),
    ],
)
@pytest.mark.parametrize(("verb", "more"), [("validate", ()), ("run", ("--dry-run",))])
def test_warnings_fail_where_that_is_asked_for_and_not_if_they_are_known(
    verb: str,
    more: tuple[str, ...],
    flags: tuple[str, ...],
    code: int,
    said: str,
    tmp_path: Path,
    values: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    made = values()
    made["pools"]["cpu"]["task_slots_per_node"] = 1
    (tmp_path / "s.json").write_text(json.dumps(made))
    (tmp_path / "job.yaml").write_text("name: v\npool: cpu\ncommand: echo hi\ntasks: 100\n")
    done = CliRunner().invoke(app, [verb, "job.yaml", "--outputs", "s.json", *more, *flags])
    assert done.exit_code == code, done.output
    said = "Nothing was sent" if verb == "run" and said.startswith("valid") else said
    assert said in " ".join(done.output.split())
    assert ("[rounds]" in done.output) == ("[rounds]" in said)


@pytest.mark.parametrize("words", [[""], ["", "1"], ["1", ""]])
def test_tasks_that_are_an_empty_text_are_not_all_tasks(words: list[str]) -> None:
    done = CliRunner().invoke(app, ["logs", *words])
    assert done.exit_code == 2
    assert "'' selects no tasks" in done.output


def test_the_help_says_that_a_number_is_a_job() -> None:
    for verb in ("wait", "rerun", "report", "explain", "logs"):
        done = CliRunner().invoke(app, [verb, "--help"])
        assert "a number counted from the last" in " ".join(done.output.split())


def test_the_help_says_what_an_id_is_of() -> None:
    def told(*verb: str) -> str:
        return " ".join(CliRunner().invoke(app, [*verb, "--help"]).output.split())

    update = told("schedule", "update")
    assert "The schedule's id; by default the name in the file." in update
    assert "time and chance" not in update
    for verb in ("run", "submit"):
        assert "by default name, time and chance. With a schedule: its id, by default" in told(
            verb
        )


@pytest.mark.slow
def test_variables_do_what_their_options_do(tmp_path: Path, values: Any) -> None:
    (tmp_path / "stack.json").write_text(json.dumps(values()))
    (tmp_path / "job.yaml").write_text(
        "name: v\npool: cpu\nvariables: {n: 1, m: 1}\ncommand: echo {n} {m}\n"
    )
    done = run(
        tmp_path, "run", "job.yaml", JOBS_DRY_RUN="1", JOBS_SET="n=41 m=42", JOBS_JSON="1",
        JOBS_OUTPUTS="stack.json", JOBS_JOB_ID="named",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["first_tasks"][0]["commandLine"] == "echo 41 42"
    assert made["job"]["id"] == "named"
    wrong = run(tmp_path, "run", "job.yaml", JOBS_FIRST="0")
    assert wrong.returncode == 2
    assert "JOBS_FIRST" in wrong.stderr


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3.0), ("0", 0.0), ("90s", 90.0), ("2h", 7200.0), ("PT1M", 60.0)]
)
def test_a_number_alone_is_seconds_as_in_a_workload_file(text: str, seconds: float) -> None:
    assert parse_timeout(text) == seconds


@pytest.mark.parametrize("text", ["", "-3", "1.5", "\N{ARABIC-INDIC DIGIT THREE}", "9" * 20])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_timeout(text)
