"""Words that are none of a verb's, and Ctrl-C before a verb has begun."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.cli import app, run_app

ROOT = Path(__file__).resolve().parents[2]
INTERRUPTS = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "jobs.cli.command":
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.kill(os.getpid(), getattr(signal, os.environ["SENT"]))

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["wait", "--nosuch"], "No such option: --nosuch"),
        (["nosuch"], "No such command 'nosuch'"),
        (["run"], "Missing argument 'WORKLOAD'"),
        (["wait", "--max-fails", "0"], "should be greater than or equal to 1"),
        (["wait", "--max-fails", "x"], 'should be a whole number, not "x"'),
        (["wait", "--timeout", "soon"], "'soon' is no duration"),
        (["wait", "--progress", "x"], "'x' is not one of auto, plain"),
        (["schedule", "nosuch"], "No such command 'nosuch'"),
    ],
)
@pytest.mark.parametrize("way", ["flag", "variable"])
def test_an_error_of_usage_is_an_object_on_stdout_where_json_is_asked_for(
    words: list[str], message: str, way: str
) -> None:
    more, variables = (["--json"], {}) if way == "flag" else ([], {"JOBS_JSON": "1"})
    done = CliRunner().invoke(app, [*words, *more], env=variables)
    assert done.exit_code == 2
    error = json.loads(done.stdout)["error"]
    assert (error["kind"], error["exit_code"]) == ("InputError", 2)
    assert message in error["message"]
    assert "Input should" not in done.output
    assert message in " ".join(done.stderr.split())


def test_without_json_nothing_of_it_is_on_stdout() -> None:
    done = CliRunner().invoke(app, ["wait", "--nosuch"], env={"JOBS_JSON": "0"})
    assert (done.exit_code, done.stdout) == (2, "")
    assert CliRunner().invoke(run_app, ["--json"]).stdout.startswith("{")


def test_help_is_no_error() -> None:
    done = CliRunner().invoke(app, ["wait", "--help"])
    assert done.exit_code == 0
    assert done.stdout.startswith("Usage: ")


@pytest.mark.parametrize(("module", "sent"), [("jobs", "SIGINT"), ("jobs.run", "SIGTERM")])
def test_an_interrupt_during_the_imports_ends_as_it_does_later(
    module: str, sent: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": path, "SENT": sent},
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize(
    ("variable", "title", "code"),
    [
        ("title='a b' n=2", "echo 2 a b", 0),
        ('n=3 title="it\'s  so"', "echo 3 it's  so", 0),
        ("title='a b", "JOBS_SET is several values", 2),
    ],
)
def test_values_in_a_variable_are_quoted_as_in_a_shell(
    variable: str,
    title: str,
    code: int,
    tmp_path: Path,
    values: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.json").write_text(json.dumps(values()))
    (tmp_path / "job.yaml").write_text(
        "name: v\npool: cpu\nvariables: {title: t, n: 1}\ncommand: [echo, '{n}', '{title}']\n"
    )
    words = ["run", "job.yaml", "--outputs", "s.json", "--dry-run", "--json"]
    done = CliRunner().invoke(app, words, env={"JOBS_SET": variable})
    assert done.exit_code == code, done.output
    made = json.loads(done.stdout)
    if code:
        assert title in made["error"]["message"]
    else:
        sent = made["first_tasks"][0]["commandLine"]
        assert sent.replace("'", "").replace('"', "") == title.replace("'", "")


def test_of_a_script_a_dry_run_shows_the_first_line_and_how_many_there_are(
    tmp_path: Path, values: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.json").write_text(json.dumps(values()))
    text = "name: v\npool: cpu\nscript: |\n  set -u\n  ./solve --hard\n  ./pack\n"
    (tmp_path / "job.yaml").write_text(text)
    words = ["run", "job.yaml", "--outputs", "s.json", "--dry-run"]
    shown = CliRunner().invoke(app, words).stdout
    assert re.search(r"^task     \S+: set -u … \(3 lines\)$", shown, re.MULTILINE)
    assert "./solve" not in shown
    sent = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["first_tasks"]
    assert "./solve --hard" in sent[0]["commandLine"], "a program gets it whole"
