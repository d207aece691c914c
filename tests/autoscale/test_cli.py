"""The command line, through its entry point and as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autoscale.cli import main
from autoscale.rules import RULES
from tests.autoscale.formulas import load

ROOT = Path(__file__).resolve().parents[2]
GOOD = """\
$TargetDedicatedNodes = min(4, max(0, $PendingTasks.GetSample(1)));
$NodeDeallocationOption = taskcompletion;
"""
# Isolated from everything that is installed: the package is to need nothing of it.
PROCESS = (
    "import runpy, sys; sys.path.insert(0, '.'); runpy.run_module('autoscale', None, '__main__')"
)


def write(folder: Path, text: str, name: str = "pool.formula") -> str:
    path = folder / name
    path.write_bytes(text.encode())
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    out, err = capsys.readouterr()
    return status, out, err


def test_a_good_formula_has_nothing_said_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, "check", write(tmp_path, GOOD)) == (0, "", "")


def test_a_finding_is_one_line_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(tmp_path, "a = 1;\n$TargetDedicatedNodes = a + b;\n")
    status, out, err = said(capsys, "check", "--ignore", "AS108", name)
    assert (status, err) == (1, "")
    assert out == f"{name}:2:29: AS010 error: b is never set\n"


def test_a_warning_fails_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(tmp_path, "$TargetDedicatedNodes = 3;")
    assert said(capsys, "check", name)[0] == 0
    assert said(capsys, "check", "--fail-on", "warning", name)[0] == 1
    assert said(capsys, "check", "--fail-on", "warning", "--ignore", "AS105", name)[0] == 0
    assert said(capsys, "check", "--fail-on", "warning", "--min-dedicated", "3", name)[0] == 0


def test_verbose_shows_place_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(tmp_path, "$TargetDedicatedNodes = $PendingTask;")
    _, out, _ = said(capsys, "check", "-v", name)
    assert "  $TargetDedicatedNodes = $PendingTask;\n" + " " * 26 + "^^^^^^^^^^^^" in out
    assert "did you mean $PendingTasks?" in out


def test_findings_are_also_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = write(tmp_path, "a = %;")
    status, out, _ = said(capsys, "check", "--json", name)
    (finding,) = json.loads(out)["findings"]
    assert status == 1
    assert (finding["file"], finding["id"], finding["line"], finding["column"]) == (
        name,
        "AS001",
        1,
        5,
    )


@pytest.mark.parametrize("entry", load("vectors.json"), ids=lambda entry: entry["id"])
def test_eval_prints_what_the_service_answers(
    entry: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    formula = write(tmp_path, entry["formula"])
    case = write(tmp_path, json.dumps(entry), "case.json")
    status, out, err = said(capsys, "eval", formula, "--case", case)
    assert err == ""
    if "results" in entry:
        assert (status, out) == (0, entry["results"] + "\n")
    else:
        assert status == 1
        assert json.loads(out)["code"] == entry["error"]["code"]


@pytest.mark.parametrize("entry", load("corpus.json"), ids=lambda entry: entry["id"])
def test_check_fails_for_the_wrong_formulas_of_the_corpus_alone(
    entry: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(tmp_path, entry["formula"])
    status, out, err = said(capsys, "check", name)
    assert err == ""
    assert status == (1 if entry["class"] == "negative" else 0)
    assert (": AS" in out) or (entry["class"] == "valid" and out == "")


def test_eval_tells_the_nodes_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = write(tmp_path, "$TargetDedicatedNodes = 2.9;")
    _, out, _ = said(capsys, "eval", "--json", name)
    answer = json.loads(out)
    assert (answer["dedicated_nodes"], answer["error"]) == (2, None)


def test_explain_ends_with_the_nodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = write(tmp_path, GOOD)
    case = write(tmp_path, '{"samples": {"$PendingTasks": [3]}}', "case.json")
    status, out, _ = said(capsys, "explain", name, "--case", case)
    assert status == 0
    assert "= [3]" in out
    assert "dedicated nodes: 3" in out
    status, out, _ = said(capsys, "explain", "--json", name, "--case", case)
    assert json.loads(out)["lines"][0]["value"] == "3"


def test_explain_of_a_wrong_text_shows_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = said(capsys, "explain", write(tmp_path, "a = 1 +;"))
    assert (status, out) == (1, "")
    assert "line 1, column 8" in err


def test_render_prints_a_formula_that_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--max-dedicated", "20", "--max-spot", "80", "--slots", "4"]
    warm = ["--keep-warm", "2", "--zone", "Europe/Berlin", "--hours", "7-19"]
    status, out, _ = said(capsys, "render", *options, *warm)
    assert status == 0
    name = write(tmp_path, out)
    assert said(capsys, "check", "--fail-on", "info", *options, name) == (0, "", "")
    assert json.loads(said(capsys, "render", "--json", *options, *warm)[1])["formula"] == out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "no/such/file"], "No such file"),
        (["check", "."], "Is a directory"),
        (["check", "a\0b"], "null"),
        (["check", "--ignore", "AS999", "x"], "no such rule: AS999"),
        (["rules", "AS999"], "no such rule: AS999"),
        (["render", "--max-dedicated", "-1"], "max_dedicated_nodes is -1"),
        (["render", "--keep-warm", "1", "--hours", "early"], "written in numbers"),
        (["render", "--keep-warm", "1", "--zone", "Nowhere"], "zone 'Nowhere'"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = said(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert words in err


def test_a_file_that_is_no_text_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"a = \xff;")
    status, _, err = said(capsys, "check", str(path))
    assert status == 2
    assert "not UTF-8 at byte 4" in err


def test_a_byte_order_mark_is_not_part_of_a_formula(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(tmp_path, "\ufeff" + GOOD)
    assert said(capsys, "check", name) == (0, "", "")


def test_columns_count_in_files_with_carriage_returns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(tmp_path, GOOD.replace("\n", "\r\n") + "b = c;\r\n")
    assert f"{name}:3:5: AS010" in said(capsys, "check", name)[1]


def test_each_rule_is_told_with_its_examples(capsys: pytest.CaptureFixture[str]) -> None:
    listing = said(capsys, "rules")[1]
    assert [line[:5] for line in listing.splitlines()] == list(RULES)
    text = said(capsys, "rules", "AS101")[1]
    rule = RULES["AS101"]
    assert rule.why in text
    assert rule.wrong in text
    assert len(json.loads(said(capsys, "rules", "--json")[1])["rules"]) == len(RULES)


def process(*arguments: str, given: bytes = b"", encoding: str = "utf-8") -> tuple[int, str, str]:
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            PROCESS,
            *arguments,
        ],
        input=given,
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "80"},
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_standard_input_is_a_file_named_dash() -> None:
    assert process("check", "-", given=GOOD.encode()) == (0, "", "")
    status, out, _ = process("eval", "-", given=b"$TargetDedicatedNodes=3")
    assert status == 0
    assert out == (
        "$TargetDedicatedNodes=3;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue\n"
    )


def test_a_poor_terminal_is_no_reason_to_fail() -> None:
    status, out, err = process("check", "-v", "-", given="a = “x”;".encode(), encoding="ascii")
    assert (status, err) == (1, "")
    assert "U+201C" in out


def test_help_has_examples() -> None:
    status, out, _ = process("--help")
    assert status == 0
    assert "python -m autoscale check" in out
    assert max(map(len, out.splitlines())) <= 80


def test_hours_without_nodes_to_keep_are_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, "render", "--hours", "7-19", "--zone", "Europe/Berlin")
    assert (status, out) == (2, "")
    assert err == "error: --zone, --hours: without effect; say how many nodes: --keep-warm 1\n"


def test_standard_input_is_not_two_files(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("eval", "explain"):
        status, _, err = said(capsys, command, "-", "--case", "-")
        assert status == 2
        assert "both standard input" in err


def test_a_pool_has_no_negative_size(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", "--max-dedicated", "-5", "pool.formula"])
    assert caught.value.code == 2
    assert "--max-dedicated: -5 is less than none" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_and_not_traced(tmp_path: Path) -> None:
    name = write(tmp_path, GOOD)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "autoscale", "eval", name],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode != 0
    assert done.stderr.startswith("error: cannot write: ")
    assert "Traceback" not in done.stderr
